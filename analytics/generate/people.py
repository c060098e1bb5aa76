"""The users: kinds with their hours, lengths and habits, and the population drawn from them.

In: a Plan. Out: KINDS, and a Population of arrays, a place a user.
Source: that a few clients send most calls and that each client's lengths are steady: ServeGen (Xiang et al., NSDI '26,
arXiv 2505.09999), as are exponential answer lengths and log-normal prompt lengths. Medians of conversations (1,020 tokens
asked, 129 answered) and of short jobs (1,500 and 13): the Azure traces of Splitwise (Patel et al., ISCA 2024, arXiv
2311.18677). Agents' answers (median 252, 90 % below 1,671) and their 96 % of cached input: SyFI TraceLab
(tracelab.cs.washington.edu, read 2026-11). Assumptions: the hours and weekdays of each kind (of the order that DynamoLLM,
arXiv 2408.00741, shows for a week), agents' median prompt of 60,000 tokens (TraceLab's quartile: below the prices' tiers),
what services send, the calls a day, and how many users there are of each kind.
Never: a floating point number beyond the laws' tables.
"""

from dataclasses import dataclass

import numpy as np

from analytics.generate.chance import Chance, Integers, exponential, log_normal
from analytics.generate.plan import DAY_SLOTS, SLOT_S, Plan

_OFFICE_HOURS = (0, 0, 0, 0, 0, 0, 1, 5, 30, 70, 90, 85, 50, 75, 95, 90, 70, 40, 12, 5, 3, 2, 1, 0)
_LATE_HOURS = (4, 2, 1, 0, 0, 0, 1, 4, 15, 50, 80, 90, 55, 75, 95, 100, 95, 75, 40, 25, 25, 28, 20, 10)
_NIGHT_JOBS = (0, 60, 100, 100, 60, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_ROUND_THE_CLOCK = (38, 33, 30, 30, 30, 33, 40, 54, 72, 88, 96, 100, 92, 96, 98, 96, 92, 86, 80, 76, 72, 64, 54, 44)
_AT_NIGHT = (60, 70, 80, 90, 90, 70, 40, 20, 10, 10, 10, 10, 10, 10, 10, 10, 10, 15, 20, 30, 40, 50, 55, 60)
_WEEK, _LONG_WEEK, _EVERY_DAY = (100, 100, 100, 98, 85, 8, 5), (100, 100, 100, 100, 90, 25, 22), (100,) * 7
_SHOP_WEEK = (100, 100, 100, 100, 98, 70, 66)

_TALK = log_normal(1_020, 1.1, 8)
_TALK_ANSWER = exponential(186, 1, 8_192)  # median 129
_AGENT, _AGENT_ANSWER = log_normal(60_000, 0.8, 500), log_normal(252, 1.476, 1, 32_000)
_JOB, _JOB_ANSWER = log_normal(1_500, 0.9, 50), exponential(19, 1, 2_048)  # median 13
_LOOKED_UP, _LOOKED_UP_ANSWER = log_normal(2_400, 0.7, 50), exponential(240, 1, 8_192)
_LONG, _LONG_ANSWER = log_normal(4_000, 1.2, 8), exponential(500, 1, 16_000)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of user.

    Units: *_ppm in a million (of users, of calls); rate is the median of calls a day, spread the sigma of its logarithm;
    hours and days are weights in local time, Monday first; models are weights over MODELS.
    """

    name: str
    users_ppm: int
    rate: float
    spread: float
    hours: tuple[int, ...]
    days: tuple[int, ...]
    prompt: Integers
    answer: Integers
    models: tuple[int, ...]
    cached_pct: int = 0
    stream_pct: int = 85
    tools_pct: int = 0
    noise_ppm: int = 1_500
    attack_ppm: int = 0
    person: bool = True


_CHATS, _CODES = (35, 30, 8, 6, 6, 5, 6, 3, 1), (4, 2, 28, 6, 40, 8, 6, 4, 2)
_SERVES, _WORKS = (10, 40, 1, 8, 2, 12, 20, 5, 2), (0, 45, 0, 15, 0, 10, 25, 0, 5)

KINDS = (
    Kind("office_worker", 520_000, 15, 0.8, _OFFICE_HOURS, _WEEK, _TALK, _TALK_ANSWER, _CHATS),
    Kind("developer", 240_000, 120, 0.9, _LATE_HOURS, _LONG_WEEK, _AGENT, _AGENT_ANSWER, _CODES, 96, 97, 75, 2_500),
    Kind(
        "batch_job", 20_000, 600, 0.6, _NIGHT_JOBS, _EVERY_DAY, _JOB, _JOB_ANSWER, _WORKS, 30, 0, 5, 300, person=False
    ),
    Kind(
        "service_account",
        *(40_000, 700, 0.7, _ROUND_THE_CLOCK, _SHOP_WEEK, _LOOKED_UP, _LOOKED_UP_ANSWER, _SERVES),
        *(50, 60, 20, 900),
        person=False,
    ),
    Kind("heavy_user", 15_000, 350, 0.4, _LATE_HOURS, _LONG_WEEK, _LONG, _LONG_ANSWER, _CHATS, 20, 90, 10),
    Kind("newcomer", 70_000, 20, 0.7, _OFFICE_HOURS, _WEEK, _TALK, _TALK_ANSWER, _CHATS),
    Kind("dormant", 60_000, 18, 0.7, _OFFICE_HOURS, _WEEK, _TALK, _TALK_ANSWER, _CHATS),
    Kind(
        "attacker", 8_000, 60, 0.5, _AT_NIGHT, _EVERY_DAY, _TALK, _TALK_ANSWER, _CHATS, noise_ppm=0, attack_ppm=350_000
    ),
    Kind("curious_tester", 27_000, 30, 0.5, _LATE_HOURS, _LONG_WEEK, _TALK, _TALK_ANSWER, _CHATS, attack_ppm=60_000),
)
KIND = {kind.name: place for place, kind in enumerate(KINDS)}

# Hours from UTC and their weights: assumption, a firm with offices in Europe, the Americas and Asia.
_ZONES, _ZONE_WEIGHTS = (0, 1, -5, -8, 5.5, 8), (10, 45, 20, 10, 10, 5)
TEAMS = ("platform", "research", "sales", "support", "finance", "marketing")
SIDECARS_A_TENANT = 3
_FIRST = ("ada", "ben", "carla", "david", "elif", "farid", "grace", "hugo", "ines", "jonas", "kira", "liam", "mina")
_LAST = ("adler", "bauer", "costa", "dubois", "evans", "fischer", "garcia", "haddad", "ito", "jensen", "kaya")
_JOBS = ("summaries", "tagging", "embeddings", "translation", "invoices", "tickets", "search", "chat", "review")


@dataclass(frozen=True, slots=True)
class Population:
    """The users, a place each.

    Shape: models is (users, 3), most liked first; scale_pct is what a user's prompts are of the kind's.
    Units: rate in calls a day, times 100; first_slot and last_slot are half-open slots of activity.
    """

    names: tuple[str, ...]
    tenants: tuple[str, ...]
    kind: Integers
    tenant: Integers
    team: Integers
    sidecar: Integers
    zone_slots: Integers
    rate: Integers
    first_slot: Integers
    last_slot: Integers
    models: Integers
    scale_pct: Integers


def populate(plan: Plan) -> Population:
    """Return the users of a plan. Shape: at least one of each kind; places are in the order of KINDS."""
    chance, count = Chance(plan.seed, 1), plan.population
    kind = np.repeat(np.arange(len(KINDS)), _numbers(count))
    tenants = ("default", *(f"tenant-{number}" for number in range(2, plan.tenants + 1)))
    tenant = chance.choose([60 // (place + 1) for place in range(plan.tenants)], count)
    rates = np.stack([log_normal(one.rate * 100, one.spread, 1, 100_000_000) for one in KINDS])
    first, last = _active(plan, chance, kind)
    zones = np.array([round(hours * 3_600 / SLOT_S) for hours in _ZONES], dtype=np.int64)
    return Population(
        names=tuple(_name(KINDS[one], place) for place, one in enumerate(kind.tolist())),
        tenants=tenants,
        kind=kind,
        tenant=tenant,
        team=chance.below(len(TEAMS), count),
        sidecar=tenant * SIDECARS_A_TENANT + chance.below(SIDECARS_A_TENANT, count),
        zone_slots=zones[chance.choose(_ZONE_WEIGHTS, count)],
        rate=chance.draw_each(rates, kind),
        first_slot=first,
        last_slot=last,
        models=_liked(chance, kind),
        scale_pct=chance.draw(log_normal(100, 0.4, 30, 400), count),
    )


def _numbers(count: int) -> list[int]:
    """Return how many users there are of each kind: at least one, the rest by their shares."""
    left = count - len(KINDS)
    numbers = [1 + left * kind.users_ppm // 1_000_000 for kind in KINDS]
    numbers[0] += count - sum(numbers)
    return numbers


def _active(plan: Plan, chance: Chance, kind: Integers) -> tuple[Integers, Integers]:
    """Return the slots between which a user is there: newcomers come late, the dormant fall silent."""
    first, last = np.zeros(len(kind), dtype=np.int64), np.full(len(kind), plan.slots, dtype=np.int64)
    new, gone = kind == KIND["newcomer"], kind == KIND["dormant"]
    first[new] = plan.slots * (30 + chance.below(55, int(new.sum()))) // 100
    last[gone] = plan.slots * (15 + chance.below(30, int(gone.sum()))) // 100
    return first, last


def _liked(chance: Chance, kind: Integers) -> Integers:
    """Return three models a user, drawn by the kind's weights; the same may come twice."""
    liked = np.empty((len(kind), 3), dtype=np.int64)
    for place, one in enumerate(KINDS):
        members = np.flatnonzero(kind == place)
        liked[members] = chance.choose(one.models, 3 * len(members)).reshape(-1, 3)
    return liked


def _name(kind: Kind, place: int) -> str:
    if not kind.person:
        return f"{'job' if kind.name == 'batch_job' else 'svc'}-{_JOBS[place % len(_JOBS)]}-{place}"
    return f"{_FIRST[place % len(_FIRST)]}.{_LAST[place // len(_FIRST) % len(_LAST)]}{place}"


def week() -> Integers:
    """Return each kind's weight by slot of the local week, Monday first.

    Shape: (kinds, 1008); between the middles of two hours the weight goes in a straight line.
    Units: thousandths of the week's mean, so that a rate is one of calls a day whatever the hours.
    """
    table = np.zeros((len(KINDS), 7 * DAY_SLOTS), dtype=np.int64)
    hour_slots = DAY_SLOTS // 24
    for place, kind in enumerate(KINDS):
        hours = np.array(kind.hours, dtype=np.int64)
        mine, part = np.divmod(np.arange(DAY_SLOTS), hour_slots)
        near = np.where(2 * part < hour_slots, mine - 1, mine + 1) % 24
        share = np.abs(2 * part + 1 - hour_slots)  # twice the distance from the hour's middle, in slots
        day = (hours[mine] * (2 * hour_slots - share) + hours[near] * share) // (2 * hour_slots)
        whole = np.concatenate([day * weight for weight in kind.days])
        table[place] = whole * 1_000 * len(whole) // int(whole.sum())
    return table
