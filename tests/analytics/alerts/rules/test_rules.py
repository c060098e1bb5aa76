"""The registries of rules."""

from analytics.alerts.rules import LIVE_RULES, TREND_RULES


def test_no_name_is_used_twice() -> None:
    names = (*LIVE_RULES, *TREND_RULES)
    assert len(set(names)) == len(names)
