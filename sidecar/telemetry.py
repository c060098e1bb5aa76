"""What operators see of a running sidecar: JSON lines on standard output, and Prometheus metrics.

In: verdicts, completions, counts. Out: log lines with the event's name first; metrics named douane_<thing>_<unit>.
Never: bodies, header values, prompts, answers or matches, at any level. Labels come from closed sets.

Workers are processes, so metrics live in files (PROMETHEUS_MULTIPROC_DIR, set by `douane up`) and one port shows their sum.
"""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    multiprocess,
    start_http_server,
)

from sidecar.types import Completion, FailureKind, Outcome, Verdict

_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}
_MAX_CAUSES = 5
# Pairs of tenant and policy version that have a series of their own; those of the past stay, at 0, as long as the worker lives.
_POLICIES_SHOWN = 200

VERDICTS = Counter("douane_verdicts_total", "Requests decided", ("action", "level", "mode"))
OUTCOMES = Counter("douane_outcomes_total", "Exchanges ended, by how", ("outcome",))
FAILURES = Counter("douane_inspection_failures_total", "Inspections that failed", ("kind",))
FAIL_OPEN = Counter("douane_fail_open_total", "Requests passed although their inspection failed", ("kind",))
UNSCANNED = Counter("douane_unscanned_bytes_total", "Request bytes that were not looked at", ("reason",))
INSPECT_SECONDS = Histogram(
    "douane_inspect_seconds",
    "Reading and scanning one request",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
)
LEAKED_CHARS = Histogram(
    "douane_stream_leaked_chars",
    "Characters of what was found that had left a streamed answer when it was cut; at most the policy's leak_budget",
    buckets=(0, 16, 64, 128, 256, 512),
)
LOST = Counter("douane_records_lost_total", "Records that could not be written down", ("reason",))
PUBLISHED = Counter("douane_records_published_total", "Records acknowledged by analytics")
REJECTED = Counter("douane_records_rejected_total", "Records analytics will never take; kept aside in the spool")
PUBLISH_REFUSALS = Counter(
    "douane_publish_refusals_total",
    "Deliveries that analytics refused: our token or certificate is not good (any more)",
)
PUBLISH_FAILURES = Counter("douane_publish_failures_total", "Deliveries that failed and will be tried again")
RECOVERED = Counter("douane_records_recovered_total", "Exchanges found unfinished after a kill and marked incomplete")
POLICY_RELOADS = Counter("douane_policy_reloads_total", "Times the policy file was read again", ("result",))
PACK_RELOADS = Counter("douane_packs_reloads_total", "Times the folder of users' rules was read again", ("result",))
EXCEPTIONS = Counter(
    "douane_policy_exceptions_total", "Exceptions of the policy that met a finding, by effect", ("effect",)
)
CONTROL_APPLIED = Counter("douane_control_applied_total", "Snapshots and signs of life that analytics sent")
CONTROL_FAILURES = Counter(
    "douane_control_failures_total",
    "Streams to analytics that broke (stream), snapshots not saved or not read",
    ("what",),
)
SNAPSHOT_VERSION = Gauge(
    "douane_snapshot_version",
    "What a worker holds of analytics' versions; the oldest of all",
    multiprocess_mode="livemin",
)
SNAPSHOT_HEARD = Gauge(
    "douane_snapshot_heard_unix_seconds",
    "When a worker last heard from analytics, the longest ago of all; 0: never since its start",
    multiprocess_mode="livemin",
)
POLICY_VERSION = Gauge(
    "douane_policy_info", "1 for each policy in force in a worker", ("tenant", "version"), multiprocess_mode="livemax"
)
SPOOL_WAITING = Gauge("douane_spool_waiting_records", "Final records waiting for delivery", multiprocess_mode="livesum")
SPOOL_OPEN = Gauge("douane_spool_open_records", "Exchanges under way", multiprocess_mode="livesum")

# Counted by the supervisor (sidecar/coverage), which shows them beside the sum of its workers.
PASS_THROUGH = Counter(
    "douane_pass_through_connections_total",
    "Connections passed without inspection; llm: the host is of the provider table (listed), looks like an LLM host, or no",
    ("door", "llm"),
)
PASS_THROUGH_BYTES = Counter(
    "douane_pass_through_bytes_total", "Bytes of such connections, out to the host or in", ("door", "llm", "direction")
)
SIGHT = Counter(
    "douane_envoy_sight_total",
    "Envoy's own counters and our blindness: failure_mode_allowed, message_timeouts, streams_failed ...",
    ("door", "kind"),
)
COVERAGE_FAILURES = Counter(
    "douane_coverage_failures_total", "Steps of the coverage watch that failed and are tried again", ("what",)
)
_OF_THE_SUPERVISOR = (PASS_THROUGH, PASS_THROUGH_BYTES, SIGHT, COVERAGE_FAILURES)


@cache
def _verdicts(action: str, level: str, mode: str) -> Counter:
    """Return a counter with its labels: looking them up costs more than counting. The sets are closed, so this stays small."""
    return VERDICTS.labels(action, level, mode)


@cache
def _outcomes(outcome: str) -> Counter:
    return OUTCOMES.labels(outcome)


class Counts:
    """Counts what happens to exchanges and records."""

    def __init__(self) -> None:
        self._policies: set[tuple[str, str]] = set()

    def verdict(self, verdict: Verdict) -> None:
        """Count a decision."""
        decision, inspection = verdict.decision, verdict.inspection
        _verdicts(decision.applied.value, inspection.assessment.level.value, decision.mode.value).inc()
        INSPECT_SECONDS.observe(verdict.inspect_us / 1e6)
        for item in inspection.coverage.unscanned:
            UNSCANNED.labels(item.reason.value).inc(item.bytes)
        if inspection.failure is not None:
            FAILURES.labels(inspection.failure.kind.value).inc()
            if not decision.refuses and verdict.outcome is not Outcome.CLIENT_ABORTED:
                FAIL_OPEN.labels(inspection.failure.kind.value).inc()
        for effect, number in zip(("applied", "ended"), verdict.waived, strict=True):
            if number:
                EXCEPTIONS.labels(effect).inc(number)
        if verdict.final:
            _outcomes(verdict.outcome.value).inc()

    def completion(self, completion: Completion) -> None:
        """Count an end."""
        _outcomes(completion.outcome.value).inc()
        if completion.leaked_chars is not None:
            LEAKED_CHARS.observe(completion.leaked_chars)

    def lost(self, reason: str) -> None:
        """Count a record that could not be written."""
        LOST.labels(reason).inc()

    def broken(self, kind: FailureKind) -> None:
        """Count a failure around an exchange."""
        FAILURES.labels(kind.value).inc()

    def published(self, stored: int, rejected: int) -> None:
        """Count a delivery."""
        PUBLISHED.inc(stored)
        REJECTED.inc(rejected)

    def publish_failed(self) -> None:
        """Count a delivery that failed."""
        PUBLISH_FAILURES.inc()

    def publish_refused(self) -> None:
        """Count a delivery that analytics refused because of who we are."""
        PUBLISH_REFUSALS.inc()

    def recovered(self, count: int) -> None:
        """Count exchanges that a killed worker had left open."""
        RECOVERED.inc(count)

    def policy_read(self, *, good: bool) -> None:
        """Count a reading of the policy file."""
        POLICY_RELOADS.labels("ok" if good else "refused").inc()

    def control_applied(self, version: int, unix_s: float) -> None:
        """Count what analytics sent, and show that it was heard."""
        CONTROL_APPLIED.inc()
        SNAPSHOT_VERSION.set(version)
        SNAPSHOT_HEARD.set(unix_s)

    def policies_in_force(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Show which policies are in force, as (tenant, version); beyond _POLICIES_SHOWN pairs nothing more is shown."""
        pairs = set(pairs)
        for pair in self._policies - pairs:
            POLICY_VERSION.labels(*pair).set(0)
        self._policies |= set(sorted(pairs - self._policies)[: max(0, _POLICIES_SHOWN - len(self._policies))])
        for pair in pairs & self._policies:
            POLICY_VERSION.labels(*pair).set(1)

    def control_failed(self, what: str) -> None:
        """Count a step of the watch that failed: stream, save or read."""
        CONTROL_FAILURES.labels(what).inc()

    def packs_read(self, *, good: bool) -> None:
        """Count a reading of the users' rules."""
        PACK_RELOADS.labels("ok" if good else "refused").inc()

    def watch_spool(self, waiting: Callable[[], int], open_: Callable[[], int]) -> Callable[[], None]:
        """Return a function that shows the spool's depth; call it now and then."""

        def show() -> None:
            SPOOL_WAITING.set(waiting())
            SPOOL_OPEN.set(open_())

        return show


class CoverageCounts:
    """Counts what passed without inspection, and what was not seen. Doors and kinds are capped by the tally."""

    def passed(
        self,
        connections: Mapping[tuple[str, str], int],
        bytes_out: Mapping[tuple[str, str], int],
        bytes_in: Mapping[tuple[str, str], int],
    ) -> None:
        """Count connections and bytes by (door, llm)."""
        for key, count in connections.items():
            PASS_THROUGH.labels(*key).inc(count)
        for direction, sums in (("out", bytes_out), ("in", bytes_in)):
            for key, count in sums.items():
                PASS_THROUGH_BYTES.labels(*key, direction).inc(count)

    def sights(self, counts: Iterable[tuple[str, str, int]]) -> None:
        """Count (door, kind, growth)."""
        for door, kind, count in counts:
            SIGHT.labels(door, kind).inc(count)

    def failed(self, what: str) -> None:
        """Count a step that failed."""
        COVERAGE_FAILURES.labels(what).inc()


class JsonLines(logging.Formatter):
    """One JSON object a line: event, level, time, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, object] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "at": round(record.created, 6),
            "logger": record.name,
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in _PLAIN}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = _where(record.exc_info[1])
        return json.dumps(line, default=str)


def _where(error: BaseException | None) -> str:
    """Return types and places of an exception and its causes, never its words: they often quote the value that was wrong."""
    found: list[str] = []
    while error is not None and len(found) < _MAX_CAUSES:
        found.append(f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}")
        error = error.__cause__ or error.__context__
    return "caused by ".join(found)


def start_logging(level: str) -> None:
    """Send every log line to standard output as JSON."""
    out = logging.StreamHandler(sys.stdout)
    out.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[out], force=True)


def serve_metrics(port: int, folder: str) -> Callable[[], None]:
    """Serve the sum of all workers' metrics, and the supervisor's own, on loopback; return what stops it.

    Raises: OSError when the port is taken.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library is not annotated; workers' files have none either
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call] # the library is not annotated
    for own in _OF_THE_SUPERVISOR:
        registry.register(own)
    server, thread = start_http_server(port, "127.0.0.1", registry)

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    return stop


def lost_records(folder: str) -> dict[str, int]:
    """Return what all workers counted of lost and of refused records, those that have ended included."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call] # the library is not annotated
    kinds = {"douane_records_lost": "records_lost", "douane_records_rejected": "records_rejected"}
    found = dict.fromkeys(kinds.values(), 0)
    for metric in registry.collect():
        if kind := kinds.get(metric.name):
            found[kind] += round(sum(one.value for one in metric.samples if one.name.endswith("_total")))
    return found


def forget_gauges(pid: int, folder: str) -> None:
    """Take a dead worker's gauges out of the sum; its counters stay."""
    multiprocess.mark_process_dead(pid, folder)  # type: ignore[no-untyped-call] # the library is not annotated
