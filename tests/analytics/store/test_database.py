import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError

from analytics.ingest.decode import decode
from analytics.store import calls, database, records
from analytics.store.tables import DOOR_CALLS, METADATA
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


def test_an_older_database_gets_its_calls_by_door_from_its_records(url: str) -> None:
    """Revision 0002 counts what is recorded already, exactly as storing would have."""
    engine = database.connect(url)
    with database.writing(engine) as connection:
        config = database._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    rows = [decode(record(number, door="proxy" if number % 3 else "gateway")) for number in range(25)]
    with database.writing(engine) as connection:
        records._write(connection, rows, replaced=[])
    database.migrate(engine)
    with database.writing(engine) as connection:
        migrated = [tuple(row) for row in connection.execute(select(DOOR_CALLS).order_by(DOOR_CALLS.c.door))]
        calls.rebuild(connection, [rows])
        rebuilt = [tuple(row) for row in connection.execute(select(DOOR_CALLS).order_by(DOOR_CALLS.c.door))]
    assert migrated == rebuilt != []
    engine.dispose()
