"""Generated traffic: an iterator of rows that knows the truth about them.

In: a Plan. Out: lists of DecisionRow in order of time, and a Truth. The same plan gives the same rows on every machine.
Bounds: a chunk of about 8,192 calls is held at a time.
Never: a file, a database, a clock.
"""

from collections.abc import Iterator

import numpy as np

from analytics.generate import calls, verdict
from analytics.generate.chance import MILLION, Chance, Integers
from analytics.generate.events import Events, happen
from analytics.generate.people import populate
from analytics.generate.plan import SLOT_S, Plan
from analytics.generate.rhythm import Rhythm
from analytics.generate.rows import Writer
from analytics.generate.truth import Tally, Truth
from analytics.types import DecisionRow


class Traffic:
    """The rows of a plan, a list at a time, each made when it is asked for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._people = populate(plan)
        self._events = happen(plan, self._people)
        self._tally = Tally(plan, self._people, self._events)
        self._made = self._make()

    def __iter__(self) -> Iterator[list[DecisionRow]]:
        """Return itself: traffic can be read once."""
        return self

    def __next__(self) -> list[DecisionRow]:
        """Return the next rows."""
        return next(self._made)

    @property
    def truth(self) -> Truth:
        """What is true of it; the numbers are whole once every row was read."""
        return self._tally.truth()

    def _make(self) -> Iterator[list[DecisionRow]]:
        writer = Writer(self.plan.seed, self._people, self._events)
        for first, last, started_us, user in Rhythm(self.plan, self._people, self._events).calls():
            start_us, end_us = ((self.plan.start_unix_s + slot * SLOT_S) * MILLION for slot in (first, last))
            chunk = _begun(self._events, (start_us, end_us), started_us, user)
            if len(chunk):
                chance = Chance(self.plan.seed, 6, first)
                self._draw(chance, chunk, end_us)
                self._tally.add(chunk)
                yield writer.rows(chance, chunk)

    def _draw(self, chance: Chance, chunk: calls.Calls, end_us: int) -> None:
        """Fill in every column of a chunk."""
        people, events = self._people, self._events
        calls.ask(chance, chunk, people, events)
        calls.try_again(chance, chunk, events, end_us)
        calls.answer(chance, chunk, people, events)
        verdict.judge(chance, chunk, people, events)
        verdict.end(chance, chunk, events)
        chunk.sort()


def _begun(events: Events, within_us: tuple[int, int], started_us: Integers, user: Integers) -> calls.Calls:
    """Return everyday calls and campaigns' calls of a time together, in order of time."""
    first, last = np.searchsorted(events.started_us, within_us)
    chunk = calls.begun(
        np.concatenate([started_us, events.started_us[first:last]]),
        np.concatenate([user, events.user[first:last]]),
        np.concatenate([np.full(len(user), -1, dtype=np.int64), events.campaign[first:last]]),
        np.concatenate([np.zeros(len(user), dtype=np.int64), events.progress_pct[first:last]]),
    )
    chunk.sort()
    return chunk


def generate(plan: Plan) -> Traffic:
    """Return the traffic of a plan."""
    return Traffic(plan)
