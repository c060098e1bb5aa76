"""Metrics of the record stream and its workers.

In: depths, as workers measure them; what workers count. Out: Prometheus metrics. Labels: the shards, and a closed set.
"""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from analytics.ingest.stream import Depth


class StreamMetrics:
    """Every replica with workers shows the same depths: take their maximum, not their sum. clock: seconds since 1970."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        shard = ("shard",)
        self.waiting = Gauge("douane_buffer_batches", "Batches that wait in Redis.", shard, registry=registry)
        self.pending = Gauge(
            "douane_buffer_pending_batches", "Batches that a worker has in hand.", shard, registry=registry
        )
        self.dead = Gauge(
            "douane_buffer_dead_batches",
            "Batches that could not be written and wait for somebody to look.",
            shard,
            registry=registry,
        )
        self.bytes = Gauge("douane_buffer_bytes", "Bytes of all of them.", shard, registry=registry)
        self.age = Gauge("douane_buffer_age_seconds", "Age of the oldest batch that waits.", shard, registry=registry)
        self.claimed = Counter(
            "douane_worker_claimed_batches", "Batches taken over from a worker that had ended.", registry=registry
        )
        self.buried = Counter("douane_worker_buried_batches", "Batches put aside as unwritable.", registry=registry)
        self.failures = Counter(
            "douane_worker_failures", "Steps that failed and were tried again.", ("kind",), registry=registry
        )

    def show(self, shard: int, depth: Depth) -> None:
        """Show what a shard holds."""
        name = str(shard)
        self.waiting.labels(name).set(depth.waiting)
        self.pending.labels(name).set(depth.pending)
        self.dead.labels(name).set(depth.dead)
        self.bytes.labels(name).set(depth.bytes)
        age_s = 0.0 if depth.oldest_unix_ms is None else self._clock() - depth.oldest_unix_ms / 1_000
        self.age.labels(name).set(max(age_s, 0.0))
