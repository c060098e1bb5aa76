"""The record stream on a real Redis, and on a real cluster of three masters."""

from collections.abc import Iterator

import pytest

from analytics.ingest.stream import SHARDS, Depth, Entry, Limit, RecordStream, StreamFull, shard_of
from analytics.redis_client import Link
from tests.support import redis_server

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    with redis_server.running(tmp_path_factory.mktemp("redis")) as server:
        link = Link(server.url)
        yield link
        link.close()


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    with redis_server.cluster(tmp_path_factory.mktemp("cluster")) as server:
        link = Link(server.url)
        yield link
        link.close()


@pytest.fixture(params=["single", "several"])
def stream(request: pytest.FixtureRequest) -> RecordStream:
    """Return an empty stream with room for 3 batches and 1,000 bytes a shard, on each kind of Redis in turn."""
    prefix = f"t{abs(hash(request.node.nodeid))}"
    return RecordStream(request.getfixturevalue(request.param), Limit(3, 1_000), prefix)


def depth(stream: RecordStream, shard: int = 0) -> Depth:
    return stream.depth(shard)


def taken(stream: RecordStream, worker: str) -> list[Entry]:
    """Return what a worker gets of shard 0; the first read makes the group where it is missing, and the consumer."""
    return stream.read(0, worker, 10, 1) or stream.read(0, worker, 10, 1)


def test_every_shard_gives_each_batch_to_one_worker_until_it_is_done(stream: RecordStream) -> None:
    for shard in range(SHARDS):
        stream.append(shard, b"\xff\x00%d" % shard)
        stream.append(shard, b"")
    for shard in range(SHARDS):
        assert stream.read(shard, "a", 10, 1) == []  # makes the group
        one = stream.read(shard, "a", 1, 1)
        other = stream.read(shard, "b", 10, 1)
        assert [entry.batch for entry in (*one, *other)] == [b"\xff\x00%d" % shard, b""]
        assert stream.read(shard, "c", 10, 1) == []
        assert stream.done(shard, [*one, *other]) == 2
        assert stream.done(shard, [*one, *other]) == 0
        assert depth(stream, shard) == Depth(0, 0, 0, 0, None)


def test_what_a_dead_worker_held_is_claimed_and_attempts_are_counted(stream: RecordStream) -> None:
    stream.append(0, b"batch")
    (entry,) = taken(stream, "dead")
    assert stream.claim(0, "alive", 60_000, 10) == []
    assert stream.claim(0, "alive", 0, 10) == [entry]
    assert [stream.tried(0, entry, change) for change in (0, 1, 1, -1)] == [0, 1, 2, 1]
    oldest = int(entry.id.partition("-")[0])
    assert depth(stream) == Depth(1, 1, 0, 5, oldest)
    stream.done(0, [entry])
    assert stream.claim(0, "alive", 0, 10) == []
    assert stream.tried(0, entry, 0) == 0


def test_a_full_shard_refuses_and_trims_nothing(stream: RecordStream) -> None:
    for number in range(3):
        stream.append(0, b"%d" % number)
    with pytest.raises(StreamFull):
        stream.append(0, b"3")
    stream.append(1, b"x" * 999)
    with pytest.raises(StreamFull):
        stream.append(1, b"xx")
    assert [entry.batch for entry in taken(stream, "a")] == [b"0", b"1", b"2"]
    assert (depth(stream, 0).waiting, depth(stream, 1).bytes) == (3, 999)


def test_buried_records_keep_their_reason_take_room_and_can_be_revived(stream: RecordStream) -> None:
    for _ in range(2):
        stream.append(0, b"a batch of two")
    one, two = taken(stream, "a")
    for _ in range(2):  # the second time changes nothing
        stream.bury(0, one, [(b"bad", "no such thing"), (b"worse", "é")])
    stream.done(0, [two])
    assert depth(stream) == Depth(0, 0, 2, 8, None)
    assert [(entry.batch, reason) for entry, reason in stream.dead(0, 10)] == [
        (b"bad", "no such thing"),
        (b"worse", "é"),
    ]
    stream.append(0, b"third")
    with pytest.raises(StreamFull):
        stream.append(0, b"fourth")
    assert stream.revive(0, 10) == 2
    assert [entry.batch for entry in stream.read(0, "a", 10, 1)] == [b"third", b"bad", b"worse"]
    assert depth(stream).bytes == 13


def test_silent_consumers_that_hold_nothing_are_forgotten(stream: RecordStream) -> None:
    assert stream.forget_consumers(0, -1) == 0
    stream.append(0, b"done")
    stream.done(0, taken(stream, "idle"))
    stream.append(0, b"held")
    taken(stream, "holds")
    assert stream.forget_consumers(0, 60_000) == 0
    assert stream.forget_consumers(0, -1) == 1
    assert len(stream.claim(0, "holds", 0, 10)) == 1


def test_tenants_spread_over_shards_and_stay_there() -> None:
    assert [shard_of(tenant) for tenant in ("default", "acme", "umbrella", "initech", "42")] == [3, 2, 2, 0, 0]
