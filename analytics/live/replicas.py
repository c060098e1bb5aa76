"""The live feed over several replicas: what one publishes, everybody's subscribers see, under the same ids.

In: events from any thread. Out: through a capped Redis Stream into each replica's own Feed. A stream and not PUBLISH: a
replica that was cut off reads on where it was, one that starts fills its ring with the last events, and the stream's ids
are what a browser resumes by at whichever replica it comes back to.
The feed is a view: while Redis is away its events are dropped and counted, and subscribers are told of the gap.
Never: a wait in publish; an event that stops the thread.
"""

import logging
from collections import deque
from collections.abc import Callable
from threading import Condition, Event, Thread
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from analytics.live.feed import RING_EVENTS, Feed, LiveEvent
from analytics.redis_client import Link

QUEUE_EVENTS = 10_000
BATCH_EVENTS = 500
_BLOCK_MS = 1_000  # how long a reader waits for news; also how long stopping may take
_BACKOFF_S = (0.1, 5.0)
_LOG = logging.getLogger("analytics.live")
_ENCODER = msgspec.json.Encoder()


class Relay:
    """A feed's end that leads over Redis. Its Feed must be made with a clock that stands at 0: ids come from Redis."""

    def __init__(self, feed: Feed, link: Link, registry: CollectorRegistry, prefix: str = "douane") -> None:
        self._feed = feed
        self._link = link
        self._stream = f"{prefix}:{{live}}:events"
        self._outbox: deque[LiveEvent] = deque()
        self._news = Condition()
        self._stopping = Event()
        self._dropped = Counter(
            "douane_live_dropped_events", "Live events nobody saw: Redis was away.", registry=registry
        )
        self._threads = [
            Thread(target=self._loop, args=(step,), name=f"live-{name}", daemon=True)
            for name, step in (("send", self._send), ("read", self._reader()))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what is not sent yet is dropped."""
        self._stopping.set()
        with self._news:
            self._news.notify_all()
        for thread in self._threads:
            thread.join()

    def publish(self, *events: LiveEvent) -> None:
        """Send events to every replica, this one too. From any thread; returns at once."""
        with self._news:
            room = QUEUE_EVENTS - len(self._outbox)
            self._outbox.extend(events[:room])
            self._news.notify()
        self._dropped.inc(max(len(events) - room, 0))

    def _loop(self, step: Callable[[], None]) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            try:
                step()
                wait_s = 0.0
            except RedisError as error:
                if not wait_s:
                    _LOG.warning("live.cut_off", extra={"error": type(error).__name__})
                wait_s = min(max(wait_s * 2, _BACKOFF_S[0]), _BACKOFF_S[1])

    def _send(self) -> None:
        with self._news:
            self._news.wait_for(lambda: self._outbox or self._stopping.is_set())
            batch = [self._outbox.popleft() for _ in range(min(BATCH_EVENTS, len(self._outbox)))]
        try:
            self._append(batch)
        except RedisError:
            self._dropped.inc(len(batch))
            raise

    def _append(self, batch: list[LiveEvent]) -> None:
        client: Any = self._link.client()
        with client.pipeline(transaction=False) as pipeline:
            for event in batch:
                fields = {"kind": event.kind, "tenant": event.tenant, "data": _ENCODER.encode(event.data)}
                pipeline.xadd(self._stream, fields, maxlen=RING_EVENTS, approximate=True)
            pipeline.execute()

    def _reader(self) -> Callable[[], None]:
        """Return the step that reads on: first the last events, then what is new."""
        last: str | None = None

        def step() -> None:
            nonlocal last
            client: Any = self._link.client()
            try:
                if last is None:
                    events = [_event(*one) for one in reversed(client.xrevrange(self._stream, count=RING_EVENTS))]
                    last = events[-1].id if events else "0-0"
                else:
                    found = client.xread({self._stream: last}, count=BATCH_EVENTS, block=_BLOCK_MS)
                    events = [_event(*one) for one in (found[0][1] if found else [])]
                    last = events[-1].id if events else last
            except RedisError:
                if last is not None:
                    self._feed.gap()
                last = None
                raise
            self._feed.deliver(events)

        return step


def _event(event_id: bytes, fields: dict[bytes, bytes]) -> LiveEvent:
    return LiveEvent(
        kind=fields[b"kind"].decode(),
        tenant=fields[b"tenant"].decode(),
        data=msgspec.json.decode(fields[b"data"]),
        id=event_id.decode(),
    )
