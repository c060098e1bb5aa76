from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.ingest.decode import decode
from analytics.store import database, records
from tests.analytics.traffic import record


def test_without_data_the_summary_says_so(client: TestClient) -> None:
    assert client.get("/api/dashboard/recommendations").json() == {
        "summary": "No request was recorded in the last 7 days, so there is nothing to recommend.",
        "source": "statistics",
        "generated_at": "2026-11-18T11:36:40Z",
        "requests": 0,
        "recommendations": [],
    }


def test_the_missions_call(client: TestClient, sqlite_engine: Engine) -> None:
    with database.writing(sqlite_engine) as connection:
        records.store(connection, [decode(record(number)) for number in range(40)])
    answer = client.get("/api/dashboard/recommendations").json()
    assert answer["summary"] == (
        "40 requests in the last 7 days: 36 answered, 4 blocked, 0 failed; 8 threats found. 3 recommendations, 2 of them "
        "urgent. This comes from statistics of these 40 requests, not from the AI judge."
    )
    assert [(one["title"], one["priority"], one["category"]) for one in answer["recommendations"]] == [
        ("Look into jailbreak (4 found)", "high", "security"),
        ("10% of requests are blocked", "high", "security"),
        ("Look into prompt injection (4 found)", "medium", "security"),
    ]
    assert answer["recommendations"][1]["evidence"] == {"denied": 4, "requests": 40, "share": 0.1}
