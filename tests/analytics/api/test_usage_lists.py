"""Lists, timelines and the heat map as a client reads them, against counts over the records."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.store import usage
from analytics.types import DAY_S, DecisionRow
from tests.analytics.books import among, fill, varied
from tests.analytics.conftest import NOW_UNIX_S

ROWS = varied(300)
WINDOW = usage.last(30 * DAY_S, NOW_UNIX_S)
INSIDE = among(ROWS, WINDOW.start_unix_s, WINDOW.end_unix_s)


@pytest.fixture(autouse=True)
def stored(sqlite_engine: Engine) -> None:
    fill(sqlite_engine, ROWS)


def walked(client: TestClient, noun: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(f"/api/usage/{noun}", params={"days": 30} | query | cursor).json()
        assert len(answer[noun]) <= query.get("limit", 100)
        found += answer[noun]
        if answer["next_cursor"] is None:
            return found
        cursor = {"cursor": answer["next_cursor"]}


SORTED = {
    "requests": lambda _row: 1,
    "tokens": lambda row: row.total_tokens or 0,
    "cost": lambda row: row.cost_nanousd or 0,
    "threats": lambda row: len(row.threats),
    "errors": lambda _row: 0,
    "blocked": lambda row: int(row.outcome == "denied"),
    "risky": lambda row: int(row.level in ("high", "critical")),
}


@pytest.mark.parametrize("sort", list(SORTED))
@pytest.mark.parametrize(
    ("noun", "keys"), [("models", ("model",)), ("users", ("tenant", "user")), ("endpoints", ("endpoint",))]
)
def test_each_is_listed_once_and_in_order(client: TestClient, noun: str, keys: tuple[str, ...], sort: str) -> None:
    sums: Counter[tuple[str, ...]] = Counter()
    for row in INSIDE:
        sums[tuple(getattr(row, key) for key in keys)] += SORTED[sort](row)
    expected = [key for key, _ in sorted(sums.items(), key=lambda one: (-one[1], one[0]))]
    for limit in (2, 100):
        found = walked(client, noun, sort=sort, limit=limit)
        assert [tuple(one[key] for key in keys) for one in found] == expected


def counted(rows: list[DecisionRow]) -> dict[str, Any]:
    priced = [row.cost_nanousd for row in rows if row.cost_nanousd is not None]
    latencies = [row.latency_us for row in rows if row.latency_us is not None]
    return {
        "total_requests": len(rows),
        "successful_requests": sum(row.outcome == "answered" for row in rows),
        "blocked_requests": sum(row.outcome == "denied" for row in rows),
        "failed_requests": 0,
        "error_rate": 0.0,
        "total_tokens": sum(row.total_tokens or 0 for row in rows),
        "prompt_tokens": sum(row.prompt_tokens or 0 for row in rows),
        "completion_tokens": sum(row.completion_tokens or 0 for row in rows),
        "threats": sum(len(row.threats) for row in rows),
        "risky_requests": sum(row.level in ("high", "critical") for row in rows),
        "avg_latency": pytest.approx(sum(latencies) / len(latencies) / 1e6) if latencies else None,
        "cost_usd": pytest.approx(sum(priced) / 1e9) if priced else None,
        "unpriced_requests": sum(row.outcome != "denied" and row.cost_nanousd is None for row in rows),
    }


def test_every_number_of_every_model(client: TestClient) -> None:
    for one in walked(client, "models"):
        model = one.pop("model")
        rows = [row for row in INSIDE if row.model == model]
        exact = sorted((row.latency_us or 0) / 1e6 for row in rows if row.latency_us)
        for name, share in (("p50_latency", 0.5), ("p95_latency", 0.95), ("p99_latency", 0.99)):
            assert one.pop(name) == pytest.approx(exact[int(share * (len(exact) - 1))], rel=0.021)
        assert one == counted(rows)


@pytest.mark.parametrize(
    "equal", [{"user": "équipe/データ"}, {"model": "mystery-1", "tenant": "bank"}, {"provider": "anthropic"}]
)
def test_lists_and_timelines_are_narrowed(client: TestClient, equal: dict[str, str]) -> None:
    rows = [row for row in INSIDE if all(getattr(row, name) == value for name, value in equal.items())]
    for noun in ("models", "users", "endpoints"):
        assert sum(one["total_requests"] for one in walked(client, noun, **equal)) == len(rows)
    days: dict[str, list[DecisionRow]] = defaultdict(list)
    for row in rows:
        day = datetime.fromtimestamp(row.started_unix_us / 1e6, UTC).date()
        days[f"{day}T00:00:00Z"].append(row)
    timeline = client.get("/api/usage/timeline", params={"days": 30} | equal).json()["timeline"]
    assert len(timeline) == 31
    for bucket in timeline:
        bucket.pop("p95_latency")
        assert bucket == {"start": bucket["start"]} | counted(days.get(bucket["start"], []))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Asia/Kathmandu"])
def test_the_heat_map_is_the_local_week(client: TestClient, zone: str) -> None:
    expected: Counter[tuple[int, int]] = Counter()
    for row in INSIDE:
        hour = row.started_unix_us // 3_600_000_000 * 3_600  # a UTC hour stands at the local hour it begins in
        local = datetime.fromtimestamp(hour, ZoneInfo(zone))
        expected[local.weekday(), local.hour] += 1
    answer = client.get("/api/usage/heatmap", params={"days": 30, "zone": zone}).json()
    assert [(one["weekday"], one["hour"]) for one in answer["cells"]] == [(d, h) for d in range(7) for h in range(24)]
    assert {
        (one["weekday"], one["hour"]): one["total_requests"] for one in answer["cells"] if one["total_requests"]
    } == (dict(expected))
    for name, total in (
        ("threats", sum(len(row.threats) for row in INSIDE)),
        ("total_tokens", sum(row.total_tokens or 0 for row in INSIDE)),
        ("blocked_requests", sum(row.outcome == "denied" for row in INSIDE)),
    ):
        assert sum(one[name] for one in answer["cells"]) == total


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "\x00", "utc "])
def test_a_zone_that_is_none_is_refused(client: TestClient, zone: str) -> None:
    answer = client.get("/api/usage/heatmap", params={"zone": zone})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "zone")


def test_a_window_by_moments_tells_the_same_as_one_by_days(client: TestClient) -> None:
    by_days = client.get("/api/usage/analytics?days=30").json()
    window = by_days["window"]
    by_moments = client.get("/api/usage/analytics", params={"from": window["start"], "to": window["end"]}).json()
    assert by_moments.pop("window") | {"days": 30} == by_days.pop("window")
    assert by_moments == by_days
