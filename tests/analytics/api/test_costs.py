"""Costs as the API tells them, against sums over the records in whole nano-dollars."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.store import usage
from analytics.types import DAY_S, DecisionRow
from tests.analytics.books import among, fill, varied
from tests.analytics.conftest import NOW_UNIX_S

ROWS = varied(300)


@pytest.fixture(autouse=True)
def stored(sqlite_engine: Engine) -> None:
    fill(sqlite_engine, ROWS)


def spent(rows: list[DecisionRow]) -> dict[str, Any]:
    priced = [row.cost_nanousd for row in rows if row.cost_nanousd is not None]
    return {
        "cost_usd": sum(priced) / 1e9 if priced else None,
        "priced_requests": len(priced),
        "unpriced_requests": sum(row.outcome != "denied" and row.cost_nanousd is None for row in rows),
        "total_requests": len(rows),
        "prompt_tokens": sum(row.prompt_tokens or 0 for row in rows),
        "completion_tokens": sum(row.completion_tokens or 0 for row in rows),
        "total_tokens": sum(row.total_tokens or 0 for row in rows),
    }


def cost(rows: list[DecisionRow]) -> int:
    return sum(row.cost_nanousd or 0 for row in rows)


@pytest.mark.parametrize("by", ["model", "provider", "user", "endpoint", "tenant"])
@pytest.mark.parametrize("days", [3, 30])
def test_by_everything(client: TestClient, by: str, days: int) -> None:
    window = usage.last(days * DAY_S, NOW_UNIX_S)
    rows = among(ROWS, window.start_unix_s, window.end_unix_s)
    groups: dict[tuple[str | None, str], list[DecisionRow]] = defaultdict(list)
    for row in rows:
        groups[row.tenant if by == "user" else None, getattr(row, by)].append(row)
    expected = [
        {"name": key[1], "tenant": key[0]} | spent(group)
        for key, group in sorted(groups.items(), key=lambda one: (-cost(one[1]), *map(str, one[0])))
    ]
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get("/api/costs", params={"days": days, "by": by, "limit": 4} | cursor).json()
        items += answer["items"]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert items == expected
    assert (answer["by"], answer["total"]) == (by, spent(rows))
    by_day: dict[str, list[DecisionRow]] = defaultdict(list)
    for row in rows:
        by_day[f"{datetime.fromtimestamp(row.started_unix_us / 1e6, UTC).date()}T00:00:00Z"].append(row)
    assert len(answer["days"]) == days + 1
    for day in answer["days"]:
        assert day == {"day": day["day"]} | spent(by_day[day["day"]])


def test_a_model_without_a_price_has_no_cost(client: TestClient) -> None:
    answer = client.get("/api/costs", params={"days": 30, "model": "mystery-1"}).json()
    assert (answer["total"]["cost_usd"], answer["total"]["priced_requests"]) == (None, 0)
    assert answer["total"]["unpriced_requests"] > 0


def test_a_cursor_of_another_list_is_refused(client: TestClient) -> None:
    cursor = client.get("/api/costs", params={"days": 30, "limit": 1}).json()["next_cursor"]
    answer = client.get("/api/costs", params={"days": 30, "by": "endpoint", "cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "cursor")
