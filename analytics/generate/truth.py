"""What is true of generated traffic: who is what, what happened when, and what it adds up to.

In: the Plan, its Population and Events, and the Calls as they are drawn. Out: a Truth, as values and as JSON.
Every number is counted over the columns, not over rows or a database: tests compare those with it.
"""

from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np

from analytics.generate import models, threats
from analytics.generate.calls import Calls
from analytics.generate.chance import MILLION, Integers
from analytics.generate.events import Campaign, Events, Incident
from analytics.generate.people import KINDS, Population
from analytics.generate.plan import Plan
from analytics.generate.rows import levels
from analytics.types import ACTIONS, DAY_S, LEVELS, OUTCOMES


@dataclass(frozen=True, slots=True)
class Person:
    """One user: what kind, of which tenant, active between which moments, with how many calls."""

    user: str
    tenant: str
    kind: str
    utc_offset_s: int
    from_unix_s: int
    to_unix_s: int
    records: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Exact sums over all records. Shape: mappings name what occurred; days are keyed by their start in unix seconds."""

    records: int
    prompt_tokens: int
    completion_tokens: int
    cost_nanousd: int
    priced: int
    retries: int
    incomplete_coverage: int
    actions: dict[str, int]
    levels: dict[str, int]
    outcomes: dict[str, int]
    threats: dict[str, int]
    tenants: dict[str, int]
    models: dict[str, int]
    days: dict[int, int]


@dataclass(frozen=True, slots=True)
class Truth:
    """All of it. While the traffic is being read, numbers are those of what was read so far."""

    plan: Plan
    people: tuple[Person, ...]
    campaigns: tuple[Campaign, ...]
    incidents: tuple[Incident, ...]
    totals: Totals

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Return the names of the users of a kind."""
        return tuple(person.user for person in self.people if person.kind == kind)

    def json(self) -> bytes:
        """Return it as indented JSON, the same bytes for the same plan."""
        return msgspec.json.format(msgspec.json.encode(asdict(self)), indent=2) + b"\n"


class Tally:
    """Adds up the calls as they are drawn."""

    def __init__(self, plan: Plan, people: Population, events: Events) -> None:
        self._plan, self._people, self._events = plan, people, events
        self._first_day = plan.start_unix_s // DAY_S
        self._sums: dict[str, Integers] = {}

    def add(self, calls: Calls) -> None:
        """Count a chunk."""
        people = self._people
        days = calls.started_us // (DAY_S * MILLION) - self._first_day
        told, priced = calls.usage, calls.cost_nanousd >= 0
        for name, places, size in (
            ("users", calls.user, len(people.names)),
            ("tenants", people.tenant[calls.user], len(people.tenants)),
            ("models", calls.model, len(models.MODELS)),
            ("days", days, self._plan.days + 1),
            ("actions", calls.applied, len(ACTIONS)),
            ("levels", levels(calls.tenths), len(LEVELS)),
            ("outcomes", calls.outcome, len(OUTCOMES)),
            ("threats", calls.finding[calls.finding >= 0], len(threats.FINDINGS)),
            ("threats", calls.second[calls.second >= 0], len(threats.FINDINGS)),
        ):
            self._count(name, np.bincount(places, minlength=size))
        for name, values in (
            ("prompt_tokens", calls.prompt[told]),
            ("completion_tokens", calls.answer[told]),
            ("cost_nanousd", calls.cost_nanousd[priced]),
            ("priced", priced),
            ("retries", calls.attempt > 0),
            ("incomplete_coverage", ~calls.complete),
            ("records", np.ones(len(calls), dtype=np.int64)),
        ):
            self._count(name, np.array([values.sum()], dtype=np.int64))

    def _count(self, name: str, counts: Integers) -> None:
        self._sums[name] = self._sums.get(name, 0) + counts

    def truth(self) -> Truth:
        """Return what is true of what was counted so far."""
        return Truth(self._plan, self._persons(), self._events.campaigns, self._events.incidents, self._totals())

    def _persons(self) -> tuple[Person, ...]:
        plan, people = self._plan, self._people
        counts = self._sums.get("users", np.zeros(len(people.names), dtype=np.int64)).tolist()
        slot_s = (plan.end_unix_s - plan.start_unix_s) // plan.slots
        return tuple(
            Person(
                user=name,
                tenant=people.tenants[people.tenant[place]],
                kind=KINDS[people.kind[place]].name,
                utc_offset_s=int(people.zone_slots[place]) * slot_s,
                from_unix_s=plan.start_unix_s + int(people.first_slot[place]) * slot_s,
                to_unix_s=plan.start_unix_s + int(people.last_slot[place]) * slot_s,
                records=counts[place],
            )
            for place, name in enumerate(people.names)
        )

    def _totals(self) -> Totals:
        names: dict[str, Any] = {"actions": ACTIONS, "levels": LEVELS, "outcomes": OUTCOMES}
        names |= {"tenants": self._people.tenants, "models": [model.name for model in models.MODELS]}
        names |= {
            "threats": threats.TYPES,
            "days": [(self._first_day + day) * DAY_S for day in range(self._plan.days + 1)],
        }
        singles = (
            "records",
            "prompt_tokens",
            "completion_tokens",
            "cost_nanousd",
            "priced",
            "retries",
            "incomplete_coverage",
        )
        numbers: dict[str, Any] = {name: int(self._sums[name][0]) if name in self._sums else 0 for name in singles}
        numbers |= {name: self._named(name, listed) for name, listed in names.items()}
        return Totals(**numbers)

    def _named(self, name: str, listed: Any) -> dict[Any, int]:
        found: dict[Any, int] = {}
        for one, count in zip(listed, self._sums.get(name, np.zeros(0, dtype=np.int64)).tolist(), strict=False):
            if count:
                found[one] = found.get(one, 0) + count
        return found
