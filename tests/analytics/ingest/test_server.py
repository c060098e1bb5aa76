"""DecisionLog.Publish and .Cover through a real gRPC server in process, over a real store."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Event

import grpc
import pytest
from douane.v1 import control_pb2 as pb
from douane.v1 import decision_pb2
from douane.v1.control_pb2_grpc import DecisionLogStub
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DataError, OperationalError

from analytics.ingest import server
from analytics.ingest.decode import decode
from analytics.store import coverage, database, records
from analytics.store.tables import PASS_THROUGH
from analytics.telemetry import Metrics
from analytics.types import CoverageRows, DecisionRow, Stored
from tests.analytics.coverage_traffic import host, report, sight
from tests.analytics.ingest.senders import guard
from tests.analytics.traffic import record


class Sink:
    """A store that stumbles over the rows it is told to, and remembers what was committed."""

    def __init__(self, poison: str = "", error: Callable[[], Exception] | None = None) -> None:
        self.poison = poison
        self.error = error
        self.rows: list[str] = []

    def __call__(self, rows: Sequence[DecisionRow]) -> Stored:
        if self.error is not None:
            raise self.error()
        if any(row.model == self.poison for row in rows):
            raise DataError("insert", {}, ValueError("not in this database"))
        self.rows += [row.decision_id for row in rows]
        return Stored(len(rows), 0, tuple(rows))


@asynccontextmanager
async def running(
    store: server.Store, metrics: Metrics, cover: server.Cover = lambda rows: 0
) -> AsyncIterator[DecisionLogStub]:
    with ThreadPoolExecutor(1) as writer:
        served = server.build(server.DecisionLog(store, cover, metrics, writer), guard())
        port = served.add_insecure_port("127.0.0.1:0")
        await served.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield DecisionLogStub(channel)
        await served.stop(1)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(10, 100, 5.0)


def storing(engine: Engine) -> server.Store:
    def store(rows: Sequence[DecisionRow]) -> Stored:
        with database.writing(engine) as connection:
            return records.store(connection, rows)

    return store


def batch(*numbers: int, **fields: object) -> pb.PublishRequest:
    return pb.PublishRequest(records=[record(number, **fields) for number in numbers])


@pytest.mark.server
async def test_acknowledged_records_are_committed_and_replays_unchanged(engine: Engine, metrics: Metrics) -> None:
    async with running(storing(engine), metrics) as log:
        answers = [await log.Publish(batch(*range(50))) for _ in range(2)]
    assert answers == [pb.PublishResponse(stored=50), pb.PublishResponse(unchanged=50)]
    ids = [record(number).decision_id for number in range(50)]
    with engine.connect() as connection:
        assert list(records.read(connection, ids)) == ids
    assert metrics.registry.get_sample_value("douane_ingest_records_total", {"result": "stored"}) == 50
    assert metrics.registry.get_sample_value("douane_ingest_records_total", {"result": "unchanged"}) == 50


@pytest.mark.server
async def test_a_record_without_id_is_rejected_alone(engine: Engine, metrics: Metrics) -> None:
    request = batch(1, 2)
    request.records.insert(1, decision_pb2.DecisionRecord(decision_id="y" * 100))
    async with running(storing(engine), metrics) as log:
        answer = await log.Publish(request)
    rejected = pb.Rejected(decision_id="y" * 64, reason="decision_id is not 32 lower-case hex digits")
    assert answer == pb.PublishResponse(stored=2, rejected=[rejected])


@pytest.mark.server
async def test_a_record_that_the_database_refuses_is_rejected_alone(metrics: Metrics) -> None:
    request = batch(1, 2, 3)
    request.records[1].model = "poison"
    sink = Sink(poison="poison")
    async with running(sink, metrics) as log:
        answer = await log.Publish(request)
    rejected = pb.Rejected(decision_id=request.records[1].decision_id, reason="it cannot be stored: ValueError")
    assert answer == pb.PublishResponse(stored=2, rejected=[rejected])
    assert sink.rows == [request.records[0].decision_id, request.records[2].decision_id]


@pytest.mark.server
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (lambda: OperationalError("insert", {}, OSError("locked")), grpc.StatusCode.UNAVAILABLE),
        (lambda: RuntimeError("a bug"), grpc.StatusCode.INTERNAL),
    ],
)
async def test_a_failing_store_is_an_error_and_never_an_answer(
    metrics: Metrics, error: Callable[[], Exception], code: grpc.StatusCode
) -> None:
    sink = Sink(error=error)
    async with running(sink, metrics) as log:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await log.Publish(batch(1))
        assert caught.value.code() == code
        sink.error = None
        assert await log.Publish(batch(1)) == pb.PublishResponse(stored=1)
    labels = {"code": code.name.lower()}
    assert metrics.registry.get_sample_value("douane_ingest_failed_batches_total", labels) == 1


@pytest.mark.server
async def test_an_empty_batch_is_answered(engine: Engine, metrics: Metrics) -> None:
    async with running(storing(engine), metrics) as log:
        assert await log.Publish(pb.PublishRequest()) == pb.PublishResponse()


@pytest.mark.server
async def test_the_missions_metrics_count_exchanges_that_ended(engine: Engine, metrics: Metrics) -> None:
    verdicts = batch(3, 9, stage=decision_pb2.STAGE_VERDICT)
    labels = {"model": "gpt-4o", "user": "user-9", "endpoint": "/v1/chat/completions"}
    async with running(storing(engine), metrics) as log:
        await log.Publish(verdicts)
        assert metrics.registry.get_sample_value("inference_requests_total", labels) is None
        for _ in range(2):
            await log.Publish(batch(3, 9))
    assert metrics.registry.get_sample_value("inference_requests_total", labels) == 1
    labels["user"] = "user-3"
    seconds = decode(record(3)).total_us / 1e6
    assert metrics.registry.get_sample_value("inference_latency_seconds_sum", labels) == seconds
    threat = {"threat_type": "jailbreak", "risk_level": "critical"}
    assert metrics.registry.get_sample_value("security_threats_total", threat) == 1


def covering(engine: Engine) -> server.Cover:
    def cover(rows: CoverageRows) -> int:
        with database.writing(engine) as connection:
            return coverage.store(connection, rows, 0)

    return cover


@pytest.mark.server
async def test_a_coverage_report_is_committed_and_a_replay_unchanged(engine: Engine, metrics: Metrics) -> None:
    sent = report(host(), host("pypi.org"), sight(), sight(revision=0))
    async with running(storing(engine), metrics, covering(engine)) as log:
        answers = [await log.Cover(sent), await log.Cover(sent)]
    assert [(one.stored, one.unchanged, one.rejected) for one in answers] == [(3, 0, 1), (0, 3, 1)]
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(PASS_THROUGH)).scalar() == 2


@pytest.mark.server
async def test_a_coverage_report_of_nobody_is_refused(metrics: Metrics) -> None:
    async with running(Sink(), metrics) as log:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await log.Cover(report(host(), source="nobody"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.server
async def test_a_database_that_is_away_keeps_the_report_with_its_sidecar(metrics: Metrics) -> None:
    def away(_rows: CoverageRows) -> int:
        raise OperationalError("insert", {}, ValueError("gone"))

    async with running(Sink(), metrics, away) as log:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await log.Cover(report(host()))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.server
async def test_more_in_hand_than_may_be_is_refused_and_taken_later(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_IN_HAND", 1)
    begun, go = Event(), Event()

    def slow(rows: Sequence[DecisionRow]) -> Stored:
        begun.set()
        assert go.wait(30)
        return Stored(len(rows), 0)

    async with running(slow, metrics) as log:
        first = asyncio.ensure_future(log.Publish(batch(1)))
        assert await asyncio.to_thread(begun.wait, 30)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await log.Publish(batch(2))
        go.set()
        assert await first == pb.PublishResponse(stored=1)
        assert await log.Publish(batch(2)) == pb.PublishResponse(stored=1)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    failed = metrics.registry.get_sample_value("douane_ingest_failed_batches_total", {"code": "resource_exhausted"})
    assert failed == 1
