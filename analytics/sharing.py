"""What the replicas of the service share, built from the settings: stream and workers, live feed, scheduler.

In: settings, engine, what the books write with. Out: parts to start after the servers and to stop, in reverse, after them.
Without a Redis the same is done in one process: batches are written at once, the feed is this process's own, the leader's
lease is a row. Raises ConfigError where the settings contradict each other or Redis would forget what it is given.
Never: a start that waits for Redis; it may come later.
"""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from prometheus_client import CollectorRegistry
from redis.connection import parse_url
from redis.exceptions import RedisError

from analytics.alerts.service import Alerting
from analytics.config import ConfigError, Settings, variable
from analytics.ingest.buffer import Buffer, NotKept, Safeguard
from analytics.ingest.stream import Limit, RecordStream
from analytics.ingest.worker import Desk, Pace, Worker
from analytics.live.feed import Feed, Publisher
from analytics.live.replicas import Relay
from analytics.redis_client import Link
from analytics.schedule.leader import DatabaseLock, Leader, RedisLock
from analytics.schedule.plan import Job
from analytics.schedule.scheduler import Office, Scheduler
from analytics.tracing.tracer import Tracer

_LOG = logging.getLogger("analytics")


@dataclass(frozen=True, slots=True)
class Part:
    """Something that runs in threads of its own. stop waits for them; call it in a thread."""

    start: Callable[[], None]
    stop: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Live:
    """The feed that people watch, and where events are published: the feed itself, or its way over Redis."""

    feed: Feed
    publisher: Publisher
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """How records come from ingest to the books. buffer is None where they are written at once."""

    buffer: Buffer | None
    parts: tuple[Part, ...]


def process_name() -> str:
    """Return a name for this process that no other one has, nor this one after a restart."""
    return f"{socket.gethostname()}-{uuid4().hex[:8]}"


def link(settings: Settings) -> Link | None:
    """Return the way to Redis, None without one; nothing is connected yet. Raises: ConfigError."""
    if settings.redis_url is None:
        if settings.role != "all":
            raise ConfigError(f"{variable('role')}: {settings.role} needs a Redis between the two: set REDIS_URL")
        return None
    url = settings.redis_url.get_secret_value()
    try:
        parse_url(url)  # type: ignore[no-untyped-call] # the library does not say
    except ValueError as error:
        shape = f"a text of {len(url)} characters"
        raise ConfigError(f"{variable('redis_url')}: {shape} is not allowed: give redis://HOST:PORT") from error
    return Link(url)


def live(shared: Link | None, registry: CollectorRegistry) -> Live:
    """Return the live feed."""
    if shared is None:
        feed = Feed(time.time)
        return Live(feed, feed, ())
    feed = Feed(lambda: 0.0)  # ids come from Redis
    relay = Relay(feed, shared, registry)
    return Live(feed, relay, (Part(relay.start, relay.stop),))


def line(settings: Settings, shared: Link | None, desk: Desk, name: str) -> Line:
    """Return what stands between ingest and the books. Raises: ConfigError when Redis is there and would forget."""
    if shared is None:
        return Line(None, ())
    stream = RecordStream(shared, Limit(settings.buffer_entries, settings.buffer_bytes))
    safeguard = Safeguard(shared, time.monotonic, allow_volatile=settings.redis_volatile)
    _check(safeguard)
    buffer = Buffer(stream, safeguard, desk.metrics)
    if settings.role == "ingest":
        return Line(buffer, ())
    worker = Worker(stream, desk, name, Pace(idle_ms=round(settings.worker_idle_s * 1_000)))
    return Line(buffer, (Part(worker.start, worker.stop),))


def _check(safeguard: Safeguard) -> None:
    try:
        safeguard.check()
    except NotKept as error:
        raise ConfigError(f"{variable('redis_url')}: {error}; or set {variable('redis_volatile')}=true") from error
    except RedisError as error:
        _LOG.warning("redis.away", extra={"error": type(error).__name__})


def telling(settings: Settings, alerting: Alerting) -> tuple[Part, ...]:
    """Return what tells channels of alerts; none where records are only taken in."""
    if settings.role == "ingest":
        return ()
    return (Part(alerting.start, partial(alerting.stop, settings.shutdown_grace_s)),)


def tracing(settings: Settings, tracer: Tracer) -> tuple[Part, ...]:
    """Return what sends traces; none where records are only taken in."""
    if settings.role == "ingest":
        return ()
    return (Part(tracer.start, partial(tracer.stop, settings.shutdown_grace_s)),)


def scheduler(settings: Settings, shared: Link | None, jobs: Sequence[Job], office: Office) -> tuple[Part, ...]:
    """Return the scheduler; none where records are only taken in."""
    if settings.role == "ingest":
        return ()
    engine, name = office.engine, office.holder
    lock = DatabaseLock(engine, name, time.time) if shared is None else RedisLock(shared, engine, name)
    runs = Scheduler(jobs, Leader(lock, time.monotonic), office)
    return (Part(runs.start, partial(runs.stop, settings.shutdown_grace_s)),)


def start(parts: Sequence[Part]) -> None:
    """Start parts in their order."""
    for part in parts:
        part.start()


def stop(parts: Sequence[Part]) -> None:
    """Stop parts in reverse order; blocks until all have ended."""
    for part in reversed(parts):
        part.stop()
