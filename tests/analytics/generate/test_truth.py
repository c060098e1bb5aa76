from collections import Counter
from datetime import UTC, datetime

import msgspec

from analytics.generate import Plan, Truth, generate
from analytics.types import DAY_S, DecisionRow


def counted(values: object) -> dict[object, int]:
    return dict(Counter(values))  # type: ignore[call-overload]


def test_totals_are_exactly_those_of_the_rows(rows: list[DecisionRow], truth: Truth) -> None:
    totals = truth.totals
    assert totals.records == len(rows) == truth.plan.records
    assert totals.prompt_tokens == sum(row.prompt_tokens or 0 for row in rows)
    assert totals.completion_tokens == sum(row.completion_tokens or 0 for row in rows)
    assert totals.cost_nanousd == sum(row.cost_nanousd or 0 for row in rows)
    assert totals.priced == sum(row.cost_nanousd is not None for row in rows)
    assert totals.retries == sum(row.attempt > 0 for row in rows)
    assert totals.incomplete_coverage == sum(not row.complete for row in rows)
    assert totals.actions == counted(row.applied for row in rows)
    assert totals.levels == counted(row.level for row in rows)
    assert totals.outcomes == counted(row.outcome for row in rows)
    assert totals.threats == counted(threat.type for row in rows for threat in row.threats)
    assert totals.tenants == counted(row.tenant for row in rows)
    assert totals.models == counted(row.model for row in rows)
    assert totals.days == counted(row.started_unix_us // 1_000_000 // DAY_S * DAY_S for row in rows)


def test_people_are_those_of_the_rows(rows: list[DecisionRow], truth: Truth) -> None:
    calls = counted(row.user for row in rows)
    assert {person.user: person.records for person in truth.people if person.records} == calls
    tenants = {person.user: person.tenant for person in truth.people}
    assert all(tenants[row.user] == row.tenant for row in rows)
    assert set(truth.of_kind("attacker")) == {one.user for one in truth.people if one.kind == "attacker"} != set()


def test_everyday_calls_are_within_the_time_that_people_are_there(rows: list[DecisionRow], truth: Truth) -> None:
    there = {person.user: (person.from_unix_s, person.to_unix_s) for person in truth.people}
    taken_over = {user for one in truth.campaigns if one.kind == "takeover" for user in one.users}
    for row in rows:
        first, last = there[row.user]
        assert row.user in taken_over or first <= row.started_unix_us // 1_000_000 < last


def test_incidents_can_be_seen_in_the_rows(rows: list[DecisionRow], truth: Truth) -> None:
    for one in truth.incidents:
        during = [row for row in rows if one.start_unix_s <= row.started_unix_us // 1_000_000 < one.end_unix_s]
        if one.kind == "outage":
            mine = [row.outcome for row in during if row.provider == one.subject]
            assert mine.count("upstream_error") > len(mine) / 2 > 0
        elif one.kind == "sidecar_silent":
            assert one.subject not in {row.detail["sidecar"] for row in during}
    assert any(row.failure == "deadline" for row in rows)


def test_json_is_the_truth_and_the_same_each_time(truth: Truth) -> None:
    written = msgspec.json.decode(truth.json())
    assert written["plan"]["records"] == 40_000
    assert written["totals"]["records"] == 40_000
    assert [one["name"] for one in written["campaigns"]] == [one.name for one in truth.campaigns]
    assert len(written["people"]) == truth.plan.population
    assert truth.json() == truth.json()


def test_numbers_grow_while_it_is_read() -> None:
    traffic = generate(Plan(records=30_000, seed=1))
    assert traffic.truth.totals.records == 0
    first = len(next(traffic))
    assert traffic.truth.totals.records == first < 30_000
    assert datetime.fromtimestamp(traffic.plan.end_unix_s, UTC).isoformat() == "2026-11-18T11:10:00+00:00"
