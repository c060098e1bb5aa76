"""The glossary of analytics: the values that its stations hand to each other.

In: nothing of ours. Out: frozen values, DecisionRow -> Usage (read back from rollups) -> Recommendation.
The words are those of proto/douane/v1/decision.proto and of sidecar/types.py: enum values are their lower-case names
(`deny`, `critical`), `unspecified` where a record did not say or said something we do not know yet.

Units: *_us are microseconds, *_unix_us microseconds and *_unix_s seconds since 1970 UTC; scores are on the mission's
scale (LOW 0-4, MEDIUM 5-9, HIGH 10-14, CRITICAL 15 and more). Never: behaviour beyond what a value says about itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIONS = ("allow", "allow_unscanned", "redact", "throttle", "deny")
LEVELS = ("low", "medium", "high", "critical")
OUTCOMES = ("answered", "denied", "failed", "upstream_error", "client_aborted", "unknown")

# A later stage replaces an earlier one. Both INCOMPLETE and COMPLETE are final; COMPLETE knows more.
STAGE_RANKS = {"verdict": 1, "incomplete": 2, "complete": 3}
FINAL_RANK = STAGE_RANKS["incomplete"]

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
GRAINS_S = (MINUTE_S, HOUR_S, DAY_S)


@dataclass(frozen=True, slots=True)
class ThreatRow:
    """One finding of a record. position counts a record's threats from 0; match_digest is hex."""

    position: int
    type: str
    detector: str
    rule_id: str
    surface: str
    message_index: int
    path: str
    score: float
    confidence: float
    span_start: int
    span_end: int
    match_chars: int
    match_digest: str
    view: str


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One exchange as it is stored: a column a field, the rest in detail.

    Shape: detail holds JSON values only (reasons, coverage, content ...); threats are in their record's order.
    """

    decision_id: str
    stage: str
    outcome: str
    applied: str
    would_be: str
    mode: str
    score: float
    level: str
    failure: str
    tenant: str
    user: str
    provider: str
    model: str
    endpoint: str
    protocol: str
    door: str
    stream: bool
    complete: bool
    refusal: bool
    http_status: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    started_unix_us: int
    verdict_us: int
    first_byte_us: int
    total_us: int
    detail: Mapping[str, Any]
    threats: tuple[ThreatRow, ...] = ()

    @property
    def final(self) -> bool:
        """True when the exchange has ended, so that it is counted."""
        return STAGE_RANKS[self.stage] >= FINAL_RANK

    @property
    def latency_us(self) -> int | None:
        """Time to the end of the provider's answer; None when the provider gave none or its client left before."""
        return self.total_us if self.total_us and self.outcome in ("answered", "upstream_error") else None


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing one batch did. counted are the records that became final in it, for the first time."""

    stored: int
    unchanged: int
    counted: tuple[DecisionRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [start, end) of time in whole buckets of grain_s seconds."""

    start_unix_s: int
    end_unix_s: int
    grain_s: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over exchanges, by the names of the rollups' columns. latency maps sketch index -> count (store/sketch)."""

    requests: int = 0
    action_allow: int = 0
    action_allow_unscanned: int = 0
    action_redact: int = 0
    action_throttle: int = 0
    action_deny: int = 0
    would_refuse: int = 0
    level_low: int = 0
    level_medium: int = 0
    level_high: int = 0
    level_critical: int = 0
    outcome_answered: int = 0
    outcome_denied: int = 0
    outcome_failed: int = 0
    outcome_upstream_error: int = 0
    outcome_client_aborted: int = 0
    outcome_unknown: int = 0
    inspection_failures: int = 0
    unscanned: int = 0
    threats: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    latency_count: int = 0
    latency_us_sum: int = 0
    verdict_us_sum: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Exchanges that ended in a failure of ours or of the provider."""
        return self.outcome_failed + self.outcome_upstream_error

    @property
    def error_rate(self) -> float:
        """Share of exchanges that ended in an error, 0..1."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def risky(self) -> int:
        """Exchanges of level high or critical."""
        return self.level_high + self.level_critical

    @property
    def mean_latency_s(self) -> float | None:
        """Mean time to the end of the provider's answer, None without an answer."""
        return self.latency_us_sum / self.latency_count / 1e6 if self.latency_count else None


@dataclass(frozen=True, slots=True)
class ThreatCount:
    """How many threats of one type, from how many users, the busiest of them first."""

    type: str
    count: int
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What rollups say about a window.

    Shape: models, users and endpoints are (name, totals), most requests first; timeline is (bucket start, totals) in
    order with no gap; threats come most first. unique_* count names, the empty one left out.
    """

    window: Window
    totals: Totals
    models: tuple[tuple[str, Totals], ...] = ()
    users: tuple[tuple[str, Totals], ...] = ()
    endpoints: tuple[tuple[str, Totals], ...] = ()
    timeline: tuple[tuple[int, Totals], ...] = ()
    threats: tuple[ThreatCount, ...] = ()
    unique_users: int = 0
    unique_models: int = 0


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One piece of advice. evidence holds the numbers it stands on."""

    title: str
    priority: str
    category: str
    description: str
    action: str
    evidence: Mapping[str, Any]


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
