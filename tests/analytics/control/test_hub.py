"""The hub: notices what changed, tells what steers at once, gathers numbers that move, survives a store that is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from analytics.control import hub as hubs
from analytics.control.hub import Hub
from analytics.control.rules import RulesInForce
from analytics.control.state import Prices
from analytics.types.control import ModelPrice
from tests.analytics.control.steering import RULE, activate, books, row
from tests.analytics.control.watching import until
from tests.analytics.traffic import BEGAN_UNIX_US

NOW_S = BEGAN_UNIX_US / 1e6


class Time:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def build(engine: Engine, time: Callable[[], float], prices: Prices | None = None) -> Hub:
    return Hub(engine, RulesInForce(RULE), lambda _connection: prices or {}, lambda: NOW_S, time)


@asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[Hub]:
    task = asyncio.create_task(hub.run())
    try:
        yield hub
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_policy_is_told_at_once_and_numbers_are_gathered(sqlite_engine: Engine, time: Time) -> None:
    hub = build(sqlite_engine, time)
    await hub.refresh()
    assert hub.telling == (0, 0)
    store = books(sqlite_engine, lambda: NOW_S).store
    time.now += 0.25
    store([row(1, 8.0)])
    await hub.refresh()
    assert (hub.version, hub.telling) == (1, (0, 0))
    activate(sqlite_engine, "mode: observe")
    await hub.refresh()
    assert (hub.version, hub.telling) == (2, (2, 0))
    store([row(2, 8.0)])
    await hub.refresh()
    time.now += hubs.COALESCE_S
    await hub.refresh()
    assert (hub.version, hub.telling) == (3, (3, 0))


async def test_who_waits_is_woken_and_who_is_behind_does_not_wait(sqlite_engine: Engine, time: Time) -> None:
    hub = build(sqlite_engine, time)
    await hub.refresh()
    waiting = asyncio.create_task(hub.news(0, 0, 5.0))
    await asyncio.sleep(0)
    activate(sqlite_engine, "mode: observe")
    await hub.refresh()
    assert await waiting
    assert await hub.news(0, 0, 0.001)
    assert not await hub.news(1, 0, 0.001)


async def test_changes_of_other_processes_are_noticed_and_own_ones_at_once(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    async with running(build(sqlite_engine, loop.time)) as hub:
        await until(lambda: hub.version >= 0)
        activate(sqlite_engine, "mode: observe")
        assert await hub.news(0, 0, 5.0)
        monkeypatch.setattr(hubs, "POLL_S", 60.0)
        await asyncio.sleep(0.3)
        activate(sqlite_engine, "mode: enforce")
        await asyncio.to_thread(hub.nudge)
        assert await hub.news(1, 0, 5.0)
        assert hub.version == 2


async def test_prices_are_read_now_and_then(sqlite_engine: Engine, time: Time) -> None:
    prices = {("openai", "a"): ModelPrice(1.0, 2.0, 0.5)}
    hub = build(sqlite_engine, time, prices)
    await hub.refresh()
    assert hub.telling == (0, 1)
    prices[("openai", "b")] = ModelPrice(1.0, 2.0, 0.5)
    hub.state.prices = {}
    time.now += hubs.PRICES_EVERY_S
    await hub.refresh()
    assert (hub.telling, set(hub.state.prices)) == ((0, 2), set(prices))
    hub.state.prices_version += 1
    assert not await hub.news(0, 3, 0.001)  # who has newer prices than were told does not spin


class Away:
    """An engine whose database is away for so many times."""

    def __init__(self, engine: Engine, times: int) -> None:
        self.engine = engine
        self.times = times

    def connect(self) -> object:
        self.times -= 1
        if self.times >= 0:
            raise OperationalError("select", {}, ConnectionError())
        return self.engine.connect()


async def test_a_store_that_is_away_stops_nothing(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hubs, "POLL_S", 0.001)
    loop = asyncio.get_running_loop()
    hub = Hub(Away(sqlite_engine, 5), RulesInForce(RULE), lambda _: {}, lambda: NOW_S, loop.time)  # type: ignore[arg-type]
    async with running(hub):
        await until(lambda: hub.version >= 0)
    assert [(one.message, one.error) for one in caplog.records if one.name == "analytics.control"] == [
        ("control.store_away", "OperationalError")
    ]


async def test_two_replicas_say_the_same_version(engine: Engine, time: Time) -> None:
    hubs_ = [build(engine, time) for _ in range(2)]
    activate(engine, "mode: observe")
    books(engine, lambda: NOW_S).store([row(1, 8.0)])
    for hub in hubs_:
        await hub.refresh()
    one, other = (hub.state.parts(0, "", "x", -1) for hub in hubs_)
    assert (one, [hub.version for hub in hubs_]) == (other, [2, 2])
