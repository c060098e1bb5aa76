import re

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.access import passwords
from analytics.dashboard.login import way_back
from analytics.store import database
from tests.analytics.access.people_here import PASSWORD, person
from tests.analytics.api.visitors import remote, somebody, visitor

NAVIGATES = {"sec_fetch_mode": "navigate", "accept": "text/html"}


@pytest.fixture
def application(sqlite_engine: Engine) -> FastAPI:
    with database.writing(sqlite_engine) as connection:
        person(connection, "ann", "viewer", password_hash=passwords.hashed(PASSWORD))
    return remote(sqlite_engine)


def enter(client: TestClient, password: str = PASSWORD, back: str = "/dashboard?span=7d") -> tuple[int, str]:
    form = {"account": "ann", "password": password, "next": back}
    answer = client.post("/dashboard/login", data=form)
    return answer.status_code, answer.headers.get("location", "")


def test_a_page_leads_to_the_log_in_and_back(application: FastAPI) -> None:
    client = visitor(application, **NAVIGATES)
    led = client.get("/dashboard/decisions/0199")
    assert (led.status_code, led.headers["location"]) == (303, "/dashboard/login?next=%2Fdashboard%2Fdecisions%2F0199")
    shown = client.get(led.headers["location"])
    assert 'value="/dashboard/decisions/0199"' in shown.text
    assert enter(client) == (303, "/dashboard?span=7d")
    assert client.get("/dashboard").status_code == 200


def test_a_wrong_password_shows_the_page_again(application: FastAPI) -> None:
    client = visitor(application, **NAVIGATES)
    answer = client.post("/dashboard/login", data={"account": "ann", "password": "<b>wrong</b>"})
    assert answer.status_code == 401
    assert (
        "ann" in answer.text,
        "wrong</b>" in answer.text,
        "douane_session" in answer.headers.get("set-cookie", ""),
    ) == (
        True,
        False,
        False,
    )
    assert client.get("/dashboard").status_code == 303


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/dashboard/login",
        "/dashboardx",
        "/api/x",
        "",
        "/dashboard\n",
    ],
)
def test_no_way_back_to_elsewhere(wanted: str) -> None:
    assert way_back(wanted) == "/dashboard"


def test_the_way_back_is_a_page_of_ours() -> None:
    ours = ("/dashboard", "/dashboard/decisions/0199", "/dashboard?span=7d", "/docs")
    assert [way_back(one) for one in ours] == list(ours)


def test_logging_out_needs_the_sessions_own_token(application: FastAPI, sqlite_engine: Engine) -> None:
    client = somebody(application, sqlite_engine, "bob", "viewer")
    page = client.get("/dashboard").text
    (token,) = re.findall(r'name="csrf_token" value="([^"]+)"', page)
    assert client.post("/dashboard/logout", data={"csrf_token": "guess"}).status_code == 303
    assert client.get("/dashboard").status_code == 200
    client.post("/dashboard/logout", data={"csrf_token": token})
    assert client.get("/dashboard").status_code != 200


def test_a_form_of_a_stranger_is_refused(application: FastAPI) -> None:
    client = visitor(application, origin="https://evil.example", sec_fetch_site="cross-site")
    assert enter(client)[0] == 403
