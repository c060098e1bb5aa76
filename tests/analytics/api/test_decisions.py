from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.ingest.decode import decode
from analytics.store import database, records
from tests.analytics.ingest.test_decode import hostile
from tests.analytics.traffic import record


@pytest.fixture(autouse=True)
def stored(sqlite_engine: Engine) -> None:
    with database.writing(sqlite_engine) as connection:
        records.store(connection, [decode(record(number)) for number in range(25)])


def numbers(client: TestClient, **query: Any) -> list[int]:
    answer = client.get("/api/decisions", params=query)
    assert answer.status_code == 200, answer.text
    return [int(one["decision_id"][-6:], 16) for one in answer.json()["decisions"]]


def test_a_decision_in_short_and_whole(client: TestClient) -> None:
    short = client.get("/api/decisions", params={"outcome": "denied", "limit": 1}).json()["decisions"][0]
    assert short == {
        "decision_id": record(19).decision_id,
        "started_at": "2026-11-18T11:06:41.900000Z",
        "stage": "complete",
        "outcome": "denied",
        "applied": "deny",
        "would_be": "deny",
        "mode": "enforce",
        "score": 17.5,
        "level": "critical",
        "failure": "unspecified",
        "tenant": "default",
        "user": "user-19",
        "team": "",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "endpoint": "/v1/chat/completions",
        "door": "gateway",
        "http_status": 403,
        "complete": True,
        "prompt_tokens": None,
        "completion_tokens": None,
        "total_tokens": None,
        "cost_usd": None,
        "latency": None,
        "threat_types": ["prompt_injection", "jailbreak"],
        "verdict": None,
    }
    whole = client.get(f"/api/decisions/{short['decision_id']}").json()
    assert {name: whole[name] for name in short} == short
    assert [threat["rule_id"] for threat in whole["threats"]] == ["prompt_injection.some_rule", "jailbreak.some_rule"]
    assert whole["detail"]["reasons"] == ["prompt_injection.ignore_instructions +10.0", "jailbreak.dan +7.5"]


def test_pages_by_cursor_meet_every_decision_once(client: TestClient) -> None:
    shown: list[str] = []
    cursor = None
    while True:
        page = client.get("/api/decisions", params={"limit": 10} | ({"cursor": cursor} if cursor else {})).json()
        shown += [one["decision_id"] for one in page["decisions"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert shown == [record(number).decision_id for number in reversed(range(25))]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"action": "deny"}, [19, 9]),
        ({"level": "critical", "user": "user-9"}, [9]),
        ({"threat_type": "jailbreak"}, [19, 9]),
        ({"min_score": 17.6}, []),
        ({"user": "\x00"}, []),
        ({"endpoint": "/v1/chat/completions", "limit": 2}, [24, 23]),
        ({"from": "2026-11-18T11:06:42.300Z"}, [24, 23]),
        ({"from": "2026-11-18T12:06:42.300+01:00", "to": "2026-11-18T11:06:42.400Z"}, [23]),
    ],
)
def test_filters(client: TestClient, query: dict[str, Any], expected: list[int]) -> None:
    assert numbers(client, **query) == expected


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"level": "enormous"}, "level"),
        ({"min_score": "nan"}, "min_score"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-18T11:06:42"}, "from"),
        ({"from": "1795000000"}, "from"),
        ({"cursor": "' OR 1=1"}, "cursor"),
        ({"levle": "low"}, "levle"),
    ],
)
def test_a_wrong_query_names_its_parameter(client: TestClient, query: dict[str, Any], param: str) -> None:
    answer = client.get("/api/decisions", params=query)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "invalid_request")
    assert answer.json()["error"]["param"] == param


def test_hostile_text_comes_back_as_text(client: TestClient, sqlite_engine: Engine) -> None:
    row = decode(hostile())
    with database.writing(sqlite_engine) as connection:
        connection.execute(records.THREATS.delete())
        connection.execute(records.RECORDS.delete())
        records.store(connection, [row])
    whole = client.get(f"/api/decisions/{row.decision_id}")
    assert whole.headers["content-type"] == "application/json"
    assert (whole.json()["model"], whole.json()["detail"]) == (row.model, row.detail)
