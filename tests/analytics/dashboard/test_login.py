"""The log-in page as a browser without scripts uses it."""

import re

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from analytics.access import passwords
from analytics.dashboard.login import way_back
from analytics.store import database
from tests.analytics.access.people_here import PASSWORD, person
from tests.analytics.api.visitors import remote, visitor
from tests.analytics.conftest import build_application, local_client


@pytest.fixture
def served(sqlite_engine: Engine) -> FastAPI:
    with database.writing(sqlite_engine) as connection:
        person(connection, "alice", "viewer", None, passwords.hashed(PASSWORD))
    return remote(sqlite_engine)


def test_a_person_is_led_in_back_to_the_page_and_out_again(served: FastAPI) -> None:
    browser = visitor(served)
    asked = browser.get("/dashboard/decisions/abc")
    page = browser.get(asked.headers["location"])
    (back,) = re.findall(r'name="next" value="([^"]*)"', page.text)
    assert (page.status_code, back) == (200, "/dashboard/decisions/abc")
    entered = browser.post("/dashboard/login", data={"account": "Alice", "password": PASSWORD, "next": back})
    assert (entered.status_code, entered.headers["location"]) == (303, "/dashboard/decisions/abc")
    inside = browser.get("/dashboard")
    assert inside.status_code == 200
    (token,) = re.findall(r'name="csrf_token" value="([0-9a-f]{64})"', inside.text)
    assert f'<meta name="csrf-token" content="{token}">' in inside.text
    assert browser.get("/dashboard/login").headers["location"] == "/dashboard"
    assert browser.post("/dashboard/logout", data={"csrf_token": "0" * 64}).status_code == 303
    assert browser.get("/dashboard").status_code == 200  # a stranger's form logs nobody out
    assert browser.post("/dashboard/logout", data={"csrf_token": token}).headers["location"] == "/dashboard/login"
    assert browser.get("/dashboard").status_code == 303


def test_the_way_back_keeps_what_the_page_was_asked(served: FastAPI) -> None:
    led = visitor(served).get("/dashboard?span=7d&x=%2F").headers["location"]
    assert led == "/dashboard/login?next=%2Fdashboard%3Fspan%3D7d%26x%3D%252F"
    assert 'value="/dashboard?span=7d&amp;x=%2F"' in visitor(served).get(led).text


def test_a_wrong_log_in_shows_the_page_again_with_what_was_typed_escaped(served: FastAPI) -> None:
    name = '"><script>alert(1)</script>'
    answer = visitor(served).post("/dashboard/login", data={"account": name, "password": PASSWORD})
    assert answer.status_code == 401
    assert "this name and this password do not belong together" in answer.text
    assert "<script>alert" not in answer.text
    assert PASSWORD not in answer.text


def test_a_form_of_a_stranger_s_page_is_refused(served: FastAPI) -> None:
    for path in ("/dashboard/login", "/dashboard/logout"):
        assert visitor(served, origin="http://evil.test").post(path, data={"account": "alice"}).status_code == 403


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"&".join(b"a=%d" % n for n in range(99)), b"account=%00&password=%ff"]
)
def test_what_is_no_form_is_a_wrong_log_in(served: FastAPI, content: bytes) -> None:
    assert visitor(served).post("/dashboard/login", content=content).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "way"),
    [
        ("/dashboard", "/dashboard"),
        ("/dashboard/decisions/abc?x=1", "/dashboard/decisions/abc?x=1"),
        ("/docs", "/docs"),
        ("", "/dashboard"),
        ("https://evil.test/dashboard", "/dashboard"),
        ("//evil.test/dashboard", "/dashboard"),
        ("/\\evil.test", "/dashboard"),
        ("/dashboard/\\evil.test", "/dashboard"),
        ("/dashboardish", "/dashboard"),
        ("/dashboard\n//evil.test", "/dashboard"),
        ("/dashboard/login", "/dashboard"),
        ("javascript:alert(1)", "/dashboard"),
    ],
)
def test_nobody_is_led_elsewhere(wanted: str, way: str) -> None:
    assert way_back(wanted) == way


def test_without_accounts_the_page_says_how_one_is_made(sqlite_engine: Engine) -> None:
    assert (
        "douane-analytics accounts add alice" in visitor(build_application(sqlite_engine)).get("/dashboard/login").text
    )
    assert (
        local_client(build_application(sqlite_engine)).get("/dashboard").status_code == 200
    )  # and nobody here needs one


def test_nothing_is_inline(served: FastAPI) -> None:
    page = visitor(served).get("/dashboard/login").text
    assert not re.findall(r"<script(?![^>]*src)|style=|\son\w+=", page)
