import pytest
from sqlalchemy import Connection, Engine, func, select

from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.store.tables import RECORDS
from analytics.types import Stored
from tests.analytics.traffic import record


def _held(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(RECORDS)).scalar_one()


def test_ledgers_run_in_the_transaction_and_listeners_after_it(engine: Engine) -> None:
    seen: list[object] = []

    def ledger(connection: Connection, stored: Stored) -> None:
        with engine.connect() as other:
            seen.append(("ledger", stored.stored, _held(connection), _held(other)))

    def listener(stored: Stored) -> None:
        with engine.connect() as other:
            seen.append(("listener", stored.stored, _held(other)))

    Books(engine, [ledger], [listener]).store([decode(record(number)) for number in range(3)])
    assert seen == [("ledger", 3, 3, 0), ("listener", 3, 3)]


def test_a_ledger_that_raises_leaves_nothing(engine: Engine) -> None:
    told: list[Stored] = []

    def ledger(_connection: Connection, _stored: Stored) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        Books(engine, [ledger], [told.append]).store([decode(record(1))])
    with engine.connect() as connection:
        assert (_held(connection), told) == (0, [])
