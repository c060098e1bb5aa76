"""What the control channel no longer needs is removed: users whose risk has faded, windows long past, sidecars long gone.

In: a writing transaction, the time. Out: how many rows went. For the scheduler, every ten minutes or so; twice does no harm.
Never: a row that a sidecar could still be missing (see store/risk.forget, store/control_state.forget).
"""

from sqlalchemy import Connection

from analytics.control import budgets, risk
from analytics.control.rules import RulesInForce
from analytics.store import sidecars
from analytics.types.control import RiskRule

SIDECARS_KEPT_S = 7 * 86_400


def sweep(connection: Connection, default: RiskRule, now_unix_s: int) -> dict[str, int]:
    """Remove what is past; return how many rows of each kind."""
    rules = RulesInForce(default).of(connection)
    longest_s = max(rule.half_life_s for rule in (rules.default, *rules.risk.values()))
    return {
        "users": risk.sweep(connection, longest_s, now_unix_s * 1_000_000),
        "budget_use": budgets.sweep(connection, now_unix_s),
        "sidecars": sidecars.forget(connection, (now_unix_s - SIDECARS_KEPT_S) * 1_000_000),
    }
