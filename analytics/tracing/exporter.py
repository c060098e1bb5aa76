"""One backend's queue and thread: what the books stored goes out in batches, and waits while the backend is away.

In: final records, from the thread that commits. Out: batches handed to a sink; counts of what went and what was left out.
Bounds: `most` records wait; beyond, the oldest is left out and counted (the record itself is safe in the store).
Never: a wait of the thread that commits; a raise into it; an end because a backend failed.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from random import Random

from prometheus_client import CollectorRegistry, Counter, Gauge

from analytics.tracing.sinks import Sink
from analytics.types import DecisionRow

_LOG = logging.getLogger("analytics.tracing")

BATCH = 100  # two spans each, some 300 KB before compression where content is captured
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0


class TracingMetrics:
    """What tracing counts, by backend."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Counter("douane_tracing_exported", "Exchanges sent as traces.", ("backend",), registry=registry)
        self.lost = Counter(
            "douane_tracing_dropped",
            "Exchanges that were not sent: the queue was full, the backend refused them, or we ended.",
            ("backend", "reason"),
            registry=registry,
        )
        self.waiting = Gauge("douane_tracing_waiting", "Exchanges that wait.", ("backend",), registry=registry)


class Exporter:
    """The queue and the thread of one backend."""

    def __init__(self, name: str, sink: Sink, most: int, metrics: TracingMetrics, random: Random) -> None:
        self._name = name
        self._sink = sink
        self._most = most
        self._metrics = metrics
        self._random = random
        self._waiting: deque[DecisionRow] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tracing-{name}", daemon=True)

    def put(self, rows: Sequence[DecisionRow]) -> None:
        """Let records wait to be sent."""
        with self._changed:
            self._waiting.extend(rows)
            over = len(self._waiting) - self._most
            for _ in range(over):
                self._waiting.popleft()
            self._changed.notify()
        if over > 0:
            self._metrics.lost.labels(self._name, "queue_full").inc(over)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """Send what waits, while the backend takes it and no longer than this; count the rest as lost."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(within_s)
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            self._metrics.lost.labels(self._name, "ended").inc(left)
            _LOG.warning("tracing.unsent", extra={"backend": self._name, "exchanges": left})

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while batch := self._next():
            if self._sent(batch):
                wait_s = FIRST_WAIT_S
                continue
            self._put_back(batch)
            if self._stopping.wait(wait_s * (0.5 + self._random.random())):
                return
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _next(self) -> list[DecisionRow]:
        """Return what is sent next, as soon as there is anything; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping.is_set())
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._metrics.waiting.labels(self._name).set(len(self._waiting))
        return batch

    def _put_back(self, batch: list[DecisionRow]) -> None:
        with self._changed:
            room = max(0, self._most - len(self._waiting))
            self._waiting.extendleft(reversed(batch[len(batch) - min(room, len(batch)) :]))
        if room < len(batch):
            self._metrics.lost.labels(self._name, "queue_full").inc(len(batch) - room)

    def _sent(self, batch: list[DecisionRow]) -> bool:
        """Hand a batch to the sink; return False when it is to be tried again."""
        try:
            sent = self._sink(batch)
        except Exception as error:  # noqa: BLE001 - the rim of this thread: one batch's fault must not end the others
            _LOG.error("tracing.failed", extra={"backend": self._name, "error": type(error).__name__})
            self._metrics.lost.labels(self._name, "error").inc(len(batch))
            return True
        if sent.result == "ok":
            self._metrics.sent.labels(self._name).inc(len(batch))
        elif sent.result == "refused":
            self._metrics.lost.labels(self._name, "refused").inc(len(batch))
            _LOG.error("tracing.refused", extra={"backend": self._name, "why": sent.why, "exchanges": len(batch)})
        else:
            _LOG.warning("tracing.away", extra={"backend": self._name, "why": sent.why})
        return sent.result != "retry"
