"""Quality as the API tells it, against counts over the records and the ratings given."""

from collections import Counter
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
NONE = {"1": 0, "2": 0, "3": 0, "4": 0, "5": 0, "up": 0, "down": 0}


@pytest.fixture(autouse=True)
def stored(sqlite_engine: Engine) -> None:
    fill(sqlite_engine, ROWS)


def counts(rows: list[DecisionRow]) -> dict[str, Any]:
    answered = sum(row.outcome == "answered" for row in rows)
    refusals, retries = sum(row.refusal for row in rows), sum(row.attempt > 0 for row in rows)
    return {
        "total_requests": len(rows),
        "answered_requests": answered,
        "streams": 0,
        "refusals": refusals,
        "refusal_rate": pytest.approx(refusals / answered),
        "retries": retries,
        "retry_rate": pytest.approx(retries / len(rows)),
        "avg_prompt_chars": pytest.approx(sum(row.prompt_chars for row in rows) / len(rows)),
        "avg_response_chars": pytest.approx(sum(row.response_chars for row in rows) / answered),
        "avg_prompt_tokens": pytest.approx(sum(row.prompt_tokens or 0 for row in rows) / answered),
        "avg_completion_tokens": pytest.approx(sum(row.completion_tokens or 0 for row in rows) / answered),
    }


@pytest.mark.parametrize("by", ["model", "provider", "endpoint"])
@pytest.mark.parametrize("equal", [{}, {"tenant": "shop"}, {"endpoint": "/v1/messages"}])
def test_by_everything_and_over_time(client: TestClient, by: str, equal: dict[str, str]) -> None:
    rows = [row for row in INSIDE if all(getattr(row, name) == value for name, value in equal.items())]
    answer = client.get("/api/quality", params={"days": 30, "by": by} | equal).json()
    assert answer["total"] == counts(rows)
    finishes = Counter(row.finish_reason for row in rows if row.finish_reason)
    assert list(answer["finish_reasons"].items()) == sorted(finishes.items(), key=lambda one: (-one[1], one[0]))
    for one in answer["items"]:
        assert one.pop("satisfaction")["ratings"] == 0
        assert one == {"name": one["name"]} | counts([row for row in rows if getattr(row, by) == one["name"]])
    assert sum(one["retries"] for one in answer["timeline"]) == answer["total"]["retries"]
    assert sum(one["total_requests"] for one in answer["timeline"]) == len(rows)


def test_satisfaction_is_of_the_exchanges_window(client: TestClient) -> None:
    outside = next(row for row in ROWS if row.started_unix_us < WINDOW.start_unix_s * 1_000_000)
    given = [
        (INSIDE[0], {"rating": 5}),
        (INSIDE[1], {"rating": 2}),
        (INSIDE[2], {"thumb": "up"}),
        (outside, {"rating": 1}),
    ]
    for row, rating in given:
        assert client.post("/api/feedback", json={"decision_id": row.decision_id} | rating).status_code == 200
    answer = client.get("/api/quality", params={"days": 30}).json()
    assert answer["satisfaction"] == {
        "ratings": 3,
        "satisfied": 2,
        "satisfaction": pytest.approx(2 / 3),
        "mean_rating": 3.5,
        "by_rating": NONE | {"5": 1, "2": 1, "up": 1},
    }
    by_model = {one["name"]: one["satisfaction"]["ratings"] for one in answer["items"]}
    assert by_model == {model: sum(row.model == model for row, _ in given[:3]) for model in by_model}
    assert client.get("/api/quality", params={"days": 30, "model": "none"}).json()["satisfaction"] == {
        "ratings": 0,
        "satisfied": 0,
        "satisfaction": None,
        "mean_rating": None,
        "by_rating": NONE,
    }


def test_users_are_no_part_of_it(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    named = {one["name"] for one in document["paths"]["/api/quality"]["get"]["parameters"]}
    assert named == {"tenant", "days", "from", "to", "model", "provider", "endpoint", "by", "limit"}
