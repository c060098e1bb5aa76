"""What others report."""

from analytics.alerts.rules.outside import judge_failure
from analytics.types.alerts import Occurrence


def test_a_failing_judge() -> None:
    assert judge_failure("default", "budget_used_up", 12, 5) == Occurrence(
        rule="judge_failure",
        level="warning",
        tenant="default",
        key="judge_failure/budget_used_up",
        title="the judge fails: budget used up",
        text="12 exchanges wait for a verdict. Recommendations come from statistics meanwhile.",
        moment_unix_us=5,
        facts=(("Reason", "budget_used_up"), ("Waiting", "12")),
    )
