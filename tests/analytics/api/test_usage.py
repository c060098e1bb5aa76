import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.ingest.decode import decode
from analytics.store import database, records
from tests.analytics.traffic import record


@pytest.fixture
def stored(sqlite_engine: Engine) -> None:
    with database.writing(sqlite_engine) as connection:
        records.store(connection, [decode(record(number)) for number in range(40)])


def test_the_missions_call(client: TestClient, stored: None) -> None:
    answer = client.get("/api/usage/analytics?days=7").json()
    answered = [record(number).timings.total_us / 1e6 for number in range(40) if number % 10 != 9]
    general = answer["general_metrics"]
    p95 = sorted(answered)[int(0.95 * 35)]
    assert general.pop("p95_latency") == pytest.approx(p95, rel=0.02)
    for name in ("p50_latency", "p99_latency"):
        assert min(answered) * 0.98 <= general.pop(name) <= max(answered) * 1.02
    assert general == {
        "total_requests": 40,
        "successful_requests": 36,
        "blocked_requests": 4,
        "failed_requests": 0,
        "error_rate": 0.0,
        "total_tokens": sum(record(number).usage.total_tokens for number in range(40)),
        "prompt_tokens": sum(record(number).usage.prompt_tokens for number in range(40)),
        "completion_tokens": 36 * 40,
        "threats": 8,
        "avg_latency": pytest.approx(sum(answered) / 36),
        "aborted_requests": 0,
        "unknown_requests": 0,
        "unique_users": 20,
        "unique_models": 3,
        "avg_overhead": pytest.approx(0.0007),
        "risky_requests": 4,
        "cost_usd": None,
        "unpriced_requests": 36,
    }
    assert answer["window"] == {
        "start": "2026-11-11T11:00:00Z",
        "end": "2026-11-18T12:00:00Z",
        "days": 7,
        "bucket_s": 3_600,
    }
    assert answer["security"] == {
        "threats": 8,
        "by_type": [
            {"threat_type": "jailbreak", "count": 4, "top_users": ["user-19", "user-9"]},
            {"threat_type": "prompt_injection", "count": 4, "top_users": ["user-19", "user-9"]},
        ],
        "by_level": {"low": 36, "medium": 0, "high": 0, "critical": 4},
        "by_action": {"allow": 36, "allow_unscanned": 0, "redact": 0, "throttle": 0, "deny": 4},
        "would_refuse": 4,
        "inspection_failures": 0,
        "unscanned": 0,
    }
    assert [(one["model"], one["total_requests"]) for one in answer["models"]] == [
        ("gpt-4o", 14),
        ("claude-sonnet-4-5", 13),
        ("gpt-4o-mini", 13),
    ]
    assert len(answer["timeline"]) == 169
    assert sum(one["total_requests"] for one in answer["timeline"]) == 40


def test_nothing_recorded_is_zeros_and_nulls(client: TestClient) -> None:
    general = client.get("/api/usage/analytics").json()["general_metrics"]
    assert {name for name, value in general.items() if value} == set()
    assert [name for name, value in general.items() if value is None] == [
        *("p50_latency", "p95_latency", "p99_latency", "avg_latency", "cost_usd", "avg_overhead")
    ]


@pytest.mark.parametrize("days", ["0", "367", "-1", "x", "1.5", ""])
def test_days_out_of_bounds_are_refused(client: TestClient, days: str) -> None:
    answer = client.get("/api/usage/analytics", params={"days": days})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "days")


@pytest.mark.parametrize("days", [1, 366])
def test_days_within_bounds(client: TestClient, stored: None, days: int) -> None:
    answer = client.get("/api/usage/analytics", params={"days": days}).json()
    assert answer["general_metrics"]["total_requests"] == 40
