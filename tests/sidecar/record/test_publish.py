"""Delivery: at least once, batch by batch, until analytics has it."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random

import grpc
import pytest
from douane.v1 import control_pb2 as control
from douane.v1.control_pb2_grpc import DecisionLogServicer, add_DecisionLogServicer_to_server
from douane.v1.decision_pb2 import STAGE_INCOMPLETE, DecisionRecord
from hypothesis import given
from hypothesis import strategies as st

from sidecar.app import _sender
from sidecar.record.publish import Publisher, frame
from sidecar.record.spool import Spool


def body(number: int, size: int = 0) -> bytes:
    return DecisionRecord(decision_id=f"{number:032x}", endpoint="x" * size).SerializeToString()


class Impatient(Random):
    """Waits half of what it must."""

    def random(self) -> float:
        return 0.0


class Counted:
    """Counts deliveries."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[int, int]] = []
        self.failures = 0
        self.refusals = 0

    def published(self, stored: int, rejected: int) -> None:
        self.deliveries.append((stored, rejected))

    def publish_failed(self) -> None:
        self.failures += 1

    def publish_refused(self) -> None:
        self.refusals += 1


class Analytics:
    """Takes what it is sent, unless told to fail or to reject."""

    def __init__(self) -> None:
        self.batches: list[list[DecisionRecord]] = []
        self.failures = 0
        self.refused: tuple[int, ...] = ()

    @property
    def ids(self) -> list[list[int]]:
        return [[int(record.decision_id, 16) for record in batch] for batch in self.batches]

    async def send(self, request: bytes) -> control.PublishResponse:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("UNAVAILABLE: away")
        return self.take(control.PublishRequest.FromString(request))

    def take(self, request: control.PublishRequest) -> control.PublishResponse:
        self.batches.append(list(request.records))
        rejected = [
            control.Rejected(decision_id=record.decision_id, reason="no such tenant")
            for record in request.records
            if int(record.decision_id, 16) in self.refused
        ]
        return control.PublishResponse(stored=len(request.records) - len(rejected), rejected=rejected)


class Delivery:
    """A publisher with everything it needs; time stands still unless it is moved."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "spool.db"
        self.spool = Spool(self.path)
        self.analytics = Analytics()
        self.counts = Counted()
        self.now_s = 100.0
        self.publisher = Publisher(self.spool, self.analytics.send, self.counts, lambda: self.now_s, Impatient())


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    return Delivery(tmp_path)


@given(st.lists(st.integers(0, 40_000), max_size=5))
def test_frame_is_what_protobuf_itself_writes(sizes: list[int]) -> None:
    records = [DecisionRecord(decision_id=str(n), endpoint="x" * size) for n, size in enumerate(sizes)]
    expected = control.PublishRequest(records=records).SerializeToString()
    assert frame([record.SerializeToString() for record in records]) == expected


async def test_what_waits_is_delivered_in_order_and_leaves_the_spool(delivery: Delivery) -> None:
    for number in range(1, 4):
        delivery.spool.add(body(number), final=True)
    assert await delivery.publisher.drain(1.0) == 0
    assert (delivery.analytics.ids, delivery.counts.deliveries) == ([[1, 2, 3]], [(3, 0)])
    assert Spool(delivery.path).waiting == 0


async def test_batches_are_bounded_in_number_and_size(delivery: Delivery) -> None:
    for number in range(501):
        delivery.spool.add(body(number), final=True)
    for number in range(501, 504):
        delivery.spool.add(body(number, 1_000_000), final=True)
    await delivery.publisher.drain(1.0)
    assert [len(batch) for batch in delivery.analytics.batches] == [500, 3, 1]


async def test_failed_delivery_is_tried_again_and_loses_nothing(
    delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    delivery.spool.add(body(1), final=True)
    delivery.analytics.failures = 2
    with caplog.at_level(logging.ERROR):
        assert await delivery.publisher.drain(1.0) == 0
    assert (delivery.counts.failures, delivery.analytics.ids) == (2, [[1]])


async def test_waits_grow_and_are_forgotten_after_a_success(
    delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    delivery.spool.add(body(1), final=True)
    delivery.analytics.failures = 2
    waits = [delivery.publisher._wait]
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await delivery.publisher._round()
            waits.append(delivery.publisher._wait)
    assert waits == [0.1, 0.2, 0.4, 0.1]


async def test_drain_gives_up_when_its_time_is_over(delivery: Delivery, caplog: pytest.LogCaptureFixture) -> None:
    delivery.spool.add(body(1), final=True)
    delivery.analytics.failures = 10**6
    assert await delivery.publisher.drain(0.0) == 1
    assert Spool(delivery.path).waiting == 1


async def test_rejected_records_are_set_aside_and_the_rest_is_delivered(delivery: Delivery) -> None:
    for number in range(1, 4):
        delivery.spool.add(body(number), final=True)
    delivery.analytics.refused = (2,)
    assert await delivery.publisher.drain(1.0) == 0
    assert delivery.counts.deliveries == [(2, 1)]
    with closing(sqlite3.connect(delivery.path)) as db:
        assert db.execute("SELECT reason, body FROM rejected").fetchall() == [("no such tenant", body(2))]


async def test_spool_that_cannot_forget_is_a_failed_delivery(
    delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """The records go again and are stored once; the publisher must not end."""
    delivery.spool.add(body(1), final=True)
    with closing(sqlite3.connect(delivery.path)) as other, caplog.at_level(logging.ERROR):
        delivery.spool._db.execute("PRAGMA busy_timeout=0")
        other.execute("BEGIN IMMEDIATE")
        await delivery.publisher._round()
        assert (delivery.counts.failures, delivery.spool.waiting) == (1, 1)
        other.rollback()
    await delivery.publisher._round()
    assert (delivery.analytics.ids, delivery.spool.waiting) == ([[1], [1]], 0)


async def test_long_exchanges_are_announced_once(delivery: Delivery) -> None:
    """So that a lost machine leaves a trace of them; short ones cost nothing extra."""
    long = delivery.spool.add(body(1), final=False)
    await delivery.publisher._round()
    assert delivery.analytics.batches == []
    delivery.now_s += 6
    await delivery.publisher._round()  # looks which are open
    short = delivery.spool.add(body(2), final=False)
    delivery.spool.complete(short, b"")
    await delivery.publisher._round()
    assert delivery.analytics.ids == [[2]]
    delivery.now_s += 6
    await delivery.publisher._round()
    await delivery.publisher._round()
    delivery.now_s += 6
    await delivery.publisher._round()
    assert delivery.analytics.ids == [[2], [1]]
    delivery.spool.complete(long, b"")
    await delivery.publisher.drain(1.0)
    assert delivery.analytics.ids == [[2], [1], [1]]


async def test_more_long_exchanges_than_a_batch_are_all_announced(delivery: Delivery) -> None:
    for number in range(1100):
        delivery.spool.add(body(number), final=False)
    for _ in range(5):
        delivery.now_s += 6
        await delivery.publisher._round()
    assert [number for batch in delivery.analytics.ids for number in batch] == list(range(1100))


async def test_run_goes_on_until_it_is_cancelled(delivery: Delivery) -> None:
    sent = asyncio.Event()

    async def send(request: bytes) -> control.PublishResponse:
        sent.set()
        return await delivery.analytics.send(request)

    publisher = Publisher(delivery.spool, send, delivery.counts, lambda: 0.0, Impatient())
    running = asyncio.create_task(publisher.run())
    for number in (1, 2):
        delivery.spool.add(body(number), final=True)
        await sent.wait()
        sent.clear()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert delivery.analytics.ids == [[1], [2]]


# ── against a real server ───────────────────────────────────────────────────────────────────────────────────────────


class Log(DecisionLogServicer):
    """Analytics' side of the contract, refusing whole calls as long as it is told to."""

    def __init__(self) -> None:
        self.analytics = Analytics()
        self.refusals = 0
        self.code = grpc.StatusCode.UNAVAILABLE

    async def Publish(  # noqa: N802 - gRPC's name
        self, request: control.PublishRequest, context: grpc.aio.ServicerContext
    ) -> control.PublishResponse:
        if self.refusals:
            self.refusals -= 1
            await context.abort(self.code, "migrating")
        return self.analytics.take(request)


@asynccontextmanager
async def sender(log: Log) -> AsyncIterator[Callable[[bytes], "asyncio.Future[control.PublishResponse]"]]:
    server = grpc.aio.server()
    add_DecisionLogServicer_to_server(log, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield _sender(channel)
    await server.stop(None)


@pytest.mark.server
async def test_records_arrive_at_a_real_server(delivery: Delivery, caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    log.refusals = 1
    log.analytics.refused = (2,)
    async with sender(log) as send:
        publisher = Publisher(delivery.spool, send, delivery.counts, lambda: 0.0, Impatient())
        delivery.spool.add(body(1), final=True)
        delivery.spool.add(body(2), final=True)
        abandoned = delivery.spool.add(body(3), final=False)
        delivery.spool.abandon(abandoned)
        with caplog.at_level(logging.ERROR):
            assert await publisher.drain(1.0) == 0
    (batch,) = log.analytics.batches
    assert [record.stage for record in batch] == [0, 0, STAGE_INCOMPLETE]
    assert (delivery.counts.deliveries, delivery.counts.failures) == ([(2, 1)], 1)


@pytest.mark.server
@pytest.mark.parametrize("code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED])
async def test_a_wrong_token_keeps_the_spool_and_is_told(
    delivery: Delivery, caplog: pytest.LogCaptureFixture, code: grpc.StatusCode
) -> None:
    log = Log()
    log.refusals, log.code = 1, code
    delivery.spool.add(body(1), final=True)
    async with sender(log) as send:
        publisher = Publisher(delivery.spool, send, delivery.counts, lambda: 0.0, Impatient())
        with caplog.at_level(logging.ERROR):
            await publisher._round()
        told = [(one.getMessage(), one.__dict__["reason"], one.__dict__["waiting"]) for one in caplog.records]
        assert told == [("publish.refused", f"{code.name}: migrating", 1)]
        assert (delivery.spool.waiting, delivery.counts.failures, delivery.counts.refusals) == (1, 1, 1)
        assert await publisher.drain(1.0) == 0  # once the token is good, nothing is missing
    assert log.analytics.ids == [[1]]


@pytest.mark.server
async def test_server_that_is_away_is_a_connection_error() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        with pytest.raises(ConnectionError, match="UNAVAILABLE"):
            await _sender(channel)(b"")
