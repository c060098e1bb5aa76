"""Who leads: the same behaviour of both locks, on a real database and a real Redis; a leader that is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError
from sqlalchemy import Engine

from analytics.redis_client import Link
from analytics.schedule.leader import NAME, DatabaseLock, Leader, Lock, RedisLock
from analytics.store import database, leases
from analytics.store.leases import StaleFence
from tests.support import redis_server
from tests.support.redis_server import RedisServer

TTL_S = 0.6


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path / "redis") as one:
        yield one


@pytest.fixture(params=["database", pytest.param("redis", marks=pytest.mark.server)])
def lock(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Callable[[str], Lock]]:
    """Return a maker of locks by their holders' names, of each kind in turn."""
    if request.param == "database":
        yield lambda holder: DatabaseLock(engine, holder, time.time, TTL_S)
        return
    link = Link(request.getfixturevalue("server").url)
    yield lambda holder: RedisLock(link, engine, holder, TTL_S)
    link.close()


def test_one_leads_until_it_no_longer_renews(lock: Callable[[str], Lock], engine: Engine) -> None:
    one, two = (Leader(lock(name), time.monotonic, TTL_S) for name in ("one", "two"))
    assert (one.tick(), two.tick()) == (1, None)
    for _ in range(8):  # longer than one lease
        time.sleep(TTL_S / 4)
        assert (one.tick(), two.tick()) == (1, None)
    time.sleep(TTL_S)  # one is stuck
    assert one.fence is None
    assert two.tick() is not None
    assert two.fence == _held(engine) > 1
    assert one.tick() is None
    with pytest.raises(StaleFence), database.writing(engine) as connection:
        leases.guard(connection, NAME, 1)
    two.resign()
    time.sleep(TTL_S / 4)
    assert one.tick() == _held(engine) > 2


def _held(engine: Engine) -> int:
    with engine.connect() as connection:
        return leases.held_fence(connection, NAME)


def test_who_resigns_lets_another_lead_at_once(lock: Callable[[str], Lock]) -> None:
    one, two = (Leader(lock(name), time.monotonic, TTL_S) for name in ("one", "two"))
    assert one.tick() == 1
    one.resign()
    assert (one.fence, two.tick()) == (None, 2)


@pytest.mark.server
def test_a_redis_that_forgot_goes_on_above_the_known_fence(server: RedisServer, sqlite_engine: Engine) -> None:
    link = Link(server.url)
    one, two = (RedisLock(link, sqlite_engine, name, TTL_S) for name in ("one", "two"))
    assert (one.acquire(), one.acquire()) == (1, 2)
    with server.client() as client:
        client.flushall()
    assert two.acquire() == 3
    assert not one.renew(2)
    link.close()


@pytest.mark.server
def test_without_redis_nobody_leads_for_longer_than_the_lease(server: RedisServer, sqlite_engine: Engine) -> None:
    link = Link(server.url)
    leader = Leader(RedisLock(link, sqlite_engine, "one", TTL_S), time.monotonic, TTL_S)
    assert leader.tick() == 1
    server.kill()
    time.sleep(TTL_S / 2)
    assert leader.tick() == 1  # the lease still runs
    time.sleep(TTL_S)
    assert leader.tick() is None
    with pytest.raises(RedisError):
        link.client().ping()
    server.start()
    time.sleep(TTL_S / 4)
    assert leader.tick() == 2
    leader.resign()
    link.close()


_HOLD = """
import sys, time
from analytics.redis_client import Link
from analytics.schedule.leader import DatabaseLock, Leader, RedisLock
from analytics.store import database
url, redis_url, ttl_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
engine = database.connect(url)
lock = RedisLock(Link(redis_url), engine, "killed", ttl_s) if redis_url else DatabaseLock(engine, "killed", time.time, ttl_s)
leader = Leader(lock, time.monotonic, ttl_s)
while True:
    print(leader.tick(), flush=True)
    time.sleep(0.05)
"""


@pytest.mark.server
@pytest.mark.parametrize("with_redis", [False, True])
def test_a_killed_leader_is_followed_and_its_fence_refused(
    engine: Engine, server: RedisServer, with_redis: bool
) -> None:
    link = Link(server.url)
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _HOLD, url, server.url if with_redis else "", str(TTL_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        first = int(killed.stdout.readline())
        lock: Lock = (
            RedisLock(link, engine, "next", TTL_S) if with_redis else DatabaseLock(engine, "next", time.time, TTL_S)
        )
        leader = Leader(lock, time.monotonic, TTL_S)
        assert leader.tick() is None
        os.kill(killed.pid, signal.SIGKILL)
    began = time.monotonic()
    while leader.tick() is None:
        assert time.monotonic() - began < 3 * TTL_S
        time.sleep(0.02)
    assert leader.fence is not None
    assert leader.fence > first
    with pytest.raises(StaleFence), database.writing(engine) as connection:
        leases.guard(connection, NAME, first)
    with database.writing(engine) as connection:
        leases.guard(connection, NAME, leader.fence)
    link.close()
