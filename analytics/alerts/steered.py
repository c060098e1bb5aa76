"""Budgets and user risk as alerts look at them: what is used of each limit, whose risk is not small.

In: a connection, the rules in force. Out: the values of types/trends. Never: a change.
Bounds: the MOST keys that used most, and users whose risk moved in the last day.
"""

from sqlalchemy import Connection

from analytics.control.budgets import NANO_USD, Budget
from analytics.control.risk import decayed
from analytics.control.rules import Rules, RulesInForce
from analytics.store import budgets, risk
from analytics.types import DAY_S
from analytics.types.control import UseKey
from analytics.types.trends import BudgetUse, UserRisk

MOST = 1_000


class Steered:
    """Reads both. Used by one thread at a time: the scheduler's."""

    def __init__(self, rules: RulesInForce) -> None:
        self._rules = rules

    def budgets(self, connection: Connection, now_unix_s: int) -> list[BudgetUse]:
        """Return what was used of each budget in the window under way, all sidecars together."""
        rules = self._rules.of(connection)
        used = budgets.totals(connection, None, now_unix_s, MOST)
        return [_use(key, amount, one) for key, amount in used if (one := _budget(rules, key)) is not None]

    def risks(self, connection: Connection, now_unix_s: int) -> list[UserRisk]:
        """Return users' risk as it is now."""
        rules = self._rules.of(connection)
        since, now = (now_unix_s - DAY_S) * 1_000_000, now_unix_s * 1_000_000
        return [
            UserRisk(one.tenant, one.user, decayed(one.risk, one.as_of_unix_us, now, half_life), one.reason)
            for one in risk.moved_since(connection, since, MOST)
            for half_life in [rules.risk_of(one.tenant).half_life_s]
        ]


def _budget(rules: Rules, key: UseKey) -> Budget | None:
    same = (key.budget, key.unit, key.window_s)
    return next((one for one in rules.budgets_of(key.tenant) if (one.name, one.unit, one.window_s) == same), None)


def _use(key: UseKey, amount: int, budget: Budget) -> BudgetUse:
    scale = NANO_USD if budget.unit == "usd" else 1
    name = f"{key.budget} of {key.key}" if key.key else key.budget
    ends = key.window_unix_s + key.window_s
    return BudgetUse(key.tenant, name, budget.unit, amount / scale, budget.limit / scale, ends)
