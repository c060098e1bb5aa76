import pytest
from sqlalchemy import Engine

from analytics.ingest.decode import decode
from analytics.store import database, records, usage
from analytics.types import DAY_S, HOUR_S, MINUTE_S, ThreatCount, Totals, Usage, Window
from tests.analytics.conftest import NOW_UNIX_S
from tests.analytics.traffic import BEGAN_UNIX_US, record

BEGAN_UNIX_S = BEGAN_UNIX_US // 1_000_000


def fill(engine: Engine, count: int) -> None:
    with database.writing(engine) as connection:
        records.store(connection, [decode(record(number)) for number in range(count)])


@pytest.mark.parametrize(
    ("seconds", "window"),
    [
        (HOUR_S, Window(2_400 + 120, 6_120 + 60, MINUTE_S)),
        (DAY_S, Window(0, 25 * HOUR_S, HOUR_S)),
        (14 * DAY_S, Window(0, 14 * DAY_S + HOUR_S, HOUR_S)),
        (15 * DAY_S, Window(0, 16 * DAY_S, DAY_S)),
    ],
)
def test_window_covers_the_seconds_in_whole_buckets(seconds: int, window: Window) -> None:
    assert usage.last(seconds, seconds + 2_525.5) == window


def test_numbers_of_a_window(engine: Engine) -> None:
    fill(engine, 40)
    with engine.connect() as connection:
        found = usage.read(connection, usage.last(HOUR_S, NOW_UNIX_S))
    totals = found.totals
    assert (totals.requests, totals.outcome_answered, totals.outcome_denied, totals.threats) == (40, 36, 4, 8)
    assert sum(totals.latency.values()) == totals.latency_count == 36
    assert [(name, one.requests) for name, one in found.models] == [
        ("gpt-4o", 14),
        ("claude-sonnet-4-5", 13),
        ("gpt-4o-mini", 13),
    ]
    assert (found.unique_users, found.unique_models) == (20, 3)
    assert [(name, one.requests) for name, one in found.endpoints] == [("/v1/chat/completions", 40)]
    assert found.threats == (
        ThreatCount("jailbreak", 4, ("user-19", "user-9")),
        ThreatCount("prompt_injection", 4, ("user-19", "user-9")),
    )
    assert [(start, one.requests) for start, one in found.timeline if one.requests] == [(BEGAN_UNIX_S - 40, 40)]
    assert len(found.timeline) == 61


@pytest.mark.parametrize("days", [1, 7, 30, 366])
def test_each_grain_tells_the_same(engine: Engine, days: int) -> None:
    fill(engine, 40)
    with engine.connect() as connection:
        minutes = usage.read(connection, usage.last(HOUR_S, NOW_UNIX_S))
        found = usage.read(connection, usage.last(days * DAY_S, NOW_UNIX_S))
    assert found.totals == minutes.totals
    assert (found.models, found.users, found.threats) == (minutes.models, minutes.users, minutes.threats)
    assert len(found.timeline) <= 367


def test_an_empty_window_is_all_zeros(engine: Engine) -> None:
    window = Window(0, 2 * DAY_S, DAY_S)
    with engine.connect() as connection:
        found = usage.read(connection, window)
    assert found == Usage(window, Totals(), timeline=((0, Totals()), (DAY_S, Totals())))
