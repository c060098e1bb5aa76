"""Publish with a real Redis behind it: what is acknowledged is there, what is not stays with the sidecar."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from douane.v1 import control_pb2 as pb
from douane.v1.control_pb2_grpc import DecisionLogStub

from analytics.ingest import server
from analytics.ingest.buffer import Buffer, NotKept, Safeguard
from analytics.ingest.stream import SHARDS, Limit, RecordStream, shard_of
from analytics.redis_client import Link
from analytics.telemetry import Metrics
from tests.analytics.ingest.senders import guard
from tests.analytics.traffic import record
from tests.support import redis_server
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.server


@asynccontextmanager
async def publishing(
    url: str, limit: Limit, metrics: Metrics, *, volatile: bool = False
) -> AsyncIterator[DecisionLogStub]:
    link = Link(url)
    buffer = Buffer(RecordStream(link, limit), Safeguard(link, lambda: 0.0, allow_volatile=volatile), metrics)
    with ThreadPoolExecutor(1) as writer:
        served = server.build(server.DecisionLog(_never, _never, metrics, writer, buffer), guard())
        port = served.add_insecure_port("127.0.0.1:0")
        await served.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield DecisionLogStub(channel)
        await served.stop(1)
    link.close()


def _never(_rows: object) -> object:
    raise AssertionError("ingest does not write into the database")


def metrics() -> Metrics:
    return Metrics(10, 100, 5.0)


ROOMY = Limit(100, 1 << 20)


def held(server: RedisServer) -> list[pb.PublishRequest]:
    """Return every batch in Redis, shard by shard."""
    with server.client() as client:
        names = [f"douane:{{records-{shard}}}:records" for shard in range(SHARDS)]
        return [pb.PublishRequest.FromString(fields[b"batch"]) for name in names for _, fields in client.xrange(name)]


async def test_a_batch_is_in_redis_as_it_came_when_it_is_acknowledged(tmp_path: Path) -> None:
    batch = pb.PublishRequest(records=[record(number) for number in range(20)])
    with redis_server.running(tmp_path) as redis:
        async with publishing(redis.url, ROOMY, metrics()) as log:
            assert await log.Publish(batch) == pb.PublishResponse(stored=20)
        redis.kill()  # no warning, no time to write anything down
        redis.start()
        assert held(redis) == [batch]


async def test_what_can_never_be_stored_is_told_at_once_and_does_not_go_in(tmp_path: Path) -> None:
    bad = record(2, decision_id="nothing")
    counts = metrics()
    with redis_server.running(tmp_path) as redis:
        async with publishing(redis.url, ROOMY, counts) as log:
            answer = await log.Publish(pb.PublishRequest(records=[record(1), bad]))
            assert await log.Publish(pb.PublishRequest(records=[bad])) == pb.PublishResponse(rejected=answer.rejected)
        assert held(redis) == [pb.PublishRequest(records=[record(1)])]
    reason = "decision_id is not 32 lower-case hex digits"
    assert answer == pb.PublishResponse(stored=1, rejected=[pb.Rejected(decision_id="nothing", reason=reason)])
    assert counts.registry.get_sample_value("douane_ingest_records_total", {"result": "rejected"}) == 2


async def test_tenants_go_to_their_shards(tmp_path: Path) -> None:
    tenants = ("default", "acme", "initech")
    batch = pb.PublishRequest(records=[record(n, identity={"tenant": name}) for n, name in enumerate(tenants)])
    with redis_server.running(tmp_path) as redis:
        async with publishing(redis.url, ROOMY, metrics()) as log:
            assert await log.Publish(batch) == pb.PublishResponse(stored=3)
        order = sorted(range(3), key=lambda place: shard_of(tenants[place]))
        assert held(redis) == [pb.PublishRequest(records=[batch.records[place]]) for place in order]


async def test_a_full_stream_leaves_the_batch_with_its_sidecar(tmp_path: Path) -> None:
    counts = metrics()
    with redis_server.running(tmp_path) as redis:
        async with publishing(redis.url, Limit(1, 1 << 20), counts) as log:
            await log.Publish(pb.PublishRequest(records=[record(1)]))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await log.Publish(pb.PublishRequest(records=[record(2)]))
        assert held(redis) == [pb.PublishRequest(records=[record(1)])]
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    labels = {"code": "resource_exhausted"}
    assert counts.registry.get_sample_value("douane_ingest_failed_batches_total", labels) == 1


async def test_redis_out_of_memory_is_a_full_stream(tmp_path: Path) -> None:
    with redis_server.running(tmp_path) as redis:
        async with publishing(redis.url, ROOMY, metrics()) as log:
            await log.Publish(pb.PublishRequest(records=[record(1)]))
            with redis.client() as client:
                client.config_set("maxmemory", 1)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await log.Publish(pb.PublishRequest(records=[record(2)]))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_redis_away_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    batch = pb.PublishRequest(records=[record(1)])
    async with publishing(redis.url, ROOMY, metrics()) as log:
        for _ in range(2):  # never reached yet, then reached and gone
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await log.Publish(batch)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            redis.start()
            assert await log.Publish(batch) == pb.PublishResponse(stored=1)
            redis.kill()


@pytest.mark.parametrize(
    ("options", "trouble"),
    [
        (("--appendonly", "no", "--save", ""), "keeps nothing over a restart"),
        (("--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "drops keys"),
    ],
)
async def test_a_redis_that_forgets_is_refused_unless_it_is_allowed(
    tmp_path: Path, options: tuple[str, ...], trouble: str
) -> None:
    batch = pb.PublishRequest(records=[record(1)])
    with redis_server.running(tmp_path, *options) as redis:
        link = Link(redis.url)
        with pytest.raises(NotKept, match=trouble):
            Safeguard(link, lambda: 0.0, allow_volatile=False).check()
        link.close()
        async with publishing(redis.url, ROOMY, metrics()) as log:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await log.Publish(batch)
        async with publishing(redis.url, ROOMY, metrics(), volatile=True) as log:
            assert await log.Publish(batch) == pb.PublishResponse(stored=1)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_redis_is_asked_again_after_a_while(tmp_path: Path) -> None:
    now = [0.0]
    with redis_server.running(tmp_path) as redis:
        link = Link(redis.url)
        safeguard = Safeguard(link, lambda: now[0], allow_volatile=False)
        safeguard.check()
        with redis.client() as client:
            client.config_set("appendonly", "no")
        safeguard.check()
        now[0] = 61.0
        with pytest.raises(NotKept):
            safeguard.check()
        link.close()
