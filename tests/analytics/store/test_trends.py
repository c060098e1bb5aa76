"""What the trend rules look at, from stored records and coverage reports, on both engines."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Engine

from analytics import config
from analytics.ingest.coverage import decode_coverage
from analytics.ingest.decode import decode
from analytics.store import coverage, database, records, sketch, trends
from analytics.types import DAY_S, HOUR_S, DecisionRow
from analytics.types.trends import Calls, SidecarState, Spending
from tests.analytics.coverage_traffic import report, sight
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record

SETTINGS = config.load()
BEGAN_S = BEGAN_UNIX_US // 1_000_000
NOW = BEGAN_S // HOUR_S * HOUR_S + 1_800  # half past the hour
USD = 10**9


def call(number: int, ago_s: int, **fields: Any) -> DecisionRow:
    """Return an answered call of gpt-4o that began so long before NOW."""
    started = (NOW - ago_s) * 1_000_000
    values = {"decision_id": decision_id(number, started), "started_unix_us": started, "model": "gpt-4o"}
    return replace(decode(record(0)), **{**values, "cost_nanousd": USD, "total_us": 1_000_000} | fields)


def read(engine: Engine, *rows: DecisionRow) -> trends.Facts:
    with database.writing(engine) as connection:
        records.store(connection, rows)
    with engine.connect() as connection:
        return trends.read(connection, SETTINGS, NOW)


def test_the_last_minutes_and_the_same_hours_before(engine: Engine) -> None:
    slow = sketch.index(9_000_000)
    usual = sketch.index(1_000_000)
    facts = read(
        engine,
        call(1, 60, total_us=9_000_000),
        call(2, 120, total_us=9_000_000, outcome="upstream_error"),
        call(3, 20 * 60),  # before the window
        call(4, DAY_S),
        call(5, 7 * DAY_S),
        call(6, 8 * DAY_S),  # before the days
        call(7, DAY_S + 3 * HOUR_S),  # another hour
        call(8, DAY_S, model="not asked for now"),
    )
    recent = facts.recent["default", "gpt-4o"]
    assert (list(facts.recent), recent.requests, recent.errors, dict(recent.latency)) == (
        [("default", "gpt-4o")],
        2,
        1,
        {slow: 2},
    )
    assert {key: dict(found) for key, found in facts.usual.items()} == {("default", "gpt-4o"): {usual: 2}}


def test_spending_of_this_hour_and_before(engine: Engine) -> None:
    facts = read(
        engine,
        call(1, 60, cost_nanousd=5 * USD),
        call(2, 120, cost_nanousd=None),
        call(3, DAY_S, cost_nanousd=2 * USD),
        call(4, 2 * DAY_S - HOUR_S, cost_nanousd=45 * USD),
        call(5, 60, tenant="other"),
    )
    same = (2 * USD, 0, 0, 0, 0, 0, 0)
    assert facts.spending == {
        "default": Spending(5 * USD, same, 47 * USD / 47),
        "other": Spending(USD, (0,) * 7, 0.0),
    }


def test_calls_of_the_last_stretch_and_usual_ones(engine: Engine) -> None:
    day_before = [call(number, DAY_S + 1_700) for number in range(4)]
    facts = read(engine, *day_before, call(99, HOUR_S))
    assert facts.calls == {"default": Calls(0, (2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))}


def test_sidecars(engine: Engine) -> None:
    hour = NOW // HOUR_S * HOUR_S
    sent = report(
        sight("starts", hour_unix_s=hour - 3 * HOUR_S, count=1, revision=1),
        sight("records_lost", hour_unix_s=hour - 2 * HOUR_S, count=7, revision=2),
        sight("records_lost", hour_unix_s=hour - HOUR_S, count=2, revision=3),
        sight("records_lost", hour_unix_s=hour, count=1, revision=4),
    )
    with database.writing(engine) as connection:
        coverage.store(connection, decode_coverage(sent), NOW - 400)
    facts = read(engine)
    (one,) = facts.sidecars
    assert one == SidecarState(one.name, sent.source, NOW - 400, True, {"records_lost": 3})
    ended = report(sight("clean_stops", hour_unix_s=hour, count=1, revision=5))
    with database.writing(engine) as connection:
        coverage.store(connection, decode_coverage(ended), NOW - 300)
    (one,) = read(engine).sidecars
    assert (one.running, one.last_seen_unix_s) == (False, NOW - 300)
    with engine.connect() as connection:
        assert trends.read(connection, SETTINGS, NOW + 3 * DAY_S).sidecars == ()
