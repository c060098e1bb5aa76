"""Two replicas' feeds over a real Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from analytics.live import replicas
from analytics.live.feed import GAP, Feed, LiveEvent
from analytics.live.replicas import Relay
from analytics.redis_client import Link
from tests.support import redis_server
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path) as one:
        yield one


class Replica:
    """One process's feed."""

    def __init__(self, url: str) -> None:
        self.registry = CollectorRegistry()
        self.link = Link(url)
        self.feed = Feed(lambda: 0.0)
        self.relay = Relay(self.feed, self.link, self.registry)

    def dropped(self) -> float | None:
        return self.registry.get_sample_value("douane_live_dropped_events_total")


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[Replica]:
    one = Replica(url)
    one.relay.start()
    try:
        yield one
    finally:
        await asyncio.to_thread(one.relay.stop)
        one.link.close()


def decision(number: int, tenant: str = "acme") -> LiveEvent:
    return LiveEvent("decision", tenant, {"number": number, "words": "é\x00<b>"})


async def next_event(queue: asyncio.Queue[LiveEvent]) -> LiveEvent:
    return await asyncio.wait_for(queue.get(), 10)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


async def test_what_one_publishes_both_see_under_the_same_ids(server: RedisServer) -> None:
    async with replica(server.url) as one, replica(server.url) as two:
        async with one.feed.subscribe("acme") as here, two.feed.subscribe(None) as there:
            one.relay.publish(decision(1), decision(2, "other"))
            first = await next_event(here)
            both = [await next_event(there), await next_event(there)]
            assert both[0] == first
            assert [event.data for event in both] == [decision(1).data, decision(2).data]
            two.relay.publish(decision(3))
            third = await next_event(here)
        async with two.feed.subscribe("acme", after_id=first.id) as resumed:  # at the other replica
            assert await next_event(resumed) == third
        async with replica(server.url) as late:
            async with late.feed.subscribe(None) as queue:
                late.relay.publish(decision(4))
                while (await next_event(queue)).data["number"] != 4:
                    pass
            async with late.feed.subscribe("acme", after_id=first.id) as resumed:  # at one that was not there then
                assert await next_event(resumed) == third


async def test_without_redis_nobody_waits_and_afterwards_everybody_is_told(server: RedisServer) -> None:
    async with replica(server.url) as one, one.feed.subscribe(None) as queue:
        one.relay.publish(decision(1))
        await next_event(queue)
        server.kill()
        assert (await next_event(queue)).kind == GAP
        await asyncio.sleep(0.3)  # the sender may not have had the answer for the first one yet
        lost = (one.dropped() or 0) + 1
        one.relay.publish(decision(2))
        await asyncio.to_thread(until, lambda: one.dropped() == lost)
        server.start()
        numbers: list[object] = []
        while 3 not in numbers:
            one.relay.publish(decision(3))
            await asyncio.sleep(0.1)
            while not queue.empty():
                numbers.append(queue.get_nowait().data.get("number"))
        assert 2 not in numbers


async def test_the_outbox_is_bounded(server: RedisServer) -> None:
    one = Replica(server.url)  # nothing is sent before it starts
    one.relay.publish(*[decision(1)] * (replicas.QUEUE_EVENTS + 7))
    assert (len(one.relay._outbox), one.dropped()) == (replicas.QUEUE_EVENTS, 7)
