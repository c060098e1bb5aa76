"""Logging in and out, and one's own password, as a browser does it."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.access import passwords
from analytics.store import accounts, audit, database
from tests.analytics.access.people_here import PASSWORD, person
from tests.analytics.api.visitors import HOST, program, remote, somebody, visitor
from tests.analytics.conftest import NOW_UNIX_S

SHOWN = {
    "name": "alice",
    "role": "analyst",
    "tenant": "acme",
    "scopes": ["read", "change", "export", "feedback", "metrics", "access"],
}
WRONG = {"error": {"type": "unauthorized", "message": "this name and this password do not belong together"}}


@pytest.fixture
def served(sqlite_engine: Engine) -> FastAPI:
    with database.writing(sqlite_engine) as connection:
        person(connection, "alice", "analyst", "acme", passwords.hashed(PASSWORD))
    return remote(sqlite_engine)


def log_in(client: TestClient, password: str = PASSWORD, **headers: str) -> Any:
    return client.post("/api/session", json={"account": "alice", "password": password}, headers=headers)


def test_a_log_in_sets_a_cookie_that_scripts_cannot_read(served: FastAPI) -> None:
    client = visitor(served)
    answer = log_in(client)
    told = answer.json()
    assert (answer.status_code, {name: told[name] for name in SHOWN}) == (200, SHOWN)
    (cookie,) = answer.headers.get_list("set-cookie")
    name_and_value, *attributes = cookie.split("; ")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=86400", "Path=/", "SameSite=lax"]
    assert len(name_and_value.removeprefix("douane_session=")) == 43
    assert answer.headers["cache-control"] == "no-store"
    assert client.get("/api/session").json() == told
    assert told["session_ends_at"] == "2026-11-19T11:36:40Z"
    assert client.delete("/api/session").status_code == 403
    answer = client.delete("/api/session", headers={"x-csrf-token": told["csrf_token"]})
    assert (answer.status_code, client.get("/api/session").status_code) == (204, 401)
    assert not client.cookies


def test_over_https_the_cookie_is_for_https_and_this_host_alone(served: FastAPI) -> None:
    (cookie,) = log_in(visitor(served), **{"x-forwarded-proto": "https"}).headers.get_list("set-cookie")
    assert cookie.startswith("__Host-douane_session=")
    assert sorted(cookie.split("; ")[1:]) == ["HttpOnly", "Max-Age=86400", "Path=/", "SameSite=lax", "Secure"]


def test_a_wrong_log_in_does_not_say_what_was_wrong(served: FastAPI, sqlite_engine: Engine) -> None:
    client = visitor(served)
    answer = log_in(client, "wrong")
    assert (answer.status_code, answer.json(), answer.headers.get_list("set-cookie")) == (401, WRONG, [])
    answer = client.post("/api/session", json={"account": "nobody", "password": PASSWORD})
    assert (answer.status_code, answer.json()) == (401, WRONG)
    with database.writing(sqlite_engine) as connection:
        accounts.change(connection, "alice", disabled=True)
    assert log_in(client).json() == WRONG


def test_too_many_log_ins_are_told_to_wait(served: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "verify", lambda held, password: False)
    answers = [log_in(visitor(served)) for _ in range(11)]
    assert [one.status_code for one in answers] == [401] * 10 + [429]
    assert answers[-1].json()["error"]["type"] == "rate_limited"
    assert answers[-1].headers["retry-after"] == str(900 - int(NOW_UNIX_S) % 900)


def test_addresses_are_told_apart_behind_our_proxies_only(served: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise one guesser behind the gateway locks everybody out; or one that forges the header is never stopped."""
    monkeypatch.setattr(passwords, "verify", lambda held, password: False)

    def tried(client: TestClient, forwarded: str, number: int) -> int:
        wanted = {"account": f"user{number}", "password": "x"}
        return client.post("/api/session", json=wanted, headers={"x-forwarded-for": forwarded}).status_code

    here = TestClient(served, f"http://{HOST}", client=("127.0.0.1", 1))
    through_ours = [tried(here, f"198.51.100.{number % 2}", number) for number in range(60)]
    assert through_ours == [401] * 60  # thirty each
    forged = [tried(visitor(served), f"198.51.100.{number}", number + 100) for number in range(52)]
    assert forged == [401] * 50 + [429] * 2


def test_one_s_own_password(served: FastAPI, sqlite_engine: Engine) -> None:
    here, there = visitor(served), visitor(served)
    token = log_in(here).json()["csrf_token"]
    log_in(there)
    new = "another horse battery"

    def change(old: str, wanted: str) -> Any:
        body = {"old": old, "new": wanted}
        return here.put("/api/session/password", json=body, headers={"x-csrf-token": token})

    wrong = {"type": "invalid_request", "message": "old: this is not the password", "param": "old"}
    assert change("wrong", new).json() == {"error": wrong}
    assert change(PASSWORD, "short").json()["error"]["message"] == "a password has at least 12 characters"
    assert change(PASSWORD, new).status_code == 204
    assert (here.get("/api/session").status_code, there.get("/api/session").status_code) == (200, 401)
    assert (log_in(visitor(served)).status_code, log_in(visitor(served), new).status_code) == (401, 200)
    with sqlite_engine.connect() as connection:
        entries = {(one.actor, one.action) for _, one in audit.page(connection, "acme", 10)}
    assert entries == {("alice", "session.begin"), ("alice", "account.password")}


def test_programs_have_no_session_and_no_password(served: FastAPI, sqlite_engine: Engine) -> None:
    one = program(served, sqlite_engine, "admin")
    assert one.get("/api/session").json() == {
        "name": "token:admin-None",
        "role": "admin",
        "tenant": None,
        "scopes": ["read", "change", "export", "feedback", "metrics"],
        "csrf_token": None,
        "session_ends_at": None,
    }
    assert one.put("/api/session/password", json={"old": PASSWORD, "new": PASSWORD}).status_code == 403
    assert one.delete("/api/session").status_code == 401


def test_a_session_that_is_there_does_not_hinder_a_log_in(served: FastAPI, sqlite_engine: Engine) -> None:
    bob = somebody(served, sqlite_engine, "bob", "viewer")
    bob.headers["x-csrf-token"] = ""
    bob.cookies.set("douane_session", bob.cookies["douane_session"], domain=HOST)
    assert log_in(bob).json()["name"] == "alice"


def test_a_stranger_s_page_logs_nobody_in(served: FastAPI) -> None:
    """Otherwise a page could make its reader work under the page's own account."""
    assert log_in(visitor(served), origin="http://evil.test").status_code == 403
    assert log_in(visitor(served), **{"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    "body", [{}, {"account": "alice"}, {"account": 1, "password": PASSWORD}, {"account": "a" * 257, "password": "x"}]
)
def test_a_log_in_that_is_none_is_told(served: FastAPI, body: dict[str, Any]) -> None:
    assert visitor(served).post("/api/session", json=body).status_code == 422


def test_a_password_is_not_repeated_in_an_error(served: FastAPI) -> None:
    answer = visitor(served).post("/api/session", json={"account": "alice", "password": PASSWORD * 10})
    assert answer.status_code == 422
    assert PASSWORD not in answer.text
