"""What is past is removed, what is not stays."""

from sqlalchemy import Engine

from analytics.control.sweep import sweep
from analytics.store import database, sidecars
from analytics.types.control import RiskRule, SidecarState
from tests.analytics.control.steering import activate, books, row
from tests.analytics.traffic import BEGAN_UNIX_US

NOW_S = BEGAN_UNIX_US // 1_000_000
DAY = 86_400


def test_only_what_is_past_goes(engine: Engine) -> None:
    activate(engine, "budgets: [{name: calls, unit: requests, window: minute, limit: 3}]")
    books(engine, lambda: float(NOW_S)).store([row(1, 8.0)])
    with database.writing(engine) as connection:
        sidecars.tell(connection, [SidecarState("web-1/0", "", 1, BEGAN_UNIX_US, ())])
        swept = [sweep(connection, RiskRule(), NOW_S + days * DAY) for days in (0, 1, 3, 8, 9)]
    nothing = {"users": 0, "budget_use": 0, "sidecars": 0}
    assert swept == [
        nothing,
        nothing | {"users": 1},
        nothing | {"budget_use": 1},
        nothing | {"sidecars": 1},
        nothing,
    ]


def test_a_policys_longer_half_life_keeps_users_longer(engine: Engine) -> None:
    activate(engine, "user_risk: {half_life_s: 86400}")
    books(engine, lambda: float(NOW_S)).store([row(1, 8.0)])
    with database.writing(engine) as connection:
        assert [sweep(connection, RiskRule(), NOW_S + days * DAY)["users"] for days in (9, 11)] == [0, 1]
