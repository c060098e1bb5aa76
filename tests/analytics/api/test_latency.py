"""Latencies as the API tells them, against exact quantiles over the records."""

from typing import Any

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


def quantile(values: list[int], share: float) -> Any:
    return pytest.approx(sorted(values)[int(share * (len(values) - 1))] / 1e6, rel=0.021)


def mean(values: list[int]) -> Any:
    return pytest.approx(sum(values) / len(values) / 1e6)


def taken(rows: list[DecisionRow]) -> dict[str, Any]:
    latencies = [row.latency_us for row in rows if row.latency_us]
    shares = {"p50_latency": 0.5, "p95_latency": 0.95, "p99_latency": 0.99}
    return {
        "total_requests": len(rows),
        "answers": len(latencies),
        "avg_latency": mean(latencies),
        "avg_first_byte": None,
        "avg_verdict": mean([row.verdict_us for row in rows]),
    } | {name: quantile(latencies, share) for name, share in shares.items()}


@pytest.mark.parametrize("by", ["model", "provider", "endpoint"])
@pytest.mark.parametrize("equal", [{}, {"model": "gpt-4o"}])
def test_by_everything_and_over_time(client: TestClient, by: str, equal: dict[str, str]) -> None:
    rows = [row for row in INSIDE if all(getattr(row, name) == value for name, value in equal.items())]
    answer = client.get("/api/latency", params={"days": 30, "by": by} | equal).json()
    assert answer["total"] == taken(rows)
    verdicts = [row.verdict_us for row in rows]
    shares = {"p50_verdict": 0.5, "p95_verdict": 0.95, "p99_verdict": 0.99}
    assert answer["verdicts"] == {"avg_verdict": mean(verdicts)} | {
        name: quantile(verdicts, share) for name, share in shares.items()
    }
    for one in answer["items"]:
        assert one == {"name": one["name"]} | taken([row for row in rows if getattr(row, by) == one["name"]])
    counts = [one["total_requests"] for one in answer["items"]]
    assert (sum(counts), counts) == (len(rows), sorted(counts, reverse=True))
    assert sum(one["answers"] for one in answer["timeline"]) == answer["total"]["answers"]
    assert len(answer["timeline"]) == 31


def test_nothing_measured_is_null(client: TestClient) -> None:
    answer = client.get("/api/latency", params={"model": "none"}).json()
    assert set(answer["verdicts"].values()) == {None}
    assert {name: value for name, value in answer["total"].items() if value is not None} == {
        "total_requests": 0,
        "answers": 0,
    }
