from sqlalchemy import Engine

from analytics.alerts.steered import Steered
from analytics.control.rules import RulesInForce
from analytics.types.trends import BudgetUse
from tests.analytics.control.steering import HOUR_US, RULE, activate, books, row
from tests.analytics.traffic import BEGAN_UNIX_US

NOW_S = BEGAN_UNIX_US // 1_000_000
BUDGETS = "budgets: [{name: calls, unit: requests, window: minute, limit: 4, per: user}]"


def test_what_is_used_and_whose_risk_moved(engine: Engine) -> None:
    activate(engine, BUDGETS)
    books(engine, lambda: float(NOW_S)).store([row(1, 20.0), row(2, 10.0), row(3, 0.0, user="bob")])
    steered = Steered(RulesInForce(RULE))
    with engine.connect() as connection:
        used = steered.budgets(connection, NOW_S)
        risks = steered.risks(connection, NOW_S + HOUR_US // 1_000_000)
    ends = NOW_S - NOW_S % 60 + 60
    assert used == [
        BudgetUse("default", "calls of alice", "requests", 2.0, 4.0, ends),
        BudgetUse("default", "calls of bob", "requests", 1.0, 4.0, ends),
    ]
    assert [(one.tenant, one.user, round(one.risk, 6)) for one in risks] == [("default", "alice", 15.0)]


def test_a_budget_that_is_no_longer_in_force_is_left_out(engine: Engine) -> None:
    activate(engine, BUDGETS)
    books(engine, lambda: float(NOW_S)).store([row(1)])
    activate(engine, "mode: observe")
    with engine.connect() as connection:
        assert Steered(RulesInForce(RULE)).budgets(connection, NOW_S) == []
