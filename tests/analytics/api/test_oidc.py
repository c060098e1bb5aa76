"""Logging in at an identity provider: a real one on a port, its keys, its tokens; the browser's part is played here."""

import re
import time
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.store import accounts, database
from tests.analytics.access.people_here import person, tenant
from tests.analytics.api import visitors
from tests.analytics.api.visitors import remote, visitor

with warnings.catch_warnings():  # its own imports
    warnings.simplefilter("ignore")
    import oidc_provider_mock

pytestmark = [
    pytest.mark.server,
    pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning"),  # the stand-in provider's own code
]
ROLES = "ops=admin,readers=viewer,acme-soc=analyst@acme"


@pytest.fixture
def issuer() -> Iterator[str]:
    people = [
        oidc_provider_mock.User(sub=name, claims={"preferred_username": name, "groups": groups})
        for name, groups in (
            ("Alice", ["readers", "ops"]),
            ("bob", ["acme-soc"]),
            ("carol", ["strangers"]),
            ("root", ["ops"]),
        )
    ]
    with oidc_provider_mock.run_server_in_thread(user_claims=people) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def served(issuer: str, sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(visitors, "NOW_UNIX_S", time.time())  # tokens of a real provider are of today
    with database.writing(sqlite_engine) as connection:
        tenant(connection, "acme")
    named = {"oidc_issuer": issuer, "oidc_client_id": "douane", "oidc_client_secret": "s3cret", "oidc_roles": ROLES}
    return remote(sqlite_engine, public_url="http://douane.test", **named)


def at_the_provider(way: str, name: str) -> str:
    """Log in there; return where the browser is sent then."""
    answer = httpx.post(way, data={"sub": name})
    return str(answer.headers["location"])


def enter(served: FastAPI, name: str, wanted: str = "/dashboard") -> tuple[TestClient, Any]:
    browser = visitor(served)
    begun = browser.get("/api/session/oidc", params={"next": wanted})
    back = urlsplit(at_the_provider(begun.headers["location"], name))
    assert f"{back.scheme}://{back.netloc}{back.path}" == "http://douane.test/api/session/oidc/callback"
    return browser, browser.get(f"{back.path}?{back.query}")


def test_a_person_comes_back_with_the_highest_role_of_their_groups(served: FastAPI) -> None:
    browser, answer = enter(served, "Alice", "/dashboard/decisions/x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/decisions/x")
    told = browser.get("/api/session").json()
    assert (told["name"], told["role"], told["tenant"]) == ("alice", "admin", None)
    browser, _ = enter(served, "bob")
    told = browser.get("/api/session").json()
    assert (told["name"], told["role"], told["tenant"]) == ("bob", "analyst", "acme")


def test_who_has_no_role_gets_in_nowhere(served: FastAPI, sqlite_engine: Engine) -> None:
    browser, answer = enter(served, "carol")
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "forbidden")
    assert browser.get("/api/session").status_code == 401
    with sqlite_engine.connect() as connection:
        assert accounts.every(connection, None) == []


def test_an_account_of_the_same_name_stays_whose_it_is(served: FastAPI, sqlite_engine: Engine) -> None:
    with database.writing(sqlite_engine) as connection:
        person(connection, "root", "viewer", None, "hash")
    browser, answer = enter(served, "root")
    assert answer.status_code == 409
    assert browser.get("/api/session").status_code == 401


def test_the_way_there_has_state_nonce_and_pkce(served: FastAPI) -> None:
    asked = parse_qs(urlsplit(visitor(served).get("/api/session/oidc").headers["location"]).query)
    assert (asked["response_type"], asked["code_challenge_method"]) == (["code"], ["S256"])
    assert all(re.fullmatch(r"[0-9a-f]{64}", asked[name][0]) for name in ("state", "nonce"))
    assert len(asked["code_challenge"][0]) == 43


def test_who_did_not_begin_here_does_not_come_back(served: FastAPI) -> None:
    """Otherwise a stranger's page could make its reader work under the page's account."""
    begun = visitor(served).get("/api/session/oidc")
    back = urlsplit(at_the_provider(begun.headers["location"], "Alice"))
    for browser in (visitor(served), visitor(served)):
        assert browser.get(f"{back.path}?{back.query}").status_code == 403
    other = visitor(served)
    other.get("/api/session/oidc")  # one of its own, with another state
    assert other.get(f"{back.path}?{back.query}").status_code == 403


def test_a_token_for_another_log_in_is_refused(served: FastAPI) -> None:
    browser = visitor(served)
    begun = browser.get("/api/session/oidc")
    back = urlsplit(at_the_provider(re.sub(r"nonce=[0-9a-f]+", "nonce=another", begun.headers["location"]), "Alice"))
    answer = browser.get(f"{back.path}?{back.query}")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        401,
        "the identity provider's answer is not good: InvalidClaimError",
    )


def test_a_provider_that_is_away_is_told(sqlite_engine: Engine) -> None:
    named = {"oidc_issuer": "http://localhost:1", "oidc_client_id": "douane", "oidc_roles": ROLES}
    answer = visitor(remote(sqlite_engine, public_url="http://douane.test", **named)).get("/api/session/oidc")
    assert answer.json()["error"]["message"] == "the identity provider does not answer as it should: ConnectError"


def test_without_a_provider_there_is_no_such_way(sqlite_engine: Engine) -> None:
    assert visitor(remote(sqlite_engine)).get("/api/session/oidc").status_code == 404
