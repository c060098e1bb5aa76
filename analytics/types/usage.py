"""What rollups say about a window, and what is advised from it.

In: nothing of ours. Out: Window, Totals, Usage, Recommendation. Words and units: analytics/types/__init__.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
GRAINS_S = (MINUTE_S, HOUR_S, DAY_S)


# What a rollup adds up, by the names of Totals.
COUNTERS = (
    *("requests", "action_allow", "action_allow_unscanned", "action_redact", "action_throttle", "action_deny"),
    *("would_refuse", "level_low", "level_medium", "level_high", "level_critical"),
    *("outcome_answered", "outcome_denied", "outcome_failed", "outcome_upstream_error"),
    *("outcome_client_aborted", "outcome_unknown", "inspection_failures", "unscanned", "threats"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "latency_count", "latency_us_sum", "verdict_us_sum"),
    *("fail_open", "streams", "refusals", "retries", "prompt_chars", "response_chars", "score_milli"),
    *("priced", "cost_nanousd", "first_byte_count", "first_byte_us_sum"),
)
# The cubes that rollups are kept in, and the grains of each. What tells series apart: store/tables/rollups.py.
CUBES = {"tenants": GRAINS_S, "traffic": GRAINS_S, "users": (HOUR_S, DAY_S), "full": GRAINS_S}


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
    fail_open: int = 0
    streams: int = 0
    refusals: int = 0
    retries: int = 0
    prompt_chars: int = 0
    response_chars: int = 0
    score_milli: int = 0
    priced: int = 0
    cost_nanousd: int = 0
    first_byte_count: int = 0
    first_byte_us_sum: int = 0
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
    def cost_usd(self) -> float | None:
        """What was paid in US dollars, None where no exchange had a price."""
        return self.cost_nanousd / 1e9 if self.priced else None

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
