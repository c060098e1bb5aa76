"""Tenants through the API."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from analytics.ingest.decode import decode
from analytics.store import database, records
from tests.analytics.api.visitors import remote, somebody
from tests.analytics.traffic import record

ACME = {"name": "acme", "title": "Acme Corporation", "created_at": "2026-11-18T11:36:40Z"}


@pytest.fixture
def served(sqlite_engine: Engine) -> FastAPI:
    return remote(sqlite_engine)


def test_a_tenant_is_made_renamed_listed_and_forgotten(served: FastAPI, sqlite_engine: Engine) -> None:
    row = record(1)
    row.identity.tenant = "zeta"
    with database.writing(sqlite_engine) as connection:
        records.store(connection, [decode(row)])
    root = somebody(served, sqlite_engine, "root", "admin")
    assert root.post("/api/tenants", json={"name": "acme"}).json() == ACME | {"title": ""}
    assert root.patch("/api/tenants/acme", json={"title": "Acme Corporation"}).json() == ACME
    listed = root.get("/api/tenants").json()["tenants"]
    assert [one["name"] for one in listed] == ["acme", "default", "zeta"]
    assert [one["created_at"] is None for one in listed] == [False, False, True]
    assert root.delete("/api/tenants/acme").status_code == 204
    assert root.delete("/api/tenants/acme").status_code == 404
    assert root.post("/api/tenants", json={"name": "default"}).status_code == 409


def test_who_is_bound_to_a_tenant_sees_it_alone_and_changes_none(served: FastAPI, sqlite_engine: Engine) -> None:
    somebody(served, sqlite_engine, "zoe", "viewer", "zeta")
    anna = somebody(served, sqlite_engine, "anna", "admin", "acme")
    assert [one["name"] for one in anna.get("/api/tenants").json()["tenants"]] == ["acme"]
    for method, path, body in (
        ("POST", "/api/tenants", {"name": "beta"}),
        ("PATCH", "/api/tenants/acme", {"title": "x"}),
        ("PATCH", "/api/tenants/zeta", {"title": "x"}),
        ("DELETE", "/api/tenants/acme", None),
    ):
        assert anna.request(method, path, json=body).status_code == 403


def test_a_tenant_that_somebody_is_bound_to_stays(served: FastAPI, sqlite_engine: Engine) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    somebody(served, sqlite_engine, "anna", "viewer", "acme")
    told = {"type": "conflict", "message": "1 accounts and tokens are bound to this tenant"}
    assert root.delete("/api/tenants/acme").json() == {"error": told}


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": "a/b"}, {"name": " a"}, {"name": "a\x00"}, {"name": "a" * 257}, {}]
)
def test_names_that_records_or_paths_could_not_bear_are_refused(
    served: FastAPI, sqlite_engine: Engine, body: dict[str, Any]
) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    answer = root.post("/api/tenants", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "name")
