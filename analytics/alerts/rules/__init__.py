"""The rules: LIVE ones look at each record that changed, TRENDS at what rollups and reports add up to.

In: a Change or Facts, and the settings. Out: Occurrences. A rule is one function without I/O; a new one is a function and a
line here. Campaigns need the store's memory of who met what, and are seen by rules/campaign and alerts/desk.
"""

from collections.abc import Callable, Iterator

from analytics.alerts.rules import live, trends
from analytics.config import Settings
from analytics.types import Change
from analytics.types.alerts import Occurrence
from analytics.types.trends import Facts

LIVE: tuple[Callable[[Change, Settings], Occurrence | None], ...] = (
    live.security,
    live.leak,
    live.fail_open,
    live.slow_call,
)
TRENDS: tuple[Callable[[Facts, Settings], Iterator[Occurrence]], ...] = (
    trends.latency_drift,
    trends.error_rate,
    trends.cost_spike,
    trends.budget,
    trends.user_risk,
    trends.traffic_silence,
    trends.sidecar_silent,
    trends.records_lost,
    trends.uninspected,
)
# By the names that occurrences carry: what closes by itself when it is gone, and what when nothing more came.
TREND_RULES = tuple(rule.__name__ for rule in TRENDS)
LIVE_RULES = (*(rule.__name__ for rule in LIVE), "campaign", "judge_failure")
