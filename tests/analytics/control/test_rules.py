"""What the policies in force say to analytics: read again when one changes, a tenant's own before the one for all."""

from sqlalchemy import Engine

from analytics.control.budgets import Budget
from analytics.control.rules import RulesInForce
from analytics.types.control import RiskRule
from tests.analytics.control.steering import activate, withdraw

DEFAULT = RiskRule(half_life_s=100.0)
CALLS = Budget("calls", "requests", "tenant", "minute", 3)


def test_without_policies_the_settings_hold(engine: Engine) -> None:
    with engine.connect() as connection:
        rules = RulesInForce(DEFAULT).of(connection)
    assert (rules.risk_of("a"), rules.budgets_of("a")) == (DEFAULT, ())


def test_a_tenants_own_policy_goes_before_the_one_for_all(engine: Engine) -> None:
    in_force = RulesInForce(DEFAULT)
    activate(
        engine, "user_risk: {quarantine_at: 9}\nbudgets: [{name: calls, unit: requests, window: minute, limit: 3}]", "*"
    )
    activate(engine, "user_risk: {half_life_s: 60}", "a")
    with engine.connect() as connection:
        rules = in_force.of(connection)
        assert in_force.of(connection) is rules
    assert rules.risk_of("a") == RiskRule(half_life_s=60.0)
    assert rules.risk_of("b") == RiskRule(half_life_s=100.0, quarantine_at=9.0)
    assert (rules.budgets_of("a"), rules.budgets_of("b")) == ((), (CALLS,))


def test_a_withdrawn_policy_holds_no_longer(engine: Engine) -> None:
    in_force = RulesInForce(DEFAULT)
    activate(engine, "user_risk: {quarantine_at: 9}", "a")
    with engine.connect() as connection:
        assert in_force.of(connection).risk_of("a").quarantine_at == 9.0
    withdraw(engine, "a")
    with engine.connect() as connection:
        assert in_force.of(connection).risk_of("a") == DEFAULT
