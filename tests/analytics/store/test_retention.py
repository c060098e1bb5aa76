"""What is kept how long, on both engines."""

import pytest
from sqlalchemy import Engine, func, select

from analytics import config
from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.store import partitions, records, retention
from analytics.store.retention import Keep, Removed
from analytics.store.tables import DOOR_CALLS, LABEL_ROLLUPS, ROLLUPS, SERIES, THREATS
from analytics.types import DAY_S, HOUR_S, MINUTE_S, DecisionRow
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record

DAY_US = 86_400_000_000
TODAY = partitions.today(BEGAN_UNIX_US / 1e6)
NOW_S = BEGAN_UNIX_US / 1e6
KEEP = Keep(records=30, minutes=7, hours=60, days=400)


def _row(number: int, day: int) -> DecisionRow:
    started = BEGAN_UNIX_US + day * DAY_US + number
    return decode(record(number, decision_id=decision_id(number, started), timings={"started_unix_us": started}))


def _held(engine: Engine, rows: list[DecisionRow]) -> list[DecisionRow]:
    with engine.connect() as connection:
        found = records.read(connection, [row.decision_id for row in rows])
    return [row for row in rows if row.decision_id in found]


def _buckets(engine: Engine) -> dict[int, set[int]]:
    """Return the days before today that have sums, by grain."""
    found: dict[int, set[int]] = {grain: set() for grain in (MINUTE_S, HOUR_S, DAY_S)}
    with engine.connect() as connection:
        for table in (ROLLUPS, LABEL_ROLLUPS):
            for grain, bucket in connection.execute(select(table.c.grain_s, table.c.bucket_unix_s)):
                found[grain].add(TODAY - bucket // DAY_S)
    return found


def test_what_is_too_old_goes_day_by_day(engine: Engine) -> None:
    ages = (0, 7, 8, 30, 31, 60, 61, 400, 401)
    rows = [_row(9, -age) for age in ages]
    Books(engine).store(rows)
    removed = retention.tend(engine, KEEP, NOW_S)
    assert _held(engine, rows) == [row for row, age in zip(rows, ages, strict=True) if age <= 30]
    assert _buckets(engine) == {MINUTE_S: {0, 7}, HOUR_S: {0, 7, 8, 30, 31, 60}, DAY_S: set(ages) - {401}}
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(THREATS)).scalar_one() == 2 * 4
        assert connection.execute(select(func.min(DOOR_CALLS.c.hour_unix_s))).scalar_one() // DAY_S == TODAY - 60
    gone = (5, 0) if engine.dialect.name == "postgresql" else (0, 5)
    assert (removed.days, removed.records) == gone
    assert retention.tend(engine, KEEP, NOW_S) == Removed(0, 0, 0)


def test_partitions_are_made_ahead(engine: Engine) -> None:
    retention.tend(engine, KEEP, NOW_S)
    with engine.connect() as connection:
        ahead = set(range(TODAY, TODAY + partitions.AHEAD_DAYS + 1))
        assert partitions.held(connection) == (ahead if engine.dialect.name == "postgresql" else set())


def test_an_old_record_without_a_partition_goes_too(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "MOST", 0)
    monkeypatch.setattr(retention, "SLICE", 2)
    rows = [_row(number, -31) for number in range(7, 12)] + [_row(1, 0)]
    Books(engine).store(rows)
    assert retention.tend(engine, KEEP, NOW_S).records == 5
    assert _held(engine, rows) == rows[-1:]


def test_names_go_with_the_last_sum(engine: Engine) -> None:
    Books(engine).store([_row(1, -500), _row(2, 0)])
    retention.tend(engine, KEEP, NOW_S)
    with engine.connect() as connection:
        assert set(connection.execute(select(SERIES.c.user)).scalars()) == {"", "user-2"}


def test_days_without_end_are_kept(engine: Engine) -> None:
    Books(engine).store([_row(1, -2_000)])
    retention.tend(engine, Keep(30, 7, 60, 0), NOW_S)
    assert _buckets(engine)[DAY_S] == {2_000}


def test_a_guard_that_raises_stops_it(engine: Engine) -> None:
    rows = [_row(1, -31)]
    Books(engine).store(rows)

    def guard(_connection: object) -> None:
        raise RuntimeError("somebody else leads")

    with pytest.raises(RuntimeError, match="somebody else leads"):
        retention.tend(engine, KEEP, NOW_S, guard)
    assert _held(engine, rows) == rows


def test_the_settings_say_how_long() -> None:
    assert retention.keep_of(config.load(retention_days=3)) == Keep(3, 7, 180, 0)
