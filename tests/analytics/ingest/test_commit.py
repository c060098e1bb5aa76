import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest
from douane.v1 import decision_pb2 as pb
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DataError, OperationalError

from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.ingest.price import Prices
from analytics.store import partitions
from analytics.store.tables import RECORDS, ROLLUPS
from analytics.types import DecisionRow, Stored
from tests.analytics.traffic import record


class Slow:
    """A ledger that lets others queue behind the first transaction, and may choke on a model."""

    def __init__(self, poison: str = "") -> None:
        self.poison = poison
        self.begun, self.go = Event(), Event()
        self.sizes: list[int] = []

    def __call__(self, _connection: Connection, stored: Stored) -> None:
        self.begun.set()
        assert self.go.wait(30)
        if any(change.row.model == self.poison for change in stored.changes):
            raise DataError("insert", {}, ValueError("poison"))
        self.sizes.append(len(stored.changes))


def _queued(books: Books, slow: Slow, batches: list[list[DecisionRow]]) -> list[Future[Stored]]:
    """Store the first batch, and the others while its transaction runs; return what became of each."""
    with ThreadPoolExecutor(len(batches)) as threads:
        first = threads.submit(books.store, batches[0])
        assert slow.begun.wait(30)
        rest = [threads.submit(books.store, batch) for batch in batches[1:]]
        while len(books._waiting) < len(rest):
            time.sleep(0.001)
        slow.go.set()
    return [first, *rest]


def test_batches_that_wait_share_a_transaction_and_each_learns_its_own(engine: Engine) -> None:
    slow = Slow()
    rows = [decode(record(number)) for number in range(30)]
    batches = [rows[:10], rows[10:20], [*rows[20:], rows[25]], rows[5:8]]
    first, *rest = [one.result() for one in _queued(Books(engine, [slow]), slow, batches)]
    assert slow.sizes == [10, 20]
    assert [(one.stored, one.unchanged, len(one.counted), len(one.changes)) for one in (first, *rest)] == [
        (10, 0, 10, 10),
        (10, 0, 10, 10),
        (10, 1, 10, 10),
        (0, 3, 0, 0),
    ]
    with engine.connect() as connection:
        assert _held(connection) == 30


def test_a_batch_that_cannot_be_stored_fails_alone(engine: Engine) -> None:
    slow = Slow(poison="poison")
    good, other, bad = ([decode(record(number, model=model))] for number, model in enumerate(("a", "b", "poison")))
    first, second, third = _queued(Books(engine, [slow]), slow, [good, other, bad])
    assert (first.result().stored, second.result().stored) == (1, 1)
    with pytest.raises(DataError):
        third.result()
    with engine.connect() as connection:
        assert _held(connection) == 2


def test_a_database_that_is_away_fails_all_that_wait(engine: Engine) -> None:
    def away(_connection: Connection, _stored: Stored) -> None:
        raise OperationalError("insert", {}, OSError("away"))

    books = Books(engine, [away])
    with pytest.raises(OperationalError):
        books.store([decode(record(1))])
    with engine.connect() as connection:
        assert _held(connection) == 0


def test_records_are_given_their_prices(engine: Engine) -> None:
    stored = Books(engine, prices=Prices()).store([decode(record(3))])
    assert [row.cost_nanousd for row in stored.counted] == [103 * 2_500 + 40 * 10_000]


@pytest.mark.server
def test_days_that_are_met_get_their_partitions(postgres_engine: Engine) -> None:
    Books(postgres_engine).store([decode(record(1))])
    with postgres_engine.connect() as connection:
        assert partitions.held(connection) == {partitions.day_of(record(1).decision_id)}


def test_records_of_one_id_that_differ_in_their_start_are_one(engine: Engine) -> None:
    """The id is the key, whatever a later stage says of the start; it is counted where the last one says."""
    first = decode(record(3, stage=pb.STAGE_INCOMPLETE))
    later = decode(record(3))
    later = replace(later, started_unix_us=later.started_unix_us + 86_400_000_000)
    books = Books(engine)
    assert [books.store([row]).stored for row in (first, later, first)] == [1, 1, 0]
    with engine.connect() as connection:
        assert connection.execute(select(RECORDS.c.started_unix_us)).scalars().all() == [later.started_unix_us]
        days = select(ROLLUPS.c.bucket_unix_s).where(ROLLUPS.c.grain_s == 86_400, ROLLUPS.c.cube == "traffic")
        assert connection.execute(days).scalars().all() == [later.started_unix_us // 86_400_000_000 * 86_400]


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
