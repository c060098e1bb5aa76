"""Who leads: one of all processes, for as long as it renews its lease.

In: a lock. Out: the fence under which this process leads, None while it does not.
Two locks of the same meaning: a row in the database, or, with Redis, a key there (SET NX PX and a counter) whose fence is made
known in the database too, because that is where a late leader's writes must be refused.
Never: leading beyond the time that the lock was last known to be ours, by our own monotonic clock.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from redis.exceptions import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from analytics.redis_client import Link
from analytics.store import database, leases

NAME = "scheduler"
TTL_S = 15.0  # after a kill somebody else leads within this; three renewals may fail before it is lost
_RENEW_PARTS = 4
_LOG = logging.getLogger("analytics.schedule")

_TAKE = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
local fence = math.max(redis.call('INCR', KEYS[2]), tonumber(ARGV[3]) + 1)
redis.call('SET', KEYS[2], fence)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return fence
"""
_KEEP = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_GIVE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Lock(Protocol):
    """A lock with a fence. Every method raises RedisError or SQLAlchemyError when it cannot tell."""

    def acquire(self) -> int | None: ...

    def renew(self, fence: int) -> bool: ...

    def release(self, fence: int) -> None: ...


class DatabaseLock:
    """The lock as a row. clock returns seconds since 1970 UTC; clocks that differ only move the takeover."""

    def __init__(self, engine: Engine, holder: str, clock: Callable[[], float], ttl_s: float = TTL_S) -> None:
        self._engine = engine
        self._holder = holder
        self._clock = clock
        self._ttl_s = ttl_s

    def acquire(self) -> int | None:
        """Return a new fence, None while another process leads."""
        now, until = self._times()
        with database.writing(self._engine) as connection:
            return leases.acquire(connection, NAME, self._holder, now, until)

    def renew(self, fence: int) -> bool:
        """Return True when the lease is still ours, and prolonged."""
        with database.writing(self._engine) as connection:
            return leases.renew(connection, NAME, fence, self._times()[1])

    def release(self, fence: int) -> None:
        """Give the lease back."""
        with database.writing(self._engine) as connection:
            leases.release(connection, NAME, fence)

    def _times(self) -> tuple[int, int]:
        now = self._clock()
        return int(now * 1e6), int((now + self._ttl_s) * 1e6)


class RedisLock:
    """The lock as a key. A Redis that lost its counter goes on above the fence that the database knows."""

    def __init__(self, link: Link, engine: Engine, holder: str, ttl_s: float = TTL_S, prefix: str = "douane") -> None:
        self._link = link
        self._engine = engine
        self._holder = holder
        self._ttl_ms = round(ttl_s * 1_000)
        self._keys = [f"{prefix}:{{leader}}:lock", f"{prefix}:{{leader}}:fence"]

    def acquire(self) -> int | None:
        """Return a new fence, None while another process leads."""
        with self._engine.connect() as connection:
            known = leases.held_fence(connection, NAME)
        fence = int(self._eval(_TAKE, self._holder, self._ttl_ms, known))
        if not fence:
            return None
        with database.writing(self._engine) as connection:
            if leases.register(connection, NAME, self._holder, fence):
                return fence
        self.release(fence)  # somebody led in between
        return None

    def renew(self, fence: int) -> bool:
        """Return True when the lock is still ours, and prolonged."""
        with self._engine.connect() as connection:
            known = leases.held_fence(connection, NAME)
        return known == fence and bool(self._eval(_KEEP, self._holder, self._ttl_ms))

    def release(self, fence: int) -> None:  # noqa: ARG002 - the holder names it
        """Give the lock back."""
        self._eval(_GIVE, self._holder)

    def _eval(self, script: str, *values: Any) -> Any:
        client: Any = self._link.client()
        return client.eval(script, len(self._keys), *self._keys, *values)


class Leader:
    """Takes, keeps and gives back the lead. clock is monotonic seconds."""

    def __init__(self, lock: Lock, clock: Callable[[], float], ttl_s: float = TTL_S) -> None:
        self._lock = lock
        self._clock = clock
        self._ttl_s = ttl_s
        self._fence: int | None = None
        self._renew_at = 0.0
        self._valid_until = 0.0

    @property
    def fence(self) -> int | None:
        """The fence under which we lead now, None when we do not."""
        return self._fence if self._clock() < self._valid_until else None

    def tick(self) -> int | None:
        """Take the lead or keep it; call it about every second. Returns the fence; raises nothing."""
        asked = self._clock()
        if asked < self._renew_at:
            return self.fence
        self._renew_at = asked + self._ttl_s / _RENEW_PARTS
        try:
            self._keep(asked)
        except (RedisError, SQLAlchemyError, OSError) as error:
            _LOG.warning("leader.unknown", extra={"error": type(error).__name__, "leads": self.fence is not None})
        return self.fence

    def _keep(self, asked: float) -> None:
        led = self.fence
        if led is not None and self._lock.renew(led):
            self._valid_until = asked + self._ttl_s
            return
        if led is not None:
            _LOG.warning("leader.lost", extra={"fence": led})
        self._fence, self._valid_until = None, 0.0
        taken = self._lock.acquire()
        if taken is not None:
            self._fence, self._valid_until = taken, asked + self._ttl_s
            _LOG.info("leader.leads", extra={"fence": taken})

    def resign(self) -> None:
        """Give the lead back, so that another need not wait; raises nothing."""
        led, self._valid_until = self.fence, 0.0
        if led is None:
            return
        try:
            self._lock.release(led)
        except (RedisError, SQLAlchemyError, OSError) as error:
            _LOG.warning("leader.unknown", extra={"error": type(error).__name__, "leads": False})
