"""What was used of budgets: added up by window and sidecar, told while the window is under way."""

from sqlalchemy import Engine

from analytics.store import budgets, control_state, database
from analytics.types.control import BudgetUse, UseKey


def key(sidecar: str = "a", window: int = 60, tenant: str = "default", user: str = "alice") -> UseKey:
    return UseKey(tenant, "calls", user, "requests", 60, window, sidecar)


def test_use_adds_up_and_is_told(engine: Engine) -> None:
    with database.writing(engine) as connection:
        budgets.add(connection, {})
        assert control_state.read(connection).version == 0
        budgets.add(connection, {key(): 2, key("b"): 1})
        budgets.add(connection, {key(): 3})
        assert budgets.changed_since(connection, 0, 119) == [BudgetUse(key("b"), 1, 1), BudgetUse(key(), 5, 2)]
        assert budgets.changed_since(connection, 1, 119) == [BudgetUse(key(), 5, 2)]
        assert budgets.changed_since(connection, 0, 120) == []


def test_totals_are_over_all_sidecars_most_first_and_a_tenants_own(engine: Engine) -> None:
    with database.writing(engine) as connection:
        budgets.add(
            connection,
            {key(): 2, key("b"): 1, key(user="bob"): 7, key(window=0): 99, key(tenant="other"): 4},
        )
        expected = [(key("", user="bob"), 7), (key("", tenant="other"), 4), (key(""), 3)]
        assert budgets.totals(connection, None, 60, 10) == expected
        assert budgets.totals(connection, None, 60, 1) == expected[:1]
        assert budgets.totals(connection, "other", 60, 10) == expected[1:2]


def test_windows_long_past_are_removed(engine: Engine) -> None:
    with database.writing(engine) as connection:
        budgets.add(connection, {key(window=60): 1, key(window=120): 1})
        assert [budgets.forget(connection, before) for before in (60, 120, 120)] == [0, 1, 0]
