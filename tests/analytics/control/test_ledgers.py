"""The ledgers through real books, on both engines: every record counts once, in the transaction that stores it."""

import pytest
from sqlalchemy import Engine

from analytics.store import budgets, control_state, risk
from analytics.types.control import BudgetUse, UseKey
from tests.analytics.control.steering import HOUR_US, activate, books, row, verdict, withdraw
from tests.analytics.traffic import BEGAN_UNIX_US

NOW_S = BEGAN_UNIX_US / 1e6
ALICE = ("default", "alice")


def clock() -> float:
    return NOW_S


def held(engine: Engine, *users: str) -> dict[str, float]:
    with engine.connect() as connection:
        found = risk.read(connection, [("default", user) for user in users])
    return {user: one.risk for (_, user), one in found.items()}


def version(engine: Engine) -> int:
    with engine.connect() as connection:
        return control_state.read(connection).version


def test_risk_adds_up_over_batches_stages_and_repeats(engine: Engine) -> None:
    store = books(engine, clock).store
    store([verdict(1, 10.0), row(2, 3.0), row(3, 0.0, user="bob"), row(4, 5.0, user="")])
    store([row(1, 12.5), row(2, 3.0)])
    store([row(1, 12.5)])
    assert held(engine, "alice", "bob", "") == {"alice": 15.5}


def test_a_record_from_a_clock_ahead_counts_as_of_now(engine: Engine) -> None:
    books(engine, clock).store([row(1, 8.0, at_us=40 * HOUR_US), row(2, 4.0)])
    with engine.connect() as connection:
        found = risk.read(connection, [ALICE])[ALICE]
    assert (found.risk, found.as_of_unix_us) == (12.0, BEGAN_UNIX_US)


def test_only_what_is_noticeable_is_told(engine: Engine) -> None:
    store = books(engine, clock).store
    versions = []
    for number, score in enumerate([0.2, 0.2, 0.2, 0.0]):
        store([row(number, score)])
        versions.append(version(engine))
    with engine.connect() as connection:
        told = risk.changed_since(connection, 0)
    assert versions == [0, 0, 1, 1]
    assert [(one.user, one.told, one.changed_version) for one in told] == [("alice", pytest.approx(0.6), 1)]


def test_a_policys_rule_puts_into_quarantine_and_says_why(engine: Engine) -> None:
    activate(engine, "user_risk: {quarantine_at: 20, quarantine_s: 60}")
    store = books(engine, clock).store
    store([row(1, 15.0), row(2, 15.0, user="bob", tenant="other")])
    store([row(3, 6.0), row(4, 15.0, user="bob", tenant="other")])
    with engine.connect() as connection:
        found = risk.read(connection, [ALICE, ("other", "bob")])
        events = risk.events(connection, ALICE, 5)
    assert {key: one.quarantined_until_unix_us for key, one in found.items()} == {
        ALICE: BEGAN_UNIX_US + 60_000_000,
        ("other", "bob"): 0,
    }
    assert [(one.kind, one.actor, one.reason, one.risk) for one in events] == [
        ("quarantine", "rule", "user risk 21.0 reached 20", 21.0)
    ]


BUDGETS = """
budgets:
- {name: calls, unit: requests, window: minute, limit: 3, per: user}
- {name: tokens, unit: tokens, window: day, limit: 1000}
- {name: spend, unit: usd, window: hour, limit: 0.5, per: team, match: {model: "gpt-*"}}
"""
MINUTE, DAY = int(NOW_S) - int(NOW_S) % 60, int(NOW_S) - int(NOW_S) % 86_400


def used(engine: Engine) -> dict[tuple[str, str], int]:
    with engine.connect() as connection:
        return {(one.key.budget, one.key.key): one.used for one in budgets.changed_since(connection, 0, int(NOW_S))}


def test_budgets_count_requests_once_and_tokens_when_they_are_known(engine: Engine) -> None:
    activate(engine, BUDGETS)
    store = books(engine, clock).store
    store([verdict(1, 0.0, team="red"), row(2, 0.0, user="bob", team="red")])
    assert used(engine) == {("calls", "alice"): 1, ("calls", "bob"): 1, ("tokens", ""): 160}
    store([row(1, 0.0, team="red"), row(2, 0.0, user="bob", team="red")])
    assert used(engine) == {("calls", "alice"): 1, ("calls", "bob"): 1, ("tokens", ""): 310}


def test_use_is_kept_by_window_and_sidecar(engine: Engine) -> None:
    activate(engine, BUDGETS)
    books(engine, clock).store([row(1), row(2, sidecar="web-2/0"), row(3, at_us=60_000_000)])
    with engine.connect() as connection:
        found = budgets.changed_since(connection, 0, int(NOW_S))
    calls = [one for one in found if one.key.budget == "calls"]
    assert calls == [
        BudgetUse(UseKey("default", "calls", "alice", "requests", 60, MINUTE, "web-1/0"), 1, 2),
        BudgetUse(UseKey("default", "calls", "alice", "requests", 60, MINUTE, "web-2/0"), 1, 2),
        BudgetUse(UseKey("default", "calls", "alice", "requests", 60, MINUTE + 60, "web-1/0"), 1, 2),
    ]


def test_what_was_refused_uses_nothing(engine: Engine) -> None:
    activate(engine, BUDGETS)
    books(engine, clock).store([row(0, applied="ACTION_DENY", outcome="OUTCOME_DENIED", usage=None)])
    assert used(engine) == {}


def test_a_withdrawn_policy_has_no_budgets_any_more(engine: Engine) -> None:
    activate(engine, BUDGETS)
    store = books(engine, clock).store
    store([row(1)])
    withdraw(engine)
    before = version(engine)
    store([row(2)])
    assert (used(engine)["calls", "alice"], version(engine)) == (1, before)
