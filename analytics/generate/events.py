"""What happens beside everyday traffic: attack campaigns and incidents, when, where and to whom.

In: a Plan and its Population. Out: Events: the campaigns with the calls that belong to them, and the incidents that change
everyday calls. Both begin after the first third of the time, so that whatever learns from the past has one.
Source: durations and sizes are assumptions; that outages of an hour or two, of one provider at a time, are the common case
can be seen on the providers' status pages (status.openai.com, status.anthropic.com).
Bounds: campaigns take at most a fifth of the records; below 500 records there are none.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from analytics.generate.chance import MILLION, Chance, Flags, Integers
from analytics.generate.models import MODELS
from analytics.generate.people import KIND, SIDECARS_A_TENANT, Population
from analytics.generate.plan import DAY_SLOTS, SLOT_S, Plan

CAMPAIGNS = ("shared_prompt", "escalation", "leak", "takeover")
INCIDENTS = ("outage", "latency_drift", "cost_spike", "traffic_spike", "fail_open", "sidecar_silent")
_LEAST_RECORDS = 500
_MOST_OF = 5
_QUIET_PCT = 33  # of the time, in which nothing happens
_HOUR_SLOTS = 3_600 // SLOT_S
_SPIKE_PCT, _DRIFT_PCT = 600, 250


@dataclass(frozen=True, slots=True)
class Campaign:
    """Attacks that belong together. Times are half-open; records is how many calls belong to it."""

    name: str
    kind: str
    tenant: str
    users: tuple[str, ...]
    match_digest: str
    start_unix_s: int
    end_unix_s: int
    records: int


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that changes everyday calls for a while.

    Shape: subject is a provider (outage), a model (latency_drift), a user (cost_spike), a tenant (traffic_spike) or a
    sidecar (fail_open, sidecar_silent). factor_pct is how much at its worst: latency or calls in per cent of the usual.
    """

    kind: str
    subject: str
    start_unix_s: int
    end_unix_s: int
    factor_pct: int


@dataclass(frozen=True, slots=True)
class Events:
    """Campaigns, incidents, and the campaigns' calls in order of time.

    Shape: started_us, user, campaign and progress_pct are arrays of one length; user is a place in the Population,
    campaign a place in campaigns, progress_pct how much of the campaign's time is over.
    """

    campaigns: tuple[Campaign, ...]
    incidents: tuple[Incident, ...]
    started_us: Integers
    user: Integers
    campaign: Integers
    progress_pct: Integers


def sidecar_name(place: int) -> str:
    """Return a sidecar as records name it: host and worker."""
    return f"gate-{place // SIDECARS_A_TENANT + 1}-{place % SIDECARS_A_TENANT + 1}/0"


def happen(plan: Plan, people: Population) -> Events:
    """Return what happens. Shape: at least one of each kind, more in longer times."""
    chance = Chance(plan.seed, 2)
    rounds = 1 + plan.days // 20
    incidents = [_incident(plan, people, chance, one, rounds) for one in range(rounds * len(INCIDENTS))]
    return _with_calls(plan, people, _campaigns(plan, people, chance), tuple(incidents))


def _incident(plan: Plan, people: Population, chance: Chance, number: int, rounds: int) -> Incident:
    kind = INCIDENTS[number % len(INCIDENTS)]
    lengths = {"outage": (4, 6), "latency_drift": (DAY_SLOTS * 2, DAY_SLOTS), "cost_spike": (18, 30)}
    least, more = lengths.get(kind, (8, 10))
    length = max(1, min(least + chance.one(more), plan.slots // 6))
    start = _slot(plan, chance, (number, rounds * len(INCIDENTS)), length)
    factor = {"latency_drift": _DRIFT_PCT, "traffic_spike": _SPIKE_PCT, "cost_spike": 400}.get(kind, 100)
    return Incident(kind, _subject(people, chance, kind), _unix_s(plan, start), _unix_s(plan, start + length), factor)


def _subject(people: Population, chance: Chance, kind: str) -> str:
    if kind == "outage":
        return ("openai", "anthropic", "gemini")[int(chance.choose((45, 35, 20), 1)[0])]
    if kind == "latency_drift":
        return MODELS[int(chance.choose((20, 25, 20, 0, 25, 5, 5, 0, 0), 1)[0])].name
    if kind == "cost_spike":
        services = np.flatnonzero(people.kind == KIND["service_account"])
        return people.names[int(services[chance.one(len(services))])]
    place = int(people.tenant[chance.one(len(people.tenant))])
    return people.tenants[place] if kind == "traffic_spike" else sidecar_name(_busiest_sidecar(people, place))


def _busiest_sidecar(people: Population, tenant: int) -> int:
    """Return the sidecar that carries most of a tenant's calls, so that its absence can be seen."""
    mine = people.tenant == tenant
    return int(np.argmax(np.bincount(people.sidecar[mine], people.rate[mine].astype(np.float64))))


def _slot(plan: Plan, chance: Chance, turn: tuple[int, int], length: int) -> int:
    """Return the first slot of the n-th of so many events: by turns over the time, in the working hours of a weekday.

    Shape: where the time is too short for that, anywhere after the quiet third.
    """
    quiet = plan.slots * _QUIET_PCT // 100
    number, of = turn
    part = max(1, (plan.slots - quiet - length) // of)
    slot = quiet + number * part + chance.one(part)
    day_s = _unix_s(plan, slot) // 86_400 * 86_400
    weekday = (day_s // 86_400 + 3) % 7  # 1970-01-01 was a Thursday
    day_s += 86_400 * (7 - weekday) if weekday > 4 else 0
    wanted = (day_s - plan.start_unix_s) // SLOT_S + 8 * _HOUR_SLOTS + chance.one(6 * _HOUR_SLOTS)
    return wanted if quiet <= wanted <= plan.slots - length else min(slot, plan.slots - length)


def _unix_s(plan: Plan, slot: int) -> int:
    return plan.start_unix_s + slot * SLOT_S


def _campaigns(plan: Plan, people: Population, chance: Chance) -> tuple[Campaign, ...]:
    if plan.records < _LEAST_RECORDS:
        return ()
    kinds = [*CAMPAIGNS, *(["shared_prompt"] * (plan.days // 10)), *(CAMPAIGNS[1:] * (plan.days // 20))]
    sizes = {"shared_prompt": (400, 600), "escalation": (800, 200), "leak": (1_500, 60), "takeover": (1_000, 120)}
    made: list[Campaign] = []
    for number, kind in enumerate(kinds):
        part, most = sizes[kind]
        one = _campaign(plan, people, chance, (number, len(kinds), kind, max(6, min(plan.records // part, most))))
        if sum(other.records for other in made) + one.records <= plan.records // _MOST_OF:
            made.append(one)
    return tuple(made)


def _campaign(plan: Plan, people: Population, chance: Chance, asked: tuple[int, int, str, int]) -> Campaign:
    number, of, kind, records = asked
    hours = {"shared_prompt": 4 + chance.one(8), "leak": 1 + chance.one(3), "takeover": 1 + chance.one(2)}
    length = hours[kind] * _HOUR_SLOTS if kind in hours else plan.slots * 4 // 10
    length = max(1, min(length, plan.slots // 2 if kind == "escalation" else plan.slots // 6))
    start = _slot(plan, chance, (number, of), length)
    users = _members(people, chance, kind)
    return Campaign(
        name=f"{kind}-{number + 1}",
        kind=kind,
        tenant=people.tenants[int(people.tenant[users[0]])],
        users=tuple(people.names[user] for user in users),
        match_digest=blake2b(f"{plan.seed}/{kind}/{number}".encode(), digest_size=16).hexdigest(),
        start_unix_s=_unix_s(plan, start),
        end_unix_s=_unix_s(plan, start + length),
        records=max(records, len(users)),
    )


def _members(people: Population, chance: Chance, kind: str) -> list[int]:
    """Return the users of a campaign, all of one tenant."""
    if kind == "shared_prompt":
        able, most = _of_kinds(people, "office_worker", "developer", "heavy_user"), 12 + chance.one(28)
    elif kind == "leak":
        able, most = _of_kinds(people, "developer", "service_account"), 1 + chance.one(4)
    else:
        able, most = _of_kinds(people, "dormant" if kind == "takeover" else "office_worker"), 1
    lead = np.flatnonzero(able)[chance.one(int(able.sum()))]
    near = np.flatnonzero(able & (people.tenant == people.tenant[lead]))
    shuffled = near[np.argsort(chance.words(len(near)), kind="stable")]
    return sorted([int(one) for one in shuffled[:most]])


def _of_kinds(people: Population, *names: str) -> Flags:
    found: Flags = np.isin(people.kind, [KIND[name] for name in names])
    return found


def _with_calls(
    plan: Plan, people: Population, campaigns: tuple[Campaign, ...], incidents: tuple[Incident, ...]
) -> Events:
    place = {name: number for number, name in enumerate(people.names)}
    parts: list[tuple[Integers, Integers, Integers, Integers]] = []
    for number, one in enumerate(campaigns):
        chance = Chance(plan.seed, 3, number)
        length_us = (one.end_unix_s - one.start_unix_s) * 1_000_000
        after_us = np.sort(chance.below(MILLION, one.records)) * (length_us // MILLION)
        members = np.array([place[user] for user in one.users], dtype=np.int64)
        user = members[np.arange(one.records) % len(members)][np.argsort(chance.words(one.records), kind="stable")]
        progress = after_us * 100 // length_us
        parts.append((one.start_unix_s * 1_000_000 + after_us, user, np.full(one.records, number), progress))
    none = np.zeros(0, dtype=np.int64)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [none] * 4
    order = np.argsort(columns[0], kind="stable")
    return Events(campaigns, incidents, *(column[order].astype(np.int64) for column in columns))
