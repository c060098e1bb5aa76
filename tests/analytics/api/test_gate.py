"""The gate as clients meet it: who is let in where, in which shape the others hear it, and what is never let in."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from analytics.access.identify import LOG_IN, NO_ACCOUNT
from analytics.access.principal import TOKEN_SCOPES
from analytics.api import gate
from analytics.api.application import HEADERS
from analytics.store import database, sessions, tokens
from analytics.store.tables import SESSIONS
from tests.analytics.access.people_here import person
from tests.analytics.api.visitors import HOST, program, remote, somebody, visitor
from tests.analytics.conftest import NOW_UNIX_S, build_application, local_client

OPEN = [
    "/api/health",
    "/docs",
    "/openapi.json",
    "/dashboard/login",
    "/docs/static/index.html",
    "/dashboard/static/dashboard.css",
]
CLOSED = [
    "/api/decisions",
    "/api/usage/analytics",
    "/api/accounts",
    "/metrics",
    "/api/nowhere",
    "/nowhere",
    "/api/healthy",
]


@pytest.fixture
def served(sqlite_engine: Engine) -> FastAPI:
    return remote(sqlite_engine)


def error(answer: Any) -> tuple[int, str, str]:
    told = answer.json()["error"]
    return answer.status_code, told["type"], told["message"]


def test_beyond_loopback_everybody_needs_an_account_or_a_token(served: FastAPI, sqlite_engine: Engine) -> None:
    stranger = visitor(served)
    for path in CLOSED:
        answer = stranger.get(path)
        assert error(answer) == (401, "unauthorized", LOG_IN)
        assert answer.headers["www-authenticate"] == 'Bearer realm="douane"'
    reader = program(served, sqlite_engine, "admin", None, ("read", "metrics", "access"))
    assert [reader.get(path).status_code for path in CLOSED] == [200, 200, 200, 200, 404, 404, 404]


def test_what_says_nothing_about_anybody_is_open(served: FastAPI) -> None:
    assert [visitor(served).get(path).status_code for path in OPEN] == [200] * len(OPEN)
    assert visitor(served).get("/").headers["location"] == "/dashboard"


@pytest.mark.parametrize(
    "path",
    ["/api/health/", "//api/health", "/dashboard/static", "/api/session/x", "/docs/statical", "/dashboard/login/x",
     "/dashboard/static/../decisions/x", "/dashboard/static/%2e%2e/decisions/x"],
)  # fmt: skip
def test_what_looks_like_an_open_path_is_none(served: FastAPI, path: str) -> None:
    assert visitor(served).get(path).status_code in (303, 401, 404)


def test_people_are_led_to_the_log_in_and_programs_are_not(served: FastAPI) -> None:
    browser = visitor(served, sec_fetch_mode="navigate", sec_fetch_site="none")
    answer = browser.get("/dashboard/decisions/abc")
    assert (answer.status_code, answer.headers["location"], answer.headers["cache-control"]) == (
        *(303, "/dashboard/login?next=%2Fdashboard%2Fdecisions%2Fabc", "no-store"),
    )
    assert visitor(served).get("/dashboard").status_code == 303
    assert visitor(served, sec_fetch_mode="cors").get("/dashboard/fragment").status_code == 401
    assert visitor(served, authorization="Bearer x").get("/dashboard").status_code == 401
    assert visitor(served).post("/dashboard").status_code == 401


def test_security_headers_are_on_refusals_too(served: FastAPI) -> None:
    headers = visitor(served).get("/api/decisions").headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS


# ── loopback, without accounts ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def here(sqlite_engine: Engine) -> FastAPI:
    return build_application(sqlite_engine)


def test_this_machine_s_user_reads_and_changes_without_a_token(here: FastAPI) -> None:
    client = local_client(here)
    assert client.get("/api/session").json() == {
        "name": "local",
        "role": "admin",
        "tenant": None,
        "scopes": ["read", "change", "export", "feedback", "metrics", "access"],
        "csrf_token": None,
        "session_ends_at": None,
    }
    assert client.post("/api/tenants", json={"name": "acme"}).status_code == 201
    assert client.get("/dashboard").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.test:8080"},  # DNS rebinding: the page's own name leads here
        {"host": "127.0.0.1.evil.test"},
        {"x-forwarded-for": "203.0.113.9"},  # through the gateway, or a proxy, from elsewhere
        {"x-forwarded-for": "203.0.113.9, 127.0.0.1"},
        {"x-real-ip": "203.0.113.9"},
        {"forwarded": 'for="[2001:db8::1]:4711";proto=http'},
        {"forwarded": "by=127.0.0.1"},
    ],
)
def test_nobody_else_is_taken_for_this_machine_s_user(here: FastAPI, headers: dict[str, str]) -> None:
    client = local_client(here)
    assert error(client.get("/api/decisions", headers=headers)) == (401, "unauthorized", NO_ACCOUNT)
    answer = client.post("/api/tenants", json={"name": "acme"}, headers=headers)
    assert error(answer) == (401, "unauthorized", NO_ACCOUNT)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test", "sec-fetch-site": "cross-site"},
        {"origin": "http://evil.test"},
        {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/tenants"), ("POST", "/api/session"), ("DELETE", "/api/tenants/x")]
)
def test_a_page_in_this_machine_s_browser_changes_nothing(
    here: FastAPI, sqlite_engine: Engine, headers: dict[str, str], method: str, path: str
) -> None:
    body = json.dumps({"name": "acme"})
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        answer = local_client(here).request(method, path, content=body, headers=headers | {"content-type": kind})
        assert error(answer) == (403, "forbidden", "a page of another origin made this request")
    assert [one["name"] for one in local_client(here).get("/api/tenants").json()["tenants"]] == ["default"]


def test_a_page_in_this_machine_s_browser_reads_nothing_either(here: FastAPI) -> None:
    image = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    answer = local_client(here).get("/api/decisions", headers=image)
    assert answer.status_code == 403
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert local_client(here).get("/dashboard", headers=link).status_code == 200
    answer = local_client(here).get("/api/decisions", headers={"origin": "http://evil.test"})
    assert "access-control-allow-origin" not in answer.headers  # so no page of another origin can read it


def test_our_own_pages_change_what_they_like(here: FastAPI) -> None:
    own = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}
    assert local_client(here).post("/api/tenants", json={"name": "acme"}, headers=own).status_code == 201


def test_the_first_account_ends_it_at_once(here: FastAPI, sqlite_engine: Engine) -> None:
    client = local_client(here)
    assert client.get("/api/decisions").status_code == 200
    with database.writing(sqlite_engine) as connection:
        person(connection, "alice", "viewer")
    assert error(client.get("/api/decisions")) == (401, "unauthorized", LOG_IN)


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_used_for_what_it_was_made_for(served: FastAPI, sqlite_engine: Engine) -> None:
    calls = [("GET", "/api/decisions"), ("POST", "/api/tenants"), ("GET", "/metrics"), ("GET", "/api/tokens")]

    def told(*scopes: str) -> list[int]:
        one = program(served, sqlite_engine, "admin", None, scopes)
        return [one.request(method, path, json={}).status_code for method, path in calls]

    assert told() == [200, 422, 200, 403]
    assert told("read") == [200, 403, 403, 403]
    assert told("change") == [403, 422, 403, 403]
    assert told("metrics") == [403, 403, 200, 403]
    assert told("access") == [403, 403, 403, 200]
    assert told("ingest", "control") == [403] * 4
    answer = program(served, sqlite_engine, "admin", None, ("ingest",)).get("/api/decisions")
    assert error(answer) == (403, "forbidden", "this token was not made for: read")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/decisions", "read"),
        ("HEAD", "/dashboard", "read"),
        ("POST", "/api/decisions/x/verdict", "change"),
        ("PATCH", "/api/tenants/x", "change"),
        ("GET", "/api/export", "export"),
        ("GET", "/api/exported", "read"),
        ("POST", "/api/feedback", "feedback"),
        ("GET", "/api/accounts/alice", "access"),
        ("DELETE", "/api/tokens/x", "access"),
        ("GET", "/metrics", "metrics"),
    ],
)
def test_what_a_token_must_have_been_made_for(method: str, path: str, scope: str) -> None:
    assert gate.scope_of(method, path) == scope
    assert scope in TOKEN_SCOPES | {"access"}


def test_a_revoked_token_opens_nothing_from_the_next_request_on(served: FastAPI, sqlite_engine: Engine) -> None:
    reader = program(served, sqlite_engine, "viewer")
    assert reader.get("/api/decisions").status_code == 200
    with database.writing(sqlite_engine) as connection:
        (held,) = tokens.every(connection, None)
        tokens.revoke(connection, held.token_id, 1)
    assert error(reader.get("/api/decisions"))[0] == 401


def test_a_token_s_use_is_noted(served: FastAPI, sqlite_engine: Engine) -> None:
    program(served, sqlite_engine, "viewer").get("/api/decisions")
    with sqlite_engine.connect() as connection:
        assert [one.last_used_unix_s for one in tokens.every(connection, None)] == [int(NOW_UNIX_S)]


def test_metrics_name_users_of_every_tenant_and_are_for_the_whole_installation(
    served: FastAPI, sqlite_engine: Engine
) -> None:
    assert program(served, sqlite_engine, "viewer").get("/metrics").status_code == 200
    assert program(served, sqlite_engine, "admin", "acme").get("/metrics").status_code == 403
    opened = remote(sqlite_engine, metrics_open=True)
    assert visitor(opened).get("/metrics").status_code == 200


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_changes_with_its_token_only(served: FastAPI, sqlite_engine: Engine) -> None:
    alice = somebody(served, sqlite_engine, "alice", "admin")
    assert alice.get("/api/decisions").status_code == 200
    assert alice.post("/api/tenants", json={"name": "acme"}).status_code == 201
    for headers in ({"x-csrf-token": ""}, {"x-csrf-token": "0" * 64}, {"origin": "http://evil.test"}):
        for method, path in (("POST", "/api/tenants"), ("DELETE", "/api/tenants/acme"), ("DELETE", "/api/session")):
            assert error(alice.request(method, path, headers=headers))[:2] == (403, "forbidden")
    assert alice.get("/api/decisions", headers={"x-csrf-token": ""}).status_code == 200


def test_a_session_s_use_is_noted_once_a_minute(served: FastAPI, sqlite_engine: Engine) -> None:
    alice = somebody(served, sqlite_engine, "alice", "viewer")
    digest = _digest(sqlite_engine)
    seen = []
    for ago in (0, 59, 60):
        with database.writing(sqlite_engine) as connection:
            sessions.seen(connection, digest, int(NOW_UNIX_S) - ago)
        assert alice.get("/api/decisions").status_code == 200
        with sqlite_engine.connect() as connection:
            found = sessions.find(connection, digest, 0, 0)
            seen.append(found and int(NOW_UNIX_S) - found.seen_unix_s)
    assert seen == [0, 59, 0]


def _digest(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(select(SESSIONS.c.digest)).scalar_one())


def test_over_https_the_cookie_is_one_that_no_http_page_can_set(served: FastAPI, sqlite_engine: Engine) -> None:
    alice = somebody(served, sqlite_engine, "alice", "viewer")
    secret = alice.cookies["douane_session"]
    https = {"x-forwarded-proto": "https"}
    assert alice.get("/api/decisions", headers=https).status_code == 401
    alice.cookies.set("__Host-douane_session", secret, domain=HOST)
    assert alice.get("/api/decisions", headers=https).status_code == 200


# ── the rim ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_body_beyond_the_limit_is_refused_and_not_kept(here: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_BODY_BYTES", 1_000)

    def pieces() -> Iterator[bytes]:
        yield from (b"x" * 600, b"x" * 600)

    client = local_client(here)
    answer = client.post("/api/tenants", content=pieces(), headers={"content-type": "application/json"})
    assert error(answer) == (413, "too_large", "a request's body has at most 1000 bytes")


def test_nobody_unknown_has_a_body_read(served: FastAPI) -> None:
    """Otherwise a stranger could fill the memory, or learn of an endpoint by what it says of a body."""
    assert visitor(served).post("/api/tenants", content=b"{").status_code == 401


def test_a_database_that_is_away_is_told_and_lets_nobody_in() -> None:
    engine = database.connect("postgresql+psycopg://douane@127.0.0.1:1/douane")
    answer = visitor(remote(engine), authorization="Bearer dou_" + "0" * 16 + "_" + "a" * 43).get("/api/decisions")
    assert error(answer) == (503, "unavailable", "the database cannot be reached")
    assert error(local_client(build_application(engine)).get("/api/decisions"))[0] == 503
    engine.dispose()


def test_what_streams_ends_when_its_token_is_revoked(
    served: FastAPI, sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "RECHECK_S", 0.05)

    @served.get("/api/endless")
    def endless(request: Request) -> StreamingResponse:
        def numbers() -> Iterator[bytes]:
            for number in range(100_000):
                yield b"%d\n" % number
                if number == 3:
                    _revoke_all(sqlite_engine)
                time.sleep(0.02)

        return StreamingResponse(numbers())

    reader = program(served, sqlite_engine, "viewer")
    with reader.stream("GET", "/api/endless") as answer:
        lines = answer.read().split()
    assert answer.status_code == 200
    assert 4 <= len(lines) < 100
    assert reader.get("/api/decisions").status_code == 401


def _revoke_all(engine: Engine) -> None:
    with database.writing(engine) as connection:
        for one in tokens.every(connection, None):
            tokens.revoke(connection, one.token_id, 1)


def test_the_client_of_these_tests_is_elsewhere(here: FastAPI) -> None:
    """Otherwise the tests above say nothing."""
    assert isinstance(visitor(here), TestClient)
    assert error(visitor(here).get("/api/decisions")) == (401, "unauthorized", NO_ACCOUNT)
