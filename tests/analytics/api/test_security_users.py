"""Users as the API tells of them, with every character a name may hold."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.access.principal import Principal
from analytics.api import auth
from analytics.store import usage
from analytics.types import DAY_S, DecisionRow
from tests.analytics.books import USERS, among, fill, varied
from tests.analytics.conftest import NOW_UNIX_S

STRANGE = "../..\u202e\U0001f600 \n;?#"
ROWS = [replace(row, user=STRANGE if row.user == "bob" else row.user) for row in varied(300)]
NAMES = [*(name for name in USERS if name != "bob"), STRANGE]
WINDOW = usage.last(30 * DAY_S, NOW_UNIX_S)
INSIDE = among(ROWS, WINDOW.start_unix_s, WINDOW.end_unix_s)


@pytest.fixture(autouse=True)
def stored(sqlite_engine: Engine) -> None:
    fill(sqlite_engine, ROWS)


def risky(row: DecisionRow) -> bool:
    return row.level in ("high", "critical")


def seen(rows: list[DecisionRow]) -> datetime | None:
    return max((datetime.fromtimestamp(row.started_unix_us / 1e6, UTC) for row in rows), default=None)


def walked(client: TestClient, **query: Any) -> list[dict[str, Any]]:
    users: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get("/api/security/users", params={"days": 30} | query | cursor)
        assert answer.status_code == 200, answer.text
        users += answer.json()["users"]
        if answer.json()["next_cursor"] is None:
            return users
        cursor = {"cursor": answer.json()["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_the_riskiest_users_come_first_each_once(client: TestClient, limit: int) -> None:
    groups: dict[tuple[str, str], list[DecisionRow]] = defaultdict(list)
    for row in INSIDE:
        groups[row.tenant, row.user].append(row)
    counted = [(sum(map(risky, rows)), *key, seen(rows)) for key, rows in groups.items() if any(map(risky, rows))]
    expected = sorted(counted, key=lambda one: (-one[0], one[1], one[2]))
    assert [
        (one["risky_requests"], one["tenant"], one["user"], datetime.fromisoformat(one["last_seen"]))
        for one in walked(client, limit=limit)
    ] == expected


def test_risk_and_quarantine_stand_beside_the_counts(client: TestClient) -> None:
    before = walked(client)
    assert {(one["risk"], one["quarantined"]) for one in before} == {(0.0, False)}  # stored without the ledger of risk
    first = before[0]
    order = {"reason": "confirmed", "minutes": 5}
    path = f"/api/security/users/{quote(first['user'], safe='')}/quarantine"
    assert client.post(path, params={"tenant": first["tenant"]}, json=order).status_code == 200
    assert [(one["tenant"], one["user"]) for one in walked(client) if one["quarantined"]] == [
        (first["tenant"], first["user"])
    ]


@pytest.mark.parametrize("sort", ["threats", "blocked"])
def test_other_orders(client: TestClient, sort: str) -> None:
    users = walked(client, sort=sort, limit=3)
    values = [one["threats"] if sort == "threats" else one["blocked_requests"] for one in users]
    assert values == sorted(values, reverse=True)
    wanted = len(
        {(row.tenant, row.user) for row in INSIDE if (row.threats if sort == "threats" else row.outcome == "denied")}
    )
    assert (len(values), min(values) > 0) == (wanted, True)


@pytest.mark.parametrize("name", NAMES)
def test_one_user_whatever_the_name(client: TestClient, name: str) -> None:
    rows = [row for row in INSIDE if row.user == name]
    answer = client.get(f"/api/security/users/{quote(name, safe='')}?days=30")
    assert answer.status_code == 200, answer.text
    whole = answer.json()
    assert (whole["user"], whole["tenants"]) == (name, sorted({row.tenant for row in ROWS if row.user == name}))
    assert datetime.fromisoformat(whole["last_seen"]) == seen(rows)
    totals = whole["totals"]
    assert (totals["total_requests"], totals["threats"], totals["risky_requests"]) == (
        len(rows),
        sum(len(row.threats) for row in rows),
        sum(map(risky, rows)),
    )
    assert sum(one["total_requests"] for one in whole["timeline"]) == len(rows)
    assert {one["model"]: one["total_requests"] for one in whole["models"]} == {
        model: sum(row.model == model for row in rows) for model in {row.model for row in rows}
    }
    assert sum(one["total_requests"] for one in whole["endpoints"]) == len(rows)
    assert sum(one["count"] for one in whole["by_surface"]) == sum(len(row.threats) for row in rows)


def test_a_name_with_slashes_needs_no_encoding(client: TestClient) -> None:
    assert client.get("/api/security/users/a/b%3Fc%23d?days=30").json()["user"] == "a/b?c#d"


@pytest.mark.parametrize("name", ["nobody", "%00", "%FF%FE", "%ED%A0%80", "x" * 300])
def test_who_is_not_known_is_404_or_refused(client: TestClient, name: str) -> None:
    answer = client.get(f"/api/security/users/{name}")
    assert answer.status_code == (422 if len(name) > 256 else 404)


def test_a_tenant_sees_its_own_users_only(application: FastAPI, client: TestClient) -> None:
    application.dependency_overrides[auth._principal] = lambda: Principal("v", "viewer", "shop")
    assert {one["tenant"] for one in walked(client)} == {"shop"}
    own = client.get("/api/security/users/alice?days=30").json()
    assert own["tenants"] == ["shop"]
    assert own["totals"]["total_requests"] == sum(row.user == "alice" and row.tenant == "shop" for row in INSIDE)
    application.dependency_overrides[auth._principal] = lambda: Principal("v", "viewer", "empty")
    assert client.get("/api/security/users/alice?days=30").status_code == 404
    for path in (
        "/api/security/users",
        "/api/security/users/alice",
        "/api/usage/users",
        "/api/decisions",
        "/api/costs",
    ):
        assert client.get(path, params={"tenant": "shop"}).status_code == 403


@pytest.mark.parametrize("cursor", ["AA", "W10", "WyJyaXNreSIsMV0", "bm90IGpzb24", "WyJyaXNreSIsMSwiXHVkODAwIiwiYSJd"])
def test_a_cursor_of_something_else_is_refused(client: TestClient, cursor: str) -> None:
    answer = client.get("/api/security/users", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "cursor")
