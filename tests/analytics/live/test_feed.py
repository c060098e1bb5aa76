"""The live feed: what subscribers get, what they are told, and who gets nothing."""

import asyncio
from threading import Thread

import pytest

from analytics.live.feed import CLOSED, DROPPED, GAP, Feed, LiveEvent, id_key

BEGAN_S = 1_795_000_000.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = BEGAN_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def decision(number: int, tenant: str = "acme") -> LiveEvent:
    return LiveEvent("decision", tenant, {"number": number})


async def taken(queue: asyncio.Queue[LiveEvent]) -> list[LiveEvent]:
    """Return what the queue holds once the loop has run."""
    await asyncio.sleep(0)
    return [queue.get_nowait() for _ in range(queue.qsize())]


def numbers(events: list[LiveEvent]) -> list[object]:
    return [event.data.get("number", event.kind) for event in events]


async def test_subscribers_get_their_tenants_events_with_ids_in_order(clock: Clock) -> None:
    feed = Feed(clock)
    async with feed.subscribe("acme") as mine, feed.subscribe(None) as every:
        feed.publish(decision(1), decision(2, "other"))
        clock.now_s -= 10  # a clock that goes back: ids do not
        feed.publish(decision(3), LiveEvent("policy", "", {"number": 4}))
        got = await taken(mine)
        assert [event.id for event in got] == ["1795000000000-1", "1795000000000-3", "1795000000000-4"]
        assert numbers(got) == [1, 3, 4]
        assert numbers(await taken(every)) == [1, 2, 3, 4]
    assert feed.watched == 0


async def test_publishing_from_another_thread_wakes_the_reader(clock: Clock) -> None:
    feed = Feed(clock)
    async with feed.subscribe(None) as queue:
        thread = Thread(target=feed.publish, args=(decision(1),))
        thread.start()
        event = await asyncio.wait_for(queue.get(), 5)
        thread.join()
    assert (event.kind, event.data) == ("decision", {"number": 1})


async def test_who_comes_back_gets_what_was_missed_and_nothing_twice(clock: Clock) -> None:
    feed = Feed(clock)
    async with feed.subscribe("acme") as queue:
        feed.publish(decision(1))
        last = (await taken(queue))[-1].id
    feed.publish(decision(2), decision(3, "other"), decision(4))
    async with feed.subscribe("acme", after_id=last) as queue:
        feed.publish(decision(5))
        assert numbers(await taken(queue)) == [2, 4, 5]


async def test_who_was_away_too_long_is_told_of_the_gap(clock: Clock) -> None:
    feed = Feed(clock, ring_events=3)
    async with feed.subscribe(None) as queue:
        feed.publish(*(decision(number) for number in range(2)))
        first, second = (event.id for event in await taken(queue))
    feed.publish(*(decision(number) for number in range(2, 5)))
    async with feed.subscribe(None, after_id=second) as exact, feed.subscribe(None, after_id=first) as late:
        assert numbers(await taken(exact)) == [2, 3, 4]
        assert numbers(await taken(late)) == [GAP, 2, 3, 4]


@pytest.mark.parametrize("after_id", ["1794999999999-7", "1795000000000-7"])
async def test_ids_of_an_earlier_or_a_lost_feed_are_a_gap(clock: Clock, after_id: str) -> None:
    feed = Feed(clock)
    feed.publish(decision(1))
    async with feed.subscribe(None, after_id=after_id) as queue:
        assert (await taken(queue))[0].kind == GAP


@pytest.mark.parametrize("after_id", ["", "17", "17-", "-", "x-1", "1-1-1", "1-\u0663"])
async def test_what_is_no_id_is_refused(clock: Clock, after_id: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        async with Feed(clock).subscribe(None, after_id=after_id):
            pass


async def test_a_slow_reader_is_told_and_let_go_and_can_resume(clock: Clock) -> None:
    feed = Feed(clock, queue_events=3)
    async with feed.subscribe(None) as slow, feed.subscribe(None) as quick:
        for number in range(6):
            feed.publish(decision(number))
            assert numbers(await taken(quick)) == [number]
        got = await taken(slow)
        assert numbers(got) == [0, 1, 2, DROPPED]
        assert numbers(await taken(slow)) == []
    async with feed.subscribe(None, after_id=got[2].id) as queue:
        assert numbers(await taken(queue)) == [GAP, 4, 5]  # a queue of three holds no more
        feed.publish(decision(6))
        assert numbers(await taken(queue)) == [6]


async def test_a_gap_reaches_everybody_and_ends_resuming(clock: Clock) -> None:
    feed = Feed(clock)
    async with feed.subscribe("acme") as queue:
        feed.publish(decision(1))
        feed.gap()
        feed.publish(decision(2))
        got = await taken(queue)
    assert numbers(got) == [1, GAP, 2]
    async with feed.subscribe("acme", after_id=got[0].id) as again:
        assert numbers(await taken(again)) == [GAP, 2]


async def test_closing_ends_every_subscription_and_later_ones(clock: Clock) -> None:
    feed = Feed(clock)
    async with feed.subscribe(None) as queue:
        feed.publish(decision(1))
        feed.close()
        feed.publish(decision(2))
        assert numbers(await taken(queue)) == [1, CLOSED]
    async with feed.subscribe(None) as late:
        assert numbers(await taken(late)) == [CLOSED]


async def test_events_that_have_ids_are_sent_on_once(clock: Clock) -> None:
    feed = Feed(lambda: 0)
    events = [LiveEvent("decision", "acme", {"number": number}, f"5-{number}") for number in range(3)]
    async with feed.subscribe(None) as queue:
        feed.deliver(events[:2])
        feed.deliver(events)
        assert await taken(queue) == events
    async with feed.subscribe(None, after_id="5-1") as queue:
        assert await taken(queue) == events[2:]


def test_an_ended_loop_is_no_trouble(clock: Clock) -> None:
    feed = Feed(clock)

    async def leave_open() -> object:
        context = feed.subscribe(None)
        await context.__aenter__()
        return context

    kept = asyncio.run(leave_open())
    feed.publish(decision(1))
    assert kept is not None


def test_ids_sort_by_their_numbers() -> None:
    assert sorted(["10-2", "9-11", "10-10"], key=id_key) == ["9-11", "10-2", "10-10"]
