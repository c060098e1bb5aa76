import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, Table, select, text
from sqlalchemy.exc import IntegrityError

from analytics.ingest.decode import decode
from analytics.store import calls, database, records
from analytics.store.tables import DOOR_CALLS, METADATA
from analytics.types import DecisionRow
from tests.analytics.traffic import record


def test_migrations_lead_to_the_metadata(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    database.migrate(engine)
    with engine.connect() as connection:
        assert database.revision(connection) == database.newest_revision()


def test_empty_database_has_no_revision(url: str) -> None:
    engine = database.connect(url)
    with engine.connect() as connection:
        assert database.revision(connection) is None
    engine.dispose()


def test_sqlite_runs_with_write_ahead_log_and_foreign_keys(sqlite_engine: Engine) -> None:
    with sqlite_engine.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in names]
    assert values == ["wal", 2, 1, 10_000]


def test_writing_rolls_back_when_its_body_raises(engine: Engine) -> None:
    def insert_twice() -> None:
        with database.writing(engine) as connection:
            connection.execute(text("INSERT INTO series VALUES (1, '', '', '', '', '')"))
            connection.execute(text("INSERT INTO series VALUES (1, '', '', '', '', '')"))

    with pytest.raises(IntegrityError):
        insert_twice()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM series")).scalar() == 0


def _older(url: str, revision: str, rows: list[DecisionRow]) -> Engine:
    """Return a database at an older revision with records in it, as that revision would have stored them."""
    engine = database.connect(url)
    with database.writing(engine) as connection:
        config = database._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        there = MetaData()
        held = Table("records", there, autoload_with=connection)
        for row in rows:
            moved = {
                name: getattr(row, name) for name in ("session", "finish_reason", "prompt_chars", "response_chars")
            }
            detail = dict(row.detail) | {name: value for name, value in moved.items() if value}
            values = {name: getattr(row, name) for name in held.c.keys() if name != "detail"}  # noqa: SIM118 - columns
            connection.execute(held.insert(), values | {"detail": detail})
    return engine


def test_an_older_database_gets_its_calls_by_door_from_its_records(url: str) -> None:
    """Revision 0002 counts what is recorded already, exactly as storing would have."""
    rows = [decode(record(number, door="proxy" if number % 3 else "gateway")) for number in range(25)]
    engine = _older(url, "0001", rows)
    database.migrate(engine)
    with database.writing(engine) as connection:
        migrated = [tuple(row) for row in connection.execute(select(DOOR_CALLS).order_by(DOOR_CALLS.c.door))]
        calls.rebuild(connection, [rows])
        rebuilt = [tuple(row) for row in connection.execute(select(DOOR_CALLS).order_by(DOOR_CALLS.c.door))]
    assert migrated == rebuilt != []
    engine.dispose()


def test_an_older_database_keeps_what_its_records_said(url: str) -> None:
    """Revision 0003 moves fields out of `detail`; what reads them finds them in their columns."""
    rows = [decode(record(number, session=f"s{number % 2}")) for number in range(5)]
    engine = _older(url, "0002", rows)
    database.migrate(engine)
    with engine.connect() as connection:
        held = records.read(connection, [row.decision_id for row in rows])
    assert [(one.session, one.finish_reason, one.prompt_chars, one.attempt, one.team) for one in held.values()] == [
        (row.session, row.finish_reason, row.prompt_chars, 0, "") for row in rows
    ]
    engine.dispose()
