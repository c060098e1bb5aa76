from dataclasses import replace

import numpy as np
import pytest

from analytics.generate import Plan
from analytics.generate.events import Events, Incident, happen
from analytics.generate.people import KIND, Population, populate
from analytics.generate.plan import SLOT_S
from analytics.generate.rhythm import CHUNK_CALLS, Rhythm

NONE = np.zeros(0, dtype=np.int64)
QUIET = Events((), (), NONE, NONE, NONE, NONE)
PLAN = Plan(records=60_000, seed=3, days=14)


@pytest.fixture(scope="module")
def people() -> Population:
    return populate(PLAN)


def users_and_slots(people: Population, events: Events) -> tuple[np.ndarray, np.ndarray]:
    chunks = list(Rhythm(PLAN, people, events).calls())
    started, user = (np.concatenate([chunk[place] for chunk in chunks]) for place in (2, 3))
    return user, (started // 1_000_000 - PLAN.start_unix_s) // SLOT_S


@pytest.mark.parametrize("records", [1, 7, 499, 60_000, 5_000_000])
def test_every_record_is_dealt(records: int) -> None:
    plan = Plan(records=records, seed=3)
    people = populate(plan)
    events = happen(plan, people)
    assert int(Rhythm(plan, people, events).counts.sum()) == records - len(events.started_us)


def test_chunks_cover_the_time_in_order(people: Population) -> None:
    rhythm = Rhythm(PLAN, people, QUIET)
    chunks = list(rhythm.chunks())
    assert [first for first, _ in chunks] == [0, *(last for _, last in chunks[:-1])]
    assert chunks[-1][1] == PLAN.slots
    assert all(rhythm.counts[first : last - 1].sum() < CHUNK_CALLS for first, last in chunks)
    for first, last, started, _ in rhythm.calls():
        assert (np.diff(started) >= 0).all()
        assert started[0] >= (PLAN.start_unix_s + first * SLOT_S) * 1_000_000
        assert started[-1] < (PLAN.start_unix_s + last * SLOT_S) * 1_000_000


def test_who_is_not_there_does_not_call(people: Population) -> None:
    user, slot = users_and_slots(people, QUIET)
    assert (slot >= people.first_slot[user]).all()
    assert (slot < people.last_slot[user]).all()


def test_office_workers_call_in_office_hours_of_weekdays_and_services_always(people: Population) -> None:
    user, slot = users_and_slots(people, QUIET)
    local_s = PLAN.start_unix_s + (slot + people.zone_slots[user]) * SLOT_S
    hour, weekday = local_s // 3_600 % 24, (local_s // 86_400 + 3) % 7
    office, service = (people.kind[user] == KIND[name] for name in ("office_worker", "service_account"))
    assert (weekday[office] < 5).mean() > 0.93
    assert ((hour[office] >= 7) & (hour[office] < 19)).mean() > 0.95
    by_hour = np.bincount(hour[service], minlength=24)
    assert 1.5 < by_hour.max() / by_hour.min() < 6


def test_a_traffic_spike_multiplies_the_calls_of_its_tenant(people: Population) -> None:
    start = PLAN.start_unix_s + 600 * SLOT_S
    spike = Incident("traffic_spike", "default", start, start + 18 * SLOT_S, 600)
    counts = []
    for events in (QUIET, replace(QUIET, incidents=(spike,))):
        user, slot = users_and_slots(people, events)
        within = (slot >= 600) & (slot < 618)
        counts.append([int((within & (people.tenant[user] == tenant)).sum()) for tenant in (0, 1)])
    (usual, other), (spiked, same) = counts
    assert 4.5 < spiked / usual < 7
    assert 0.5 < same / other < 1.5
