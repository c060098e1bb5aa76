"""What the trend rules look at: sums of rollups, budgets, risks, and the state of sidecars at one moment.

In: nothing of ours. Out: Facts. Units: nanousd are billionths of a US dollar.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Recent:
    """Calls of one model in the last alert_window_s. latency maps sketch index -> count (store/sketch)."""

    requests: int = 0
    errors: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a tenant spent in the hour under way, in the same hours of the last days, and in a mean hour of those days."""

    nanousd: int
    same_hours: tuple[int, ...]
    mean_nanousd: float


@dataclass(frozen=True, slots=True)
class Calls:
    """How many calls a tenant made in the last alert_silence_s, and in as long a stretch of the same hours before."""

    count: int
    usual: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """How much of a budget is used in its window. unit: requests, tokens or usd; resets_unix_s: when the window ends."""

    tenant: str
    key: str
    unit: str
    used: float
    limit: float
    resets_unix_s: int


@dataclass(frozen=True, slots=True)
class UserRisk:
    """A user's decayed sum of scores."""

    tenant: str
    user: str
    risk: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SidecarState:
    """What a sidecar's coverage reports say. sights sums kinds over this hour and the one before.

    running: it said that it began and has not said that it ended.
    """

    name: str
    source: str
    last_seen_unix_s: int
    running: bool
    sights: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the trend rules look at. Shape: recent and usual are by (tenant, model), spending and calls by tenant."""

    now_unix_s: int
    recent: Mapping[tuple[str, str], Recent] = field(default_factory=dict)
    usual: Mapping[tuple[str, str], Mapping[int, int]] = field(default_factory=dict)
    spending: Mapping[str, Spending] = field(default_factory=dict)
    calls: Mapping[str, Calls] = field(default_factory=dict)
    budgets: tuple[BudgetUse, ...] = ()
    risks: tuple[UserRisk, ...] = ()
    sidecars: tuple[SidecarState, ...] = ()
