"""What is found in each call and what is done about it: findings, scores, actions, outcomes, status and price.

In: Calls as calls.py left them. Out: the rest of their columns.
The policy is the default one of the sidecar: deny at CRITICAL, redact leaks that deserve an alert, and one tenant that only
observes. Shares of attachments nobody can read, of broken bodies and of calls over a budget are assumptions; the verdict's
half microsecond a prompt token is what `make bench-detect` measures on long texts.
"""

import numpy as np

from analytics.generate import models, threats
from analytics.generate.calls import NONE, Calls, during
from analytics.generate.chance import Chance, Integers, log_normal
from analytics.generate.events import Events, sidecar_name
from analytics.generate.people import KIND, KINDS, SIDECARS_A_TENANT, Population

ALLOW, ALLOW_UNSCANNED, REDACT, THROTTLE, DENY = range(5)  # places in analytics.types.ACTIONS
ANSWERED, DENIED, FAILED, UPSTREAM_ERROR, CLIENT_ABORTED, UNKNOWN = range(6)  # places in analytics.types.OUTCOMES
FAILURES = ("unspecified", "deadline", "malformed_body")
NO_FAILURE, DEADLINE, MALFORMED = range(3)
OBSERVING_TENANT = 1  # the second tenant only observes
_CRITICAL, _ALERT = 150, 50  # tenths; MISSION.md: block at CRITICAL, alert at 5
_STATUS = np.array((429, 500, 503, 529, 400), dtype=np.int64)
_STATUS_WEIGHTS, _OUTAGE_STATUS_WEIGHTS = (45, 20, 20, 5, 10), (5, 25, 65, 5, 0)
_VERDICT_US = log_normal(900, 0.6, 150)
_FAIL_OPEN_PPM = 600_000


def judge(chance: Chance, calls: Calls, people: Population, events: Events) -> None:
    """Fill in what is found, what would be done, and what is done."""
    _carry(calls, people, events)
    _find(chance, calls, people, events)
    count, observing = len(calls), people.tenant[calls.user] == OBSERVING_TENANT
    over = np.zeros(len(KINDS), dtype=np.int64)
    over[[KIND["heavy_user"], KIND["attacker"]]] = 6_000, 50_000
    leak = threats.LEAKS[calls.finding] & (calls.tenths >= _ALERT)
    calls.would_be = np.where(leak, REDACT, ALLOW)
    calls.would_be[calls.tenths >= _CRITICAL] = DENY
    calls.would_be[(calls.tenths == 0) & chance.happens(over[people.kind[calls.user]], count)] = THROTTLE
    unread = (calls.would_be == ALLOW) & chance.happens(8_000, count)
    calls.would_be[unread] = ALLOW_UNSCANNED
    calls.complete = ~unread
    calls.applied = np.where(observing & (calls.would_be != ALLOW_UNSCANNED), ALLOW, calls.would_be)
    _fail(chance, calls, people, events)
    calls.verdict_us = chance.draw(_VERDICT_US, count) + calls.prompt // 2


def _carry(calls: Calls, people: Population, events: Events) -> None:
    """Fill in the sidecar; the next one of the tenant takes over from one that is silent."""
    calls.sidecar = people.sidecar[calls.user]
    names = np.array([sidecar_name(place) for place in range(int(people.sidecar.max()) + 1)])
    for incident, within in during(events, "sidecar_silent", calls):
        silent = within & (names[calls.sidecar] == incident.subject)
        tenant, worker = calls.sidecar[silent] // SIDECARS_A_TENANT, calls.sidecar[silent] % SIDECARS_A_TENANT
        calls.sidecar[silent] = tenant * SIDECARS_A_TENANT + (worker + 1) % SIDECARS_A_TENANT


def _find(chance: Chance, calls: Calls, people: Population, events: Events) -> None:
    count, kind = len(calls), people.kind[calls.user]
    noise, attack = (np.array([getattr(one, name) for one in KINDS]) for name in ("noise_ppm", "attack_ppm"))
    calls.finding = threats.findings(chance, noise[kind], attack[kind])
    for place in np.flatnonzero(calls.campaign >= 0).tolist():
        number = int(calls.campaign[place])
        calls.finding[place] = threats.of_campaign(
            events.campaigns[number].kind, number, int(calls.progress_pct[place])
        )
    more = chance.happens(250_000, count) & (calls.finding >= 0)
    calls.second = np.where(more, chance.below(len(threats.FINDINGS), count), -1)
    calls.second[(calls.second == calls.finding) | (calls.campaign >= 0)] = -1
    calls.confidence_pct = 70 + chance.below(31, count)
    calls.tenths = threats.TENTHS[calls.finding] + threats.TENTHS[calls.second] // 2


def _fail(chance: Chance, calls: Calls, people: Population, events: Events) -> None:
    """Fill in where inspection fails: a body nobody can read is refused, a deadline during a fail-open lets it pass."""
    count, observing = len(calls), people.tenant[calls.user] == OBSERVING_TENANT
    plain = (calls.campaign < 0) & (calls.finding < 0) & (calls.would_be == ALLOW)
    broken = plain & chance.happens(150, count)
    calls.failure[broken], calls.complete[broken] = MALFORMED, False
    calls.would_be[broken] = DENY
    calls.applied[broken] = np.where(observing[broken], ALLOW_UNSCANNED, DENY)
    names = np.array([sidecar_name(place) for place in range(int(people.sidecar.max()) + 1)])
    for incident, within in during(events, "fail_open", calls):
        mine = within & (names[calls.sidecar] == incident.subject) & plain & ~broken
        opened = mine & chance.happens(_FAIL_OPEN_PPM, count)
        calls.failure[opened], calls.complete[opened] = DEADLINE, False
        calls.would_be[opened] = calls.applied[opened] = ALLOW_UNSCANNED


def end(chance: Chance, calls: Calls, events: Events) -> None:
    """Fill in how each call ended, the status that its client saw, and what it cost."""
    count = len(calls)
    refused = (calls.applied == DENY) | (calls.applied == THROTTLE)
    aborted = calls.stream & chance.happens(6_000, count)
    calls.outcome = np.where(calls.error, UPSTREAM_ERROR, np.where(aborted, CLIENT_ABORTED, ANSWERED))
    calls.outcome[chance.happens(100, count)] = UNKNOWN
    calls.outcome[refused] = np.where(calls.failure[refused] == NO_FAILURE, DENIED, FAILED)
    calls.status = np.where(calls.outcome == UPSTREAM_ERROR, _error_status(chance, calls, events), 200)
    calls.status[refused] = np.where(calls.applied[refused] == THROTTLE, 429, 403)
    calls.status[calls.outcome == FAILED] = 503
    calls.status[calls.outcome == UNKNOWN] = 0
    cut = calls.outcome == CLIENT_ABORTED
    calls.total_us[cut] = calls.first_us[cut] + (calls.total_us - calls.first_us)[cut] // 2
    calls.answer[cut] = (calls.answer[cut] + 1) // 2
    silent = refused | (calls.outcome == UNKNOWN)
    calls.first_us[silent], calls.total_us[silent] = 0, np.where(refused, calls.verdict_us, 0)[silent]
    calls.usage &= ~silent & (calls.outcome == ANSWERED)
    calls.finish[silent | cut] = NONE
    calls.cost_nanousd = _cost(calls)


def _error_status(chance: Chance, calls: Calls, events: Events) -> Integers:
    status = _STATUS[chance.choose(_STATUS_WEIGHTS, len(calls))]
    worse = _STATUS[chance.choose(_OUTAGE_STATUS_WEIGHTS, len(calls))]
    for _, within in during(events, "outage", calls):
        status = np.where(within, worse, status)
    return status


def _cost(calls: Calls) -> Integers:
    """Return the price of each call, -1 where it is unknown."""
    prices = models.PRICES[calls.model]
    cost = (calls.prompt - calls.cached) * prices[:, 0] + calls.cached * prices[:, 1] + calls.answer * prices[:, 2]
    return np.where(calls.usage & models.PRICED[calls.model], cost, -1)
