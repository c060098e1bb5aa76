from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.analytics.api.alarm import Alarm
from tests.analytics.api.test_alerts import critical
from tests.analytics.conftest import NOW_UNIX_S

NOW = datetime.fromtimestamp(NOW_UNIX_S, UTC)


@pytest.fixture
def alarm(engine: Engine, tmp_path: Path) -> Iterator[Alarm]:
    found = Alarm(engine, tmp_path, slack_webhook_url="https://hooks.slack.com/x")
    yield found
    found.close()


def silence(**fields: Any) -> dict[str, Any]:
    return {"rule": "security", "ends_at": (NOW + timedelta(hours=1)).isoformat(), "why": "a drill"} | fields


def test_what_is_silenced_is_kept_and_nobody_is_told(alarm: Alarm) -> None:
    alarm.become("ann", "analyst")
    made = alarm.client.post("/api/alerts/silences", json=silence(user="eve"))
    assert (made.status_code, made.json()["created_by"], made.json()["active"]) == (201, "ann", True)
    alarm.store(critical(9), critical(19, user="bob"))
    found = {one["user"]: one for one in alarm.client.get("/api/alerts").json()["alerts"]}
    assert found["eve"]["silenced_until"] == made.json()["ends_at"]
    assert found["bob"]["silenced_until"] is None
    told = {one["alert_id"] for one in alarm.client.get("/api/alerts/deliveries").json()["deliveries"]}
    assert told == {found["bob"]["id"]}


def test_a_silence_is_ended_and_audited(alarm: Alarm) -> None:
    one = alarm.client.post("/api/alerts/silences", json=silence()).json()
    ended = alarm.client.delete(f"/api/alerts/silences/{one['id']}").json()
    assert (ended["active"], ended["ends_at"]) == (False, NOW.isoformat().replace("+00:00", "Z"))
    assert [held["id"] for held in alarm.client.get("/api/alerts/silences").json()["silences"]] == [one["id"]]
    assert alarm.audited() == [("local", "silence.create"), ("local", "silence.end")]


@pytest.mark.parametrize(
    "fields",
    [
        {"ends_at": (NOW - timedelta(hours=1)).isoformat()},
        {"ends_at": (NOW + timedelta(days=4_000)).isoformat()},
        {"why": ""},
        {"colour": "blue"},
    ],
)
def test_what_is_no_silence_is_refused(alarm: Alarm, fields: dict[str, Any]) -> None:
    answer = alarm.client.post("/api/alerts/silences", json=silence(**fields))
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "invalid_request")
    assert alarm.audited() == []


def test_a_tenant_silences_its_own_alone(alarm: Alarm) -> None:
    everybodys = alarm.client.post("/api/alerts/silences", json=silence()).json()
    alarm.become("ann", "analyst", "acme")
    assert alarm.client.delete(f"/api/alerts/silences/{everybodys['id']}").status_code == 404
    assert alarm.client.post("/api/alerts/silences", json=silence(tenant="other")).status_code == 403
    mine = alarm.client.post("/api/alerts/silences", json=silence()).json()
    assert mine["tenant"] == "acme"
    alarm.become("vic", "viewer")
    assert alarm.client.post("/api/alerts/silences", json=silence()).status_code == 403
