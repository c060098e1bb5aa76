"""The first administrator: who reaches us decides whether one is needed."""

from typing import Any

import pytest
from sqlalchemy import Engine

from analytics import config
from analytics.access import first, passwords
from analytics.config import ConfigError
from analytics.store import accounts, database
from tests.analytics.access.people_here import NOW_S, PASSWORD, person

MEND = (
    "others than this machine's own users get in, and there is no administrator yet: make one with "
    "`douane-analytics accounts add alice --role admin`, or set DOUANE_ANALYTICS_ADMIN_PASSWORD"
)


def complaint(engine: Engine, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        first.ensure(config.load(**settings), engine, NOW_S)
    return str(caught.value)


def test_on_loopback_nobody_is_needed(sqlite_engine: Engine) -> None:
    first.ensure(config.load(), sqlite_engine, NOW_S)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("http_host", "0.0.0.0"), ("http_host", "::"), ("grpc_host", "10.0.0.7"), ("authentication", "required")],
)
def test_where_others_get_in_an_administrator_is_needed(sqlite_engine: Engine, setting: str, value: str) -> None:
    with database.writing(sqlite_engine) as connection:
        person(connection, "anna", "admin", "acme")  # of a tenant: not enough
        person(connection, "bob", "viewer")
    assert complaint(sqlite_engine, **{setting: value}) == f"DOUANE_ANALYTICS_{setting.upper()}: {MEND}"
    with database.writing(sqlite_engine) as connection:
        person(connection, "root", "admin")
    first.ensure(config.load(**{setting: value}), sqlite_engine, NOW_S)


def test_a_setting_makes_the_first_and_no_second(sqlite_engine: Engine) -> None:
    for password in (PASSWORD, "another horse battery"):
        settings = config.load(http_host="0.0.0.0", admin_name="root", admin_password=password)
        first.ensure(settings, sqlite_engine, NOW_S)
    with sqlite_engine.connect() as connection:
        assert [(one.name, one.role, one.tenant) for one in accounts.every(connection, None)] == [
            ("root", "admin", None)
        ]
        assert passwords.verify(accounts.password_hash(connection, "root"), PASSWORD)


def test_a_bad_password_stops_the_start_and_is_not_repeated(sqlite_engine: Engine) -> None:
    told = complaint(sqlite_engine, admin_password="sesame")
    assert told == "DOUANE_ANALYTICS_ADMIN_PASSWORD: a password has at least 12 characters"


def test_a_name_that_somebody_else_has_stops_the_start(sqlite_engine: Engine) -> None:
    with database.writing(sqlite_engine) as connection:
        person(connection, "admin", "viewer")
    told = complaint(sqlite_engine, admin_password=PASSWORD)
    assert told.startswith("DOUANE_ANALYTICS_ADMIN_NAME: there is an account admin that administers nothing")
