"""The audit trail through the API."""

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from analytics.store import audit, database
from tests.analytics.api.visitors import remote, somebody

FIRST_US = 1_700_000_000_000_000


@pytest.fixture
def served(sqlite_engine: Engine) -> FastAPI:
    with database.writing(sqlite_engine) as connection:
        for number in range(5):
            tenant = ("acme", "")[number % 2]
            entry = audit.Entry(FIRST_US + number * 10**6, f"user{number % 2}", "policy.change", f"p{number}", tenant)
            audit.add(connection, entry)
    return remote(sqlite_engine)


def subjects(answer: dict[str, object]) -> list[object]:
    return [one["subject"] for one in answer["entries"] if one["action"] == "policy.change"]  # type: ignore[attr-defined]


def test_the_trail_is_read_page_by_page_and_narrowed(served: FastAPI, sqlite_engine: Engine) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    page = root.get("/api/audit?limit=2&action=policy.change").json()
    assert subjects(page) == ["p4", "p3"]
    rest = root.get("/api/audit", params={"cursor": page["next_cursor"], "action": "policy.change"}).json()
    assert (subjects(rest), rest["next_cursor"]) == (["p2", "p1", "p0"], None)
    assert subjects(root.get("/api/audit?actor=user1").json()) == ["p3", "p1"]
    assert subjects(root.get("/api/audit?subject=p2").json()) == ["p2"]
    assert subjects(root.get("/api/audit?subject=%00").json()) == []
    assert rest["entries"][0] == {
        "audit_id": rest["entries"][0]["audit_id"],
        "at": "2023-11-14T22:13:22Z",
        "actor": "user0",
        "action": "policy.change",
        "subject": "p2",
        "tenant": "acme",
        "before": None,
        "after": None,
    }


def test_an_administrator_of_a_tenant_reads_its_part(served: FastAPI, sqlite_engine: Engine) -> None:
    anna = somebody(served, sqlite_engine, "anna", "admin", "acme")
    assert subjects(anna.get("/api/audit").json()) == ["p4", "p2", "p0"]


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_others_read_none_of_it(served: FastAPI, sqlite_engine: Engine, role: str) -> None:
    one = somebody(served, sqlite_engine, "bob", role)  # type: ignore[arg-type] # a role
    assert one.get("/api/audit").status_code == 403


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=x", "nonsense=1"])
def test_a_query_that_is_none_is_told(served: FastAPI, sqlite_engine: Engine, query: str) -> None:
    root = somebody(served, sqlite_engine, "root", "admin")
    assert root.get(f"/api/audit?{query}").status_code == 422
