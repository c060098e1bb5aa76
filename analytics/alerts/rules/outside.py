"""Occurrences that other parts of analytics report themselves, through `desk.note`: what no record and no rollup shows.

In: what failed. Out: an Occurrence. Never: raw text of a model or a secret; a reason is a short word of our own.
"""

from analytics.alerts.rules.naming import keyed
from analytics.types.alerts import Occurrence


def judge_failure(tenant: str, reason: str, waiting: int, now_unix_us: int) -> Occurrence:
    """The judge cannot do its work: its endpoint does not answer, its answers cannot be read, its budget is used up."""
    return Occurrence(
        rule="judge_failure",
        level="warning",
        tenant=tenant,
        key=keyed("judge_failure", reason),
        title=f"the judge fails: {reason.replace('_', ' ')}",
        text=f"{waiting} exchanges wait for a verdict. Recommendations come from statistics meanwhile.",
        moment_unix_us=now_unix_us,
        facts=(("Reason", reason), ("Waiting", str(waiting))),
    )
