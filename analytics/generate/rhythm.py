"""When calls come and from whom: the total is dealt out over slots of ten minutes by everybody's weight in each.

In: a Plan, its Population and Events. Out: how many everyday calls each slot has, and for a run of slots their times and
users, in order of time. Every call is dealt: the slots' numbers add up to what was asked for, exactly.
A user's weight in a slot is rate x hour and weekday in local time x whether a session is under way x how bursty the
kind is x what incidents do.
Source: that calls come in bursts a Gamma or Weibull variable describes better than Poisson's: BurstGPT (arXiv 2401.17644),
ServeGen (arXiv 2505.09999). Here the slots' sums vary by a Weibull variable; its shapes are assumptions. So is that people
are at it in half of their working hours.
Bounds: memory is users x 144 numbers at a time.
"""

from collections.abc import Iterator

import numpy as np

from analytics.generate.chance import MILLION, Chance, Flags, Integers, mixed, weibull
from analytics.generate.events import Events
from analytics.generate.people import KINDS, Population, week
from analytics.generate.plan import DAY_SLOTS, SLOT_S, Plan

CHUNK_CALLS = 8_192  # slots are drawn together until they hold so many calls: part of what a seed means
_HOUR_SLOTS = 3_600 // SLOT_S
_RAMP_SLOTS = 3 * DAY_SLOTS  # a newcomer reaches the usual rate in three days
_PERSON_SHAPE, _PROGRAM_SHAPE = 6.0, 2.5
_MOST = 2**31  # of a slot's weights together, so that a draw below it is exact


class Rhythm:
    """Everybody's weights, slot by slot."""

    def __init__(self, plan: Plan, people: Population, events: Events) -> None:
        self._plan, self._people, self._events = plan, people, events
        self._week = week()
        self._person = np.array([KINDS[kind].person for kind in people.kind])
        self._bursts = self._bursting()
        totals = np.concatenate([self._day(day).sum(axis=0) for day in range(plan.days)])
        self._shift = max(0, int(totals.max()).bit_length() - _MOST.bit_length() + 1)
        self.counts = _dealt(plan.records - len(events.started_us), totals)

    def _bursting(self) -> Integers:
        """Return each kind's factor in each slot. Units: thousandths."""
        laws = [weibull(1_000, _PERSON_SHAPE if kind.person else _PROGRAM_SHAPE) for kind in KINDS]
        kinds = np.repeat(np.arange(len(KINDS)), self._plan.slots)
        return Chance(self._plan.seed, 4).draw_each(np.stack(laws), kinds).reshape(len(KINDS), -1)

    def _day(self, day: int) -> Integers:
        """Return the weights of a day. Shape: (users, 144)."""
        people, slots = self._people, day * DAY_SLOTS + np.arange(DAY_SLOTS)
        monday = (self._plan.start_unix_s // SLOT_S + 3 * DAY_SLOTS) % (7 * DAY_SLOTS)  # 1970-01-01 was a Thursday
        local = (monday + slots[np.newaxis, :] + people.zone_slots[:, np.newaxis]) % (7 * DAY_SLOTS)
        weights = self._week[people.kind[:, np.newaxis], local] * self._bursts[people.kind][:, slots] // 1_000
        weights = np.where(self._person[:, np.newaxis], weights * 2 * self._at_it(slots), weights) + (weights > 0)
        since = slots[np.newaxis, :] - people.first_slot[:, np.newaxis]
        ramp = np.where(people.first_slot[:, np.newaxis] > 0, np.clip(since * 100 // _RAMP_SLOTS, 10, 100), 100)
        there = (since >= 0) & (slots[np.newaxis, :] < people.last_slot[:, np.newaxis])
        weights = np.where(there, weights * ramp // 100, 0) * people.rate[:, np.newaxis] // 1_000
        return self._spiked(weights, slots)

    def _at_it(self, slots: Integers) -> Flags:
        """Return whether a person's session is under way: half of the hours, by a number made of user, hour and seed."""
        hours = (slots // _HOUR_SLOTS).astype(np.uint64)[np.newaxis, :]
        users = np.arange(len(self._people.kind), dtype=np.uint64)[:, np.newaxis]
        seed = mixed(np.array([self._plan.seed], dtype=np.uint64))
        odd: Flags = (mixed((users << np.uint64(32)) + hours + seed) & np.uint64(1)) == 1
        return odd

    def _spiked(self, weights: Integers, slots: Integers) -> Integers:
        for incident in self._events.incidents:
            if incident.kind == "traffic_spike":
                first, last = (
                    (moment - self._plan.start_unix_s) // SLOT_S
                    for moment in (incident.start_unix_s, incident.end_unix_s)
                )
                within = (slots >= first) & (slots < last)
                mine = self._people.tenant == self._people.tenants.index(incident.subject)
                factor = np.where(mine[:, np.newaxis] & within[np.newaxis, :], incident.factor_pct, 100)
                weights = weights * factor // 100
        return weights

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yield runs of slots [first, last) that hold about CHUNK_CALLS everyday calls, over the whole time."""
        first, held = 0, 0
        for slot, count in enumerate(self.counts.tolist()):
            held += count
            if held >= CHUNK_CALLS or slot == self._plan.slots - 1:
                yield first, slot + 1
                first, held = slot + 1, 0

    def calls(self) -> Iterator[tuple[int, int, Integers, Integers]]:
        """Yield for each chunk: its first slot, its last, the times and the users of its calls, in order of time."""
        day, running = -1, np.zeros((0, 0), dtype=np.int64)
        for first, last in self.chunks():
            parts: list[tuple[Integers, Integers]] = []
            for slot in range(first, last):
                if slot // DAY_SLOTS != day:
                    day = slot // DAY_SLOTS
                    running = np.cumsum(self._day(day) >> self._shift, axis=0)
                if count := int(self.counts[slot]):
                    parts.append(self._slot(slot, running[:, slot % DAY_SLOTS], count))
            started, user = (np.concatenate([one[place] for one in parts] or [_NONE]) for place in (0, 1))
            yield first, last, started, user

    def _slot(self, slot: int, running: Integers, count: int) -> tuple[Integers, Integers]:
        chance = Chance(self._plan.seed, 5, slot)
        start_us = (self._plan.start_unix_s + slot * SLOT_S) * MILLION
        started = start_us + np.sort(chance.below(SLOT_S * MILLION, count))
        return started, chance.pick(running, count)


_NONE = np.zeros(0, dtype=np.int64)


def _dealt(records: int, weights: Integers) -> Integers:
    """Return how many of the records each slot has, by its weight. Shape: they add up to the records."""
    scaled = weights >> max(0, int(weights.sum()).bit_length() - 34)  # records x sum stays below 2^63
    running = np.concatenate([[0], np.cumsum(scaled)])
    return np.diff(records * running // max(1, int(running[-1])))
