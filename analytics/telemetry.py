"""What the service says about itself: JSON lines on stdout, Prometheus metrics.

In: events and counts. Out: one JSON object a line, event name first; a registry for /metrics.
The mission's four metrics have its names and labels exactly. Label values come from clients, so they are capped: the
first so many of each are kept, later ones become `_other`, and so does a (model, user, endpoint) beyond the series cap.
Never: bodies, header values, prompts, replies or matches, at any level.
"""

import json
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from threading import Lock
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from analytics.types import DecisionRow, Stored

OTHER = "_other"
# From a denial's millisecond to a long reasoning answer; the mission's slow-call threshold (5 s) is an edge.
LATENCY_EDGES_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0, 120.0)
COMMIT_EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
BATCH_EDGES = (1, 5, 10, 25, 50, 100, 200, 500, 1_000)
_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """Format a record as one JSON line: event, level, time, logger, then the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "logger": record.name,
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in _PLAIN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logging(level: str, stream: TextIO = sys.stdout) -> None:
    """Send every logger of the process to `stream` as JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("alembic", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Capped:
    """The first `cap` values of a label; every later one is `_other`."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._seen: set[object] = set()

    def admits(self, value: object) -> bool:
        """Return True when the value is or becomes one of the kept."""
        if value not in self._seen:
            if len(self._seen) >= self._cap:
                return False
            self._seen.add(value)
        return True

    def label(self, value: str) -> str:
        """Return the value, or `_other` beyond the cap."""
        return value if self.admits(value) else OTHER


class PerformanceScores(Collector):
    """`model_performance_score{model}`: the Apdex of a model over the last hour.

    (answers within T + half of the answers within 4 T) / (answers + errors of the provider), T being
    ALERT_LATENCY_THRESHOLD; 1 is every answer in time, 0 is none. A model not used for an hour has no score. Denials
    and clients that left say nothing about a model and are left out.
    Source: Apdex Technical Specification 1.1, section 4.
    Bounds: one pair of numbers a model and minute; models are capped by the caller's labels.
    """

    WINDOW_MINUTES = 60

    def __init__(self, threshold_s: float, clock: Callable[[], float]) -> None:
        self._threshold_us = threshold_s * 1e6
        self._clock = clock
        self._lock = Lock()  # the writer's thread counts while another one is scraped
        self._minutes: dict[str, deque[tuple[int, float, int]]] = {}

    def observe(self, model: str, row: DecisionRow) -> None:
        """Count one final record."""
        if row.outcome not in ("answered", "upstream_error"):
            return
        now = int(self._clock() // 60)
        points = self._points(row)
        with self._lock:
            minutes = self._minutes.setdefault(model, deque(maxlen=self.WINDOW_MINUTES))
            _, before, count = minutes.pop() if minutes and minutes[-1][0] == now else (now, 0.0, 0)
            minutes.append((now, before + points, count + 1))

    def _points(self, row: DecisionRow) -> float:
        if row.outcome != "answered" or row.total_us > 4 * self._threshold_us:
            return 0.0
        return 1.0 if row.total_us <= self._threshold_us else 0.5

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauge as it is now."""
        gauge = GaugeMetricFamily(
            "model_performance_score", "Apdex of the model over the last hour, 0..1.", labels=["model"]
        )
        oldest = int(self._clock() // 60) - self.WINDOW_MINUTES
        with self._lock:
            models = sorted((model, tuple(minutes)) for model, minutes in self._minutes.items())
        for model, minutes in models:
            recent = [(points, count) for minute, points, count in minutes if minute > oldest]
            if recent:
                gauge.add_metric([model], sum(points for points, _ in recent) / sum(count for _, count in recent))
        yield gauge


class Metrics:
    """Every metric of the service, in a registry of its own."""

    def __init__(
        self, label_cap: int, series_cap: int, threshold_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.registry = CollectorRegistry()
        labels = ("model", "user", "endpoint")
        self.requests = Counter("inference_requests", "Exchanges that have ended.", labels, registry=self.registry)
        self.latency = Histogram(
            "inference_latency_seconds",
            "Time from the request to the end of the provider's answer.",
            labels,
            buckets=LATENCY_EDGES_S,
            registry=self.registry,
        )
        self.threats = Counter(
            "security_threats",
            "Threats found, by the risk level of their exchange.",
            ("threat_type", "risk_level"),
            registry=self.registry,
        )
        self.scores = PerformanceScores(threshold_s, clock)
        self.registry.register(self.scores)
        self.records = Counter(
            "douane_ingest_records", "Records received, by what became of them.", ("result",), registry=self.registry
        )
        self.failed_batches = Counter(
            "douane_ingest_failed_batches", "Batches answered with a gRPC error.", ("code",), registry=self.registry
        )
        self.batch = Histogram(
            "douane_ingest_batch_records", "Records in a batch.", buckets=BATCH_EDGES, registry=self.registry
        )
        self.commit = Histogram(
            "douane_ingest_commit_seconds",
            "Time to read, store and commit a batch.",
            buckets=COMMIT_EDGES_S,
            registry=self.registry,
        )
        self._models, self._users, self._endpoints = Capped(label_cap), Capped(label_cap), Capped(label_cap)
        self._series = Capped(series_cap)

    def observe_batch(self, records: int, result: Stored, rejected: int, seconds: float) -> None:
        """Count one committed batch and the exchanges that ended in it."""
        for name, count in (("stored", result.stored), ("unchanged", result.unchanged), ("rejected", rejected)):
            self.records.labels(name).inc(count)
        self.batch.observe(records)
        self.commit.observe(seconds)
        for row in result.counted:
            self._observe(row)

    def _observe(self, row: DecisionRow) -> None:
        labels = (self._models.label(row.model), self._users.label(row.user), self._endpoints.label(row.endpoint))
        if not self._series.admits(labels):
            labels = (OTHER, OTHER, OTHER)
        self.requests.labels(*labels).inc()
        if row.latency_us is not None:
            self.latency.labels(*labels).observe(row.latency_us / 1e6)
        for threat in row.threats:
            self.threats.labels(threat.type, row.level).inc()
        self.scores.observe(labels[0], row)
