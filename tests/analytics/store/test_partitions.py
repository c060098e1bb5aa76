"""Partitions by day, on a real PostgreSQL; on SQLite nothing happens."""

import threading

import pytest
from alembic import command
from sqlalchemy import Engine, select, text

from analytics.ingest.decode import decode
from analytics.store import database, partitions, records
from analytics.store.tables import RECORDS, THREATS
from analytics.types import DecisionRow
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record

DAY_US = 86_400_000_000
TODAY = partitions.today(BEGAN_UNIX_US / 1e6)


def _row(number: int, day: int = 0) -> DecisionRow:
    """Return a record of some day after the traffic begins; number 9 has two threats."""
    started = BEGAN_UNIX_US + day * DAY_US + number
    return decode(record(number, decision_id=decision_id(number, started), timings={"started_unix_us": started}))


def _store(engine: Engine, *rows: DecisionRow) -> None:
    with database.writing(engine) as connection:
        records.store(connection, rows)


def _where(engine: Engine, table: str) -> dict[str, list[str]]:
    """Return which ids stand in which partition."""
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        query = text(f"SELECT tableoid::regclass::text, decision_id FROM {table} ORDER BY 2")
        for name, one in connection.execute(query):
            found.setdefault(name, []).append(one)
    return found


def test_days_of_ids() -> None:
    assert partitions.day_of(decision_id(1)) == TODAY
    assert [partitions.day_of(one) for one in ("", "x" * 32, "0" * 32, "f" * 32)] == [None] * 4
    assert partitions.named(TODAY) == "2026-11-18"
    first = partitions.first_id(BEGAN_UNIX_US)
    assert decision_id(7, BEGAN_UNIX_US - 1_000) < first < decision_id(0, BEGAN_UNIX_US)


def test_sqlite_has_none(sqlite_engine: Engine) -> None:
    assert partitions.make(sqlite_engine, [TODAY])
    assert partitions.drop(sqlite_engine, TODAY)
    with sqlite_engine.connect() as connection:
        assert partitions.held(connection) == set()


@pytest.mark.server
def test_records_go_into_the_partition_of_their_day(postgres_engine: Engine) -> None:
    assert partitions.make(postgres_engine, [TODAY, TODAY + 1])
    assert partitions.make(postgres_engine, [TODAY])  # again: nothing
    with postgres_engine.connect() as connection:
        assert partitions.held(connection) == {TODAY, TODAY + 1}
    rows = [_row(9), _row(1, day=1), _row(9, day=2)]
    _store(postgres_engine, *rows)
    names = ["d20261118", "d20261119", "default"]
    assert _where(postgres_engine, "records") == {
        f"records_{n}": [row.decision_id] for n, row in zip(names, rows, strict=True)
    }
    assert _where(postgres_engine, "threats") == {
        f"threats_{name}": [row.decision_id] * 2 for name, row in zip(names, rows, strict=True) if row.threats
    }


@pytest.mark.server
def test_a_record_never_fails_for_want_of_a_partition_and_moves_when_it_is_made(postgres_engine: Engine) -> None:
    rows = [_row(9), _row(9, day=-400), _row(9, day=9_000)]
    odd = [decode(record(9))]
    odd = [DecisionRow(**{name: getattr(odd[0], name) for name in DecisionRow.__slots__} | {"decision_id": "f" * 32})]
    _store(postgres_engine, *rows, *odd)
    assert list(_where(postgres_engine, "records")) == ["records_default"]
    assert partitions.make(postgres_engine, [TODAY - 400])
    assert _where(postgres_engine, "records")["records_d20251014"] == [rows[1].decision_id]
    assert _where(postgres_engine, "threats")["threats_d20251014"] == [rows[1].decision_id] * 2
    with postgres_engine.connect() as connection:
        assert records.read(connection, [row.decision_id for row in (*rows, *odd)]) == {
            row.decision_id: row for row in (*rows, *odd)
        }


@pytest.mark.server
def test_dropping_a_day_leaves_the_others(postgres_engine: Engine) -> None:
    partitions.make(postgres_engine, [TODAY, TODAY + 1])
    _store(postgres_engine, _row(9), _row(9, day=1))
    assert partitions.drop(postgres_engine, TODAY)
    assert _where(postgres_engine, "threats") == {"threats_d20261119": [_row(9, day=1).decision_id] * 2}
    with postgres_engine.connect() as connection:
        assert partitions.held(connection) == {TODAY + 1}


@pytest.mark.server
def test_a_reader_that_stays_holds_up_nobody(postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody reads for long, no partition is made or dropped; records go on being stored, and move later."""
    partitions.make(postgres_engine, [TODAY + 1])
    monkeypatch.setattr(partitions, "LOCK_WAIT", "50ms")
    with postgres_engine.connect() as reader:
        reader.execute(select(RECORDS)).all()
        assert not partitions.make(postgres_engine, [TODAY])
        _store(postgres_engine, _row(9))
        assert not partitions.drop(postgres_engine, TODAY + 1)
    assert partitions.make(postgres_engine, [TODAY])
    assert partitions.drop(postgres_engine, TODAY + 1)
    assert list(_where(postgres_engine, "records")) == ["records_d20261118"]


@pytest.mark.server
def test_two_that_make_the_same_day_take_turns(postgres_engine: Engine) -> None:
    done: list[bool] = []
    threads = [
        threading.Thread(target=lambda: done.append(partitions.make(postgres_engine, range(TODAY, TODAY + 4))))
        for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert done == [True, True]


def test_an_older_database_keeps_its_rows(url: str) -> None:
    """Revision 0004 moves every record and threat into the partition of its day."""
    engine = database.connect(url)
    with database.writing(engine) as connection:
        config = database._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    rows = [_row(number, day) for day in (-30, 0, 1) for number in range(8, 12)]
    with database.writing(engine) as connection:
        records._write(connection, rows, replaced=[])
    database.migrate(engine)
    with engine.connect() as connection:
        assert records.read(connection, [row.decision_id for row in rows]) == {row.decision_id: row for row in rows}
        assert len(connection.execute(select(THREATS)).all()) == 6
        days = partitions.held(connection)
    if engine.dialect.name == "postgresql":
        assert days == {TODAY - 30, TODAY, TODAY + 1}
        assert "records_default" not in _where(engine, "records")
    _store(engine, *rows)
    engine.dispose()
