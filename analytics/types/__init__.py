"""The glossary of analytics: the values that its stations hand to each other.

In: nothing of ours. Out: frozen values, DecisionRow -> Usage (read back from rollups) -> Recommendation.
The words are those of proto/douane/v1/decision.proto and of sidecar/types.py: enum values are their lower-case names
(`deny`, `critical`), `unspecified` where a record did not say or said something we do not know yet.

Units: *_us are microseconds, *_unix_us microseconds and *_unix_s seconds since 1970 UTC; scores are on the mission's
scale (LOW 0-4, MEDIUM 5-9, HIGH 10-14, CRITICAL 15 and more). Never: behaviour beyond what a value says about itself.
"""

from analytics.types.coverage import (
    CoverageRows,
    CoverageView,
    DoorCalls,
    PassedHost,
    PassThroughRow,
    SightRow,
    Workload,
    WorkloadCoverage,
)
from analytics.types.records import (
    ACTIONS,
    FINAL_RANK,
    LEVELS,
    OUTCOMES,
    REFUSING,
    STAGE_RANKS,
    Change,
    DecisionRow,
    Stored,
    ThreatRow,
)
from analytics.types.usage import (
    COUNTERS,
    CUBES,
    DAY_S,
    GRAINS_S,
    HOUR_S,
    MINUTE_S,
    Recommendation,
    ThreatCount,
    Totals,
    Usage,
    Window,
)

__all__ = [
    "ACTIONS",
    "COUNTERS",
    "CUBES",
    "DAY_S",
    "FINAL_RANK",
    "GRAINS_S",
    "HOUR_S",
    "LEVELS",
    "MINUTE_S",
    "OUTCOMES",
    "REFUSING",
    "STAGE_RANKS",
    "Change",
    "CoverageRows",
    "CoverageView",
    "DecisionRow",
    "DoorCalls",
    "PassThroughRow",
    "PassedHost",
    "Recommendation",
    "SightRow",
    "Stored",
    "ThreatCount",
    "ThreatRow",
    "Totals",
    "Usage",
    "Window",
    "Workload",
    "WorkloadCoverage",
]
