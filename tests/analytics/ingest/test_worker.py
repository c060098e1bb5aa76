"""Workers between a real Redis and a real database: nothing lost, nothing doubled, the unwritable put aside."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from douane.v1 import control_pb2 as pb
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DataError, OperationalError

from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.ingest.depths import StreamMetrics
from analytics.ingest.stream import Depth, Limit, RecordStream, shard_of
from analytics.ingest.worker import Desk, Pace, Worker
from analytics.redis_client import Link
from analytics.store.tables import RECORDS, ROLLUPS
from analytics.telemetry import Metrics
from analytics.types import DecisionRow, Stored
from tests.analytics.traffic import record
from tests.support import redis_server
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.server
SHARD = shard_of("default")
QUICK = Pace(idle_ms=200, block_ms=20, tries=2)
EMPTY = Depth(0, 0, 0, 0, None)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path / "redis") as one:
        yield one


@pytest.fixture
def stream(server: RedisServer) -> Iterator[RecordStream]:
    link = Link(server.url)
    yield RecordStream(link, Limit(1_000, 1 << 20))
    link.close()


class Store:
    """Keeps ids in memory, and fails as it is told to."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.errors: list[Exception] = []
        self.poison: Callable[[], Exception] | None = None

    def __call__(self, rows: Sequence[DecisionRow]) -> Stored:
        if self.errors:
            raise self.errors.pop(0)
        if self.poison and any(row.model == "poison" for row in rows):
            raise self.poison()
        self.ids += [row.decision_id for row in rows]
        return Stored(len(rows), 0, tuple(rows))


@contextmanager
def working(stream: RecordStream, store: Callable[[Sequence[DecisionRow]], Stored]) -> Iterator[Metrics]:
    metrics = Metrics(10, 100, 5.0)
    with ThreadPoolExecutor(1) as writer:
        desk = Desk(store, writer, metrics, StreamMetrics(metrics.registry))
        worker = Worker(stream, desk, "alive", QUICK)
        worker.start()
        try:
            yield metrics
        finally:
            worker.stop()


def append(stream: RecordStream, *numbers: int, **fields: object) -> None:
    batch = pb.PublishRequest(records=[record(number, **fields) for number in numbers])
    stream.append(SHARD, batch.SerializeToString())


def until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.025)
    raise AssertionError("it did not come about")


def ids(*numbers: int) -> list[str]:
    return [record(number).decision_id for number in numbers]


def test_batches_are_written_and_leave_the_stream(stream: RecordStream, engine: Engine) -> None:
    for first in range(0, 100, 10):
        append(stream, *range(first, first + 10))
    with working(stream, Books(engine).store) as metrics:
        until(lambda: stream.depth(SHARD) == EMPTY)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(RECORDS)).scalar() == 100
    assert metrics.registry.get_sample_value("douane_ingest_records_total", {"result": "stored"}) == 100


def test_what_a_dead_worker_left_after_its_commit_is_not_counted_twice(stream: RecordStream, engine: Engine) -> None:
    """The worst moment for a kill: the records are committed, the entry is still pending."""
    append(stream, 1, 2)
    append(stream, 3)
    assert stream.read(SHARD, "dead", 10, 1) == []
    held = stream.read(SHARD, "dead", 10, 1)
    Books(engine).store(_rows(1, 2))
    with working(stream, Books(engine).store) as metrics:
        until(lambda: stream.depth(SHARD) == EMPTY)
    with engine.connect() as connection:
        held_ids = sorted(connection.execute(select(RECORDS.c.decision_id)).scalars())
        counted = select(func.sum(ROLLUPS.c.requests)).where(ROLLUPS.c.grain_s == 60, ROLLUPS.c.cube == "traffic")
        assert (held_ids, connection.execute(counted).scalar()) == (ids(1, 2, 3), 3)
    assert metrics.registry.get_sample_value("douane_worker_claimed_batches_total") == len(held) == 2


def _rows(*numbers: int) -> list[DecisionRow]:
    return [decode(record(number)) for number in numbers]


def test_an_absent_database_delays_and_loses_nothing(stream: RecordStream) -> None:
    store = Store()
    store.errors = [OperationalError("insert", {}, OSError("away")) for _ in range(QUICK.tries + 2)]
    append(stream, 1, 2)
    with working(stream, store) as metrics:
        until(lambda: stream.depth(SHARD) == EMPTY)
    assert store.ids == ids(1, 2)
    failures = metrics.registry.get_sample_value("douane_worker_failures_total", {"kind": "database"})
    assert failures == QUICK.tries + 2


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (lambda: DataError("insert", {}, ValueError("too long")), "it cannot be stored: ValueError"),
        (lambda: KeyError("a bug of ours"), "it cannot be stored: KeyError"),
    ],
)
def test_what_cannot_be_written_is_put_aside_alone(
    stream: RecordStream, poison: Callable[[], Exception], reason: str
) -> None:
    store = Store()
    store.poison = poison
    append(stream, 1)
    bad = record(2, model="poison")
    batch = pb.PublishRequest(records=[record(3), bad, record(4)])
    stream.append(SHARD, batch.SerializeToString())
    with working(stream, store) as metrics:
        until(lambda: stream.depth(SHARD).waiting == 0)
    assert sorted(store.ids) == ids(1, 3, 4)
    ((entry, why),) = stream.dead(SHARD, 10)
    assert (pb.PublishRequest.FromString(entry.batch), why) == (pb.PublishRequest(records=[bad]), reason)
    assert metrics.registry.get_sample_value("douane_worker_buried_batches_total") == 1
    store.poison = None
    stream.revive(SHARD, 10)
    with working(stream, store):
        until(lambda: stream.depth(SHARD) == EMPTY)
    assert sorted(store.ids) == ids(1, 2, 3, 4)


def test_what_is_no_batch_is_put_aside_whole(stream: RecordStream) -> None:
    stream.append(SHARD, b"\xff\xff\xff")
    bad = pb.PublishRequest(records=[record(1, decision_id="x"), record(2)])
    stream.append(SHARD, bad.SerializeToString())
    store = Store()
    with working(stream, store):
        until(lambda: stream.depth(SHARD).waiting == 0)
    assert store.ids == ids(2)
    rejected = pb.PublishRequest(records=[record(1, decision_id="x")]).SerializeToString()
    assert [(entry.batch, why) for entry, why in stream.dead(SHARD, 10)] == [
        (b"\xff\xff\xff", "not a batch of records"),
        (rejected, "decision_id is not 32 lower-case hex digits"),
    ]


def test_a_batch_that_workers_die_of_is_put_aside_and_others_are_not(stream: RecordStream) -> None:
    store = Store()
    append(stream, 1)
    append(stream, 2)
    stream.read(SHARD, "dead", 10, 1)
    killer, other = stream.read(SHARD, "dead", 10, 1)
    stream.tried(SHARD, killer, QUICK.tries)
    with working(stream, store):
        until(lambda: stream.depth(SHARD).waiting == 0)
    assert store.ids == ids(2)
    assert [(entry.batch, why) for entry, why in stream.dead(SHARD, 10)] == [
        (killer.batch, "workers ended again and again while they wrote it")
    ]
    assert stream.tried(SHARD, other, 0) == 0


def test_stopping_leaves_to_others_what_cannot_be_written_now(stream: RecordStream) -> None:
    store = Store()
    store.poison = lambda: OperationalError("insert", {}, OSError("away"))
    append(stream, 1, model="poison")
    with working(stream, store):
        until(lambda: stream.depth(SHARD).pending == 1)
    assert store.ids == []
    store.poison = None
    with working(stream, store):
        until(lambda: stream.depth(SHARD) == EMPTY)
    assert store.ids == ids(1)


def test_redis_may_go_and_come_back(stream: RecordStream, server: RedisServer) -> None:
    store = Store()
    append(stream, 1)
    with working(stream, store) as metrics:
        until(lambda: store.ids == ids(1))
        server.kill()
        failures = lambda: metrics.registry.get_sample_value("douane_worker_failures_total", {"kind": "redis"}) or 0  # noqa: E731
        until(lambda: failures() > 0)
        server.start()
        append(stream, 2)
        until(lambda: sorted(store.ids) == ids(1, 2) and stream.depth(SHARD) == EMPTY)
