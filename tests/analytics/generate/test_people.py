from collections import Counter

import numpy as np

from analytics.generate import Plan
from analytics.generate.models import MODELS
from analytics.generate.people import KIND, KINDS, populate, week
from analytics.generate.plan import DAY_SLOTS


def test_there_is_one_of_each_kind_at_least_and_the_rest_by_their_shares() -> None:
    small = populate(Plan(records=1, users=9))
    assert small.kind.tolist() == list(range(9))
    counts = Counter(populate(Plan(records=1, users=3_000)).kind.tolist())
    assert {KINDS[kind].name: count for kind, count in counts.items()} == {
        "office_worker": counts[0],
        "developer": 718,
        "batch_job": 60,
        "service_account": 120,
        "heavy_user": 45,
        "newcomer": 210,
        "dormant": 180,
        "attacker": 24,
        "curious_tester": 81,
    }
    assert sum(counts.values()) == 3_000
    assert 1_555 <= counts[0] <= 1_565


def test_names_are_unique_and_tenants_all_have_somebody() -> None:
    people = populate(Plan(records=1, users=400, tenants=4))
    assert len(set(people.names)) == 400
    assert people.tenants == ("default", "tenant-2", "tenant-3", "tenant-4")
    assert set(people.tenant.tolist()) == {0, 1, 2, 3}
    assert (people.sidecar // 3).tolist() == people.tenant.tolist()


def test_newcomers_come_late_and_the_dormant_fall_silent() -> None:
    plan = Plan(records=1, users=1_000)
    people = populate(plan)
    for name, first, last in (("newcomer", 0.30, 1.0), ("dormant", 0.0, 0.45)):
        mine = people.kind == KIND[name]
        assert people.first_slot[mine].min() >= first * plan.slots
        assert people.last_slot[mine].max() <= last * plan.slots
    others = ~np.isin(people.kind, [KIND["newcomer"], KIND["dormant"]])
    assert set(people.first_slot[others].tolist()) == {0}
    assert set(people.last_slot[others].tolist()) == {plan.slots}


def test_every_week_has_the_same_mean_and_its_own_shape() -> None:
    table = week()
    assert table.shape == (len(KINDS), 7 * DAY_SLOTS)
    assert (abs(table.mean(axis=1) - 1_000) < 1).all()
    office, jobs = table[KIND["office_worker"]], table[KIND["batch_job"]]
    monday, sunday = office[:DAY_SLOTS], office[6 * DAY_SLOTS :]
    assert 19 < monday.sum() / sunday.sum() < 21
    assert int(monday.argmax()) // 6 == 14
    assert int(jobs[:DAY_SLOTS].argmax()) // 6 in (2, 3)
    assert jobs[12 * 6] == 0


def test_models_are_weighed_over_the_whole_list() -> None:
    assert {len(kind.models) for kind in KINDS} == {len(MODELS)}
