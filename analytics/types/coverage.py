"""What was not inspected, as sidecars report it and as it is read back.

In: nothing of ours. Out: CoverageRows (reported), CoverageView (read). Words and units: analytics/types/__init__.py.
"""

from dataclasses import dataclass

from analytics.types.usage import Window


@dataclass(frozen=True, slots=True)
class Workload:
    """Where a sidecar runs. Outside Kubernetes only the machine has a name."""

    namespace: str
    pod: str
    service_account: str
    machine: str


@dataclass(frozen=True, slots=True)
class PassThroughRow:
    """One host in one hour through one door, not inspected; sums since the hour began.

    llm is whose LLM host it is, empty for none; listed: of the sidecar's provider table, else it only looks so.
    """

    hour_unix_s: int
    door: str
    host: str
    llm: str
    listed: bool
    connections: int
    failed: int
    bytes_out: int
    bytes_in: int
    last_client: str
    last_unix_us: int
    revision: int


@dataclass(frozen=True, slots=True)
class SightRow:
    """One of Envoy's counters, or of a sidecar's own blindness, in one hour at one door (empty: of none)."""

    hour_unix_s: int
    door: str
    kind: str
    count: int
    revision: int


@dataclass(frozen=True, slots=True)
class CoverageRows:
    """One report of a sidecar's tally. source is the tally's id; rejected counts rows that can never be stored."""

    source: str
    workload: Workload
    hosts: tuple[PassThroughRow, ...]
    sights: tuple[SightRow, ...]
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class DoorCalls:
    """What went through one door and was inspected, or should have been.

    fail_open: passed although its inspection failed. passed_unscanned: passed with bytes nobody looked at, for any reason.
    """

    door: str
    requests: int = 0
    answered: int = 0
    denied: int = 0
    failed: int = 0
    upstream_error: int = 0
    client_aborted: int = 0
    unknown: int = 0
    allow_unscanned: int = 0
    fail_open: int = 0
    passed_unscanned: int = 0
    body_bytes: int = 0
    scanned_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PassedHost:
    """One host of a window that was not inspected, summed over its hours."""

    door: str
    host: str
    llm: str
    listed: bool
    connections: int
    failed: int
    bytes_out: int
    bytes_in: int
    last_client: str
    last_unix_us: int

    @property
    def reached(self) -> bool:
        """True when the host was really reached: attempts that all failed sent it nothing."""
        return self.connections > self.failed or self.bytes_in > 0


@dataclass(frozen=True, slots=True)
class WorkloadCoverage:
    """One workload. Shape: hosts come LLM hosts first, then most connections."""

    workload: Workload
    last_seen_unix_s: int | None
    calls: tuple[DoorCalls, ...] = ()
    hosts: tuple[PassedHost, ...] = ()
    sights: tuple[tuple[str, str, int], ...] = ()  # door, kind, count

    @property
    def llm_hosts(self) -> tuple[PassedHost, ...]:
        """The LLM hosts that were reached without inspection."""
        return tuple(host for host in self.hosts if host.llm and host.reached)


@dataclass(frozen=True, slots=True)
class CoverageView:
    """What was inspected and what was not, in a window.

    Shape: workloads with uninspected LLM hosts come first; timeline is (bucket start, calls, connections passed, of these
    to LLM hosts), in order, with no gap.
    """

    window: Window
    workloads: tuple[WorkloadCoverage, ...]
    timeline: tuple[tuple[int, int, int, int], ...]
