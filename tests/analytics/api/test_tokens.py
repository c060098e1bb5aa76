"""Tokens through the API: shown once, revoked at once."""

import re

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from tests.analytics.api.visitors import program, remote, somebody, visitor

MOMENT = "2026-11-18T11:36:40Z"


@pytest.fixture
def served(sqlite_engine: Engine) -> FastAPI:
    return remote(sqlite_engine)


def test_a_token_is_shown_once_works_and_is_revoked(served: FastAPI, sqlite_engine: Engine) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    wanted = {"name": "grafana", "role": "viewer", "scopes": ["read"], "expires_at": "2027-01-01T00:00:00+01:00"}
    answer = root.post("/api/tokens", json=wanted)
    made = answer.json()
    text = made.pop("token")
    assert re.fullmatch(r"dou_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", text)
    assert (answer.status_code, answer.headers["cache-control"], made) == (
        201,
        "no-store",
        {
            "token_id": text[4:20],
            "name": "grafana",
            "role": "viewer",
            "tenant": None,
            "scopes": ["read"],
            "created_by": "root",
            "created_at": MOMENT,
            "expires_at": "2026-12-31T23:00:00Z",
            "last_used_at": None,
            "revoked_at": None,
        },
    )
    reader = visitor(served, authorization=f"Bearer {text}")
    assert reader.get("/api/decisions").status_code == 200
    used = made | {"last_used_at": MOMENT}
    assert root.get("/api/tokens").json() == {"tokens": [used]}
    assert root.delete(f"/api/tokens/{text[4:20]}").json() == used | {"revoked_at": MOMENT}
    assert reader.get("/api/decisions").status_code == 401
    assert root.delete(f"/api/tokens/{text[4:20]}").json() == used | {"revoked_at": MOMENT}
    everything = root.get("/api/tokens").text + root.get("/api/audit").text
    assert text[21:] not in everything


def test_an_administrator_of_a_tenant_sees_and_makes_its_tokens_alone(served: FastAPI, sqlite_engine: Engine) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    theirs = root.post("/api/tokens", json={"name": "all", "role": "admin"}).json()["token_id"]
    anna = somebody(served, sqlite_engine, "anna", "admin", "acme")
    made = anna.post("/api/tokens", json={"name": "web", "role": "viewer", "scopes": ["ingest", "control"]}).json()
    assert made["tenant"] == "acme"
    assert [one["name"] for one in anna.get("/api/tokens").json()["tokens"]] == ["web"]
    assert anna.delete(f"/api/tokens/{theirs}").status_code == 404
    assert anna.post("/api/tokens", json={"name": "x", "role": "viewer", "tenant": "default"}).status_code == 403


def test_a_token_makes_no_tokens_unless_it_was_made_for_it(served: FastAPI, sqlite_engine: Engine) -> None:
    wanted = {"name": "x", "role": "admin", "scopes": ["access"]}
    assert program(served, sqlite_engine, "admin").post("/api/tokens", json=wanted).status_code == 403
    maker = program(served, sqlite_engine, "admin", None, ("access",))
    assert maker.post("/api/tokens", json=wanted).status_code == 201
    answer = maker.post("/api/tokens", json=wanted | {"scopes": ["read"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (403, "scopes")


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"tenant": "nowhere"}, "tenant"),
        ({"name": ""}, "name"),
        ({"name": "a\x00b"}, "name"),
    ],
)
def test_what_cannot_be_is_told_with_its_field(
    served: FastAPI, sqlite_engine: Engine, wanted: dict[str, object], param: str
) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    answer = root.post("/api/tokens", json={"name": "x", "role": "viewer"} | wanted)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)
    assert root.get("/api/tokens").json() == {"tokens": []}
