"""Accounts through the API."""

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from analytics.access import passwords
from tests.analytics.access.people_here import PASSWORD
from tests.analytics.api.visitors import remote, somebody, visitor

MOMENT = "2026-11-18T11:36:40Z"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2's cost is tested in test_passwords."""
    monkeypatch.setattr(passwords, "hashed", lambda password: f"hash of {len(password)}")


@pytest.fixture
def served(sqlite_engine: Engine) -> FastAPI:
    return remote(sqlite_engine)


def shown(name: str, role: str, tenant: str | None, *, disabled: bool = False) -> dict[str, object]:
    times = {"created_at": MOMENT, "last_login_at": None}
    return {"name": name, "role": role, "tenant": tenant, "oidc": False, "disabled": disabled} | times


def test_an_account_is_made_changed_and_removed(served: FastAPI, sqlite_engine: Engine) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    answer = root.post("/api/accounts", json={"name": "bob", "role": "viewer", "password": PASSWORD})
    assert (answer.status_code, answer.json()) == (201, shown("bob", "viewer", None))
    assert root.get("/api/accounts/bob").json() == shown("bob", "viewer", None)
    answer = root.patch("/api/accounts/bob", json={"role": "analyst", "disabled": True})
    assert answer.json() == shown("bob", "analyst", None, disabled=True)
    assert [one["name"] for one in root.get("/api/accounts").json()["accounts"]] == ["bob", "root"]
    assert root.delete("/api/accounts/bob").status_code == 204
    assert root.get("/api/accounts/bob").status_code == 404
    assert "hash of" not in root.get("/api/accounts").text + root.get("/api/audit").text


def test_an_administrator_of_a_tenant_sees_and_makes_its_accounts_alone(served: FastAPI, sqlite_engine: Engine) -> None:
    somebody(served, sqlite_engine, "root", "admin")
    somebody(served, sqlite_engine, "zoe", "viewer", "zeta")
    anna = somebody(served, sqlite_engine, "anna", "admin", "acme")
    answer = anna.post("/api/accounts", json={"name": "abe", "role": "admin", "password": PASSWORD})
    assert (answer.status_code, answer.json()["tenant"]) == (201, "acme")
    assert [one["name"] for one in anna.get("/api/accounts").json()["accounts"]] == ["abe", "anna"]
    for name in ("root", "zoe", "nobody"):
        missing = {"error": {"type": "not_found", "message": "no account has this name", "param": "name"}}
        assert anna.get(f"/api/accounts/{name}").json() == missing
        assert anna.patch(f"/api/accounts/{name}", json={"role": "viewer"}).json() == missing
        assert anna.delete(f"/api/accounts/{name}").json() == missing
    body = {"name": "x", "role": "viewer", "password": PASSWORD, "tenant": "zeta"}
    assert anna.post("/api/accounts", json=body).status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"name": "root", "role": "viewer", "password": PASSWORD}, 409, "name"),
        ({"name": "x", "role": "viewer", "password": "short"}, 422, "password"),
        ({"name": "x", "role": "viewer", "password": PASSWORD, "tenant": "nowhere"}, 422, "tenant"),
        ({"name": "X", "role": "viewer", "password": PASSWORD}, 422, "name"),
        ({"name": "x", "role": "owner", "password": PASSWORD}, 422, "role"),
        ({"name": "x", "role": "viewer"}, 422, "password"),
        ({"name": "x", "role": "viewer", "password": PASSWORD, "rolle": "admin"}, 422, "rolle"),
    ],
)
def test_what_cannot_be_is_told_with_its_field(
    served: FastAPI, sqlite_engine: Engine, body: dict[str, str], status: int, param: str
) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    answer = root.post("/api/accounts", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert PASSWORD not in answer.text


def test_the_last_administrator_stays(served: FastAPI, sqlite_engine: Engine) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    answer = root.delete("/api/accounts/root")
    told = {"type": "conflict", "message": "this is the last account that administers the whole installation"}
    assert (answer.status_code, answer.json()) == (409, {"error": told})


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_others_see_no_accounts(served: FastAPI, sqlite_engine: Engine, role: str) -> None:
    one = somebody(served, sqlite_engine, "bob", role)  # type: ignore[arg-type] # a role
    assert one.get("/api/accounts").status_code == 403
    assert visitor(served).get("/api/accounts").status_code == 401
