"""The live feed: events go to everybody who watches, and the last of them are kept for those who come back.

In: events from any thread (the writer's, an alert's). Out: for each subscriber a queue on its own event loop, bounded.
An event's id is `<milliseconds>-<count>`, the form of Redis Stream ids: ids sort by time and mean the same to every
replica, so a browser's Last-Event-ID resumes anywhere. Who reads too slowly is told (`dropped`) and let go: it connects
again and resumes. Who asks for events that are no longer kept is told too (`gap`) and had better read the API again.
Never: a wait in publish; an event of another tenant in a subscriber's queue. The feed is a view: what counts is stored.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Protocol

# Kept for resuming: at the ten notices a second and tenant that a person can follow, well over a minute of absence.
RING_EVENTS = 1_000
# What a subscriber may be behind before it is let go: a browser's SSE buffer and a stalled network of some seconds.
QUEUE_EVENTS = 500

# Kinds that the feed itself sends; all others are their publishers'.
GAP = "gap"  # events were missed: read what is shown again from the API, then go on
DROPPED = "dropped"  # this subscriber read too slowly; nothing follows
CLOSED = "closed"  # the service stops; nothing follows
LAST_KINDS = frozenset({DROPPED, CLOSED})


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One thing that happened. Shape: data holds JSON values only. The feed gives the id; tenant "" concerns everybody."""

    kind: str
    tenant: str
    data: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


class Publisher(Protocol):
    """Who takes events: the feed itself, or its end that leads over Redis."""

    def publish(self, *events: LiveEvent) -> None: ...


def id_key(event_id: str) -> tuple[int, int]:
    """Return an id's place in time. Raises: ValueError when it is none."""
    milliseconds, _, count = event_id.partition("-")
    if not (milliseconds.isascii() and milliseconds.isdigit() and count.isascii() and count.isdigit()):
        raise ValueError("not an id of the live feed")
    return int(milliseconds), int(count)


class _Subscriber:
    """One queue, filled on its own event loop."""

    def __init__(self, tenant: str | None, limit: int) -> None:
        self.queue: asyncio.Queue[LiveEvent] = (
            asyncio.Queue()
        )  # bounded by `offer`, which keeps one place for the last word
        self._loop = asyncio.get_running_loop()
        self._tenant = tenant
        self._limit = limit
        self._over = False

    def wants(self, event: LiveEvent) -> bool:
        return self._tenant is None or event.tenant in ("", self._tenant)

    def send(self, events: Iterable[LiveEvent]) -> None:
        """Hand events over to the loop, from any thread."""
        wanted = tuple(event for event in events if self.wants(event))
        if wanted:
            with suppress(RuntimeError):  # the loop is closed: a subscriber that ended without saying so
                self._loop.call_soon_threadsafe(self.offer, wanted)

    def offer(self, events: Iterable[LiveEvent]) -> None:
        """Put events into the queue; when it is full, the last word instead. On the loop only."""
        for event in events:
            if self._over:
                return
            if self.queue.qsize() >= self._limit and event.kind not in LAST_KINDS:
                event = LiveEvent(DROPPED, "")
            self._over = event.kind in LAST_KINDS
            self.queue.put_nowait(event)


class Feed:
    """The events of this process. clock returns seconds since 1970 UTC."""

    def __init__(
        self, clock: Callable[[], float], ring_events: int = RING_EVENTS, queue_events: int = QUEUE_EVENTS
    ) -> None:
        self._clock = clock
        self._queue_events = queue_events
        self._lock = Lock()
        self._ring: deque[LiveEvent] = deque(maxlen=ring_events)
        self._last = (int(clock() * 1_000), 0)
        self._forgotten = self._last  # up to here nobody can be resumed: what an earlier process sent, or left the ring
        self._subscribers: set[_Subscriber] = set()
        self._closed = False

    def publish(self, *events: LiveEvent) -> None:
        """Give events their ids and send them to everybody who watches. From any thread; returns at once."""
        with self._lock:
            self._spread([self._numbered(event) for event in events])

    def deliver(self, events: Iterable[LiveEvent]) -> None:
        """Send events that have their ids already, in their order: those that came over Redis."""
        with self._lock:
            self._spread([event for event in events if self._is_new(event)])

    def gap(self) -> None:
        """Tell everybody that events were missed, and resume nobody across this point."""
        with self._lock:
            milliseconds, count = self._last
            self._last = self._forgotten = (milliseconds, count + 1)
            self._ring.clear()
            for subscriber in self._subscribers:
                subscriber.send([LiveEvent(GAP, "")])

    def close(self) -> None:
        """Tell everybody that nothing follows; who comes later is told at once."""
        with self._lock:
            self._closed = True
            for subscriber in self._subscribers:
                subscriber.send([LiveEvent(CLOSED, "")])

    @property
    def watched(self) -> int:
        """How many watch now."""
        return len(self._subscribers)

    @asynccontextmanager
    async def subscribe(
        self, tenant: str | None, after_id: str | None = None
    ) -> AsyncIterator[asyncio.Queue[LiveEvent]]:
        """Yield a queue of one tenant's events (None: all tenants'), from now on or after the event with the given id.

        Shape: an event of LAST_KINDS is the queue's last; a GAP comes first when events after the id are no longer kept.
        Raises: ValueError when after_id is no id.
        """
        subscriber = _Subscriber(tenant, self._queue_events)
        with self._lock:
            if after_id is not None:
                subscriber.offer(self._since(subscriber, after_id))
            if self._closed:
                subscriber.offer([LiveEvent(CLOSED, "")])
            self._subscribers.add(subscriber)
        try:
            yield subscriber.queue
        finally:
            with self._lock:
                self._subscribers.discard(subscriber)

    def _numbered(self, event: LiveEvent) -> LiveEvent:
        milliseconds, count = self._last
        now = int(self._clock() * 1_000)
        self._last = (now, 0) if now > milliseconds else (milliseconds, count + 1)  # also when the clock goes back
        return replace(event, id=f"{self._last[0]}-{self._last[1]}")

    def _is_new(self, event: LiveEvent) -> bool:
        place = id_key(event.id)
        new = place > self._last
        self._last = max(self._last, place)
        return new

    def _spread(self, events: list[LiveEvent]) -> None:
        room = self._ring.maxlen or 0
        over = len(self._ring) + len(events) - room
        if over > 0:
            self._forgotten = id_key([*self._ring, *events][over - 1].id)
        self._ring.extend(events)
        for subscriber in self._subscribers:
            subscriber.send(events)

    def _since(self, subscriber: _Subscriber, after_id: str) -> list[LiveEvent]:
        place = id_key(after_id)
        missed = place < self._forgotten or place > self._last
        newer = [event for event in self._ring if id_key(event.id) > place and subscriber.wants(event)]
        newest = newer[-self._queue_events + 1 :]  # a queue must not be full before its reader has begun
        missed = missed or len(newest) < len(newer)
        return [*([LiveEvent(GAP, "")] if missed else []), *newest]
