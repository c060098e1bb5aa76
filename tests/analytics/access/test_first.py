from typing import Any

import pytest
from sqlalchemy import Engine

from analytics import config
from analytics.access import first
from analytics.config import ConfigError
from analytics.store import accounts, database
from tests.analytics.access.people_here import NOW_S, PASSWORD, person

BEYOND = {"http_host": "0.0.0.0"}


def ensured(engine: Engine, **settings: Any) -> list[tuple[str, str, str | None]]:
    first.ensure(config.load(**settings), engine, NOW_S)
    with engine.connect() as connection:
        return [(one.name, one.role, one.tenant) for one in accounts.every(connection, None)]


def test_on_loopback_nobody_is_needed_and_nobody_is_made(engine: Engine) -> None:
    assert ensured(engine) == []


def test_beyond_loopback_nothing_starts_without_an_administrator(engine: Engine) -> None:
    with pytest.raises(ConfigError, match=r"douane-analytics accounts add alice --role admin.*ADMIN_PASSWORD"):
        ensured(engine, **BEYOND)


def test_a_setting_makes_the_first_administrator_once(engine: Engine) -> None:
    assert ensured(engine, **BEYOND, admin_password=PASSWORD) == [("admin", "admin", None)]
    assert ensured(engine, **BEYOND, admin_password="another good one", admin_name="root") == [("admin", "admin", None)]


def test_a_weak_password_stops_the_start_and_is_not_repeated(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="DOUANE_ANALYTICS_ADMIN_PASSWORD: ") as caught:
        ensured(engine, **BEYOND, admin_password="short7")
    assert "short7" not in str(caught.value)


def test_a_name_that_is_taken_by_somebody_else_is_told(engine: Engine) -> None:
    with database.writing(engine) as connection:
        person(connection, "admin", "viewer")
    with pytest.raises(ConfigError, match="there is an account admin that administers nothing"):
        ensured(engine, **BEYOND, admin_password=PASSWORD)
