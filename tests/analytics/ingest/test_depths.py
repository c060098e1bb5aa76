from prometheus_client import CollectorRegistry

from analytics.ingest.depths import StreamMetrics
from analytics.ingest.stream import Depth


def test_a_shard_is_shown_as_it_is() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry, lambda: 100.0)
    metrics.show(2, Depth(waiting=7, pending=3, dead=1, bytes=500, oldest_unix_ms=97_500))
    names = ("batches", "pending_batches", "dead_batches", "bytes", "age_seconds")
    shown = [registry.get_sample_value(f"douane_buffer_{name}", {"shard": "2"}) for name in names]
    assert shown == [7, 3, 1, 500, 2.5]
    metrics.show(2, Depth(0, 0, 0, 0, None))
    assert registry.get_sample_value("douane_buffer_age_seconds", {"shard": "2"}) == 0
