from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from analytics.store.tables import AUDIT, CHANNELS
from tests.analytics.alerts.receivers import http
from tests.analytics.api.alarm import Alarm

SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"


@pytest.fixture
def alarm(engine: Engine, tmp_path: Path) -> Iterator[Alarm]:
    found = Alarm(engine, tmp_path, slack_webhook_url="https://hooks.slack.com/services/T/B/verysecret")
    yield found
    found.close()


def webhook(url: str = "https://hooks.example.com/douane", **fields: Any) -> dict[str, Any]:
    return {"name": "pager", "kind": "webhook", "config": {"url": url, "secret": SECRET}} | fields


def test_channels_are_made_changed_shown_masked_and_forgotten(alarm: Alarm) -> None:
    made = alarm.client.post("/api/alerts/channels", json=webhook())
    assert made.status_code == 201, made.text
    path = f"/api/alerts/channels/{made.json()['id']}"
    changed = alarm.client.put(path, json={"name": "pager two", "least": "critical"}).json()
    assert (changed["name"], changed["least"], changed["config"]) == ("pager two", "critical", made.json()["config"])
    listed = alarm.client.get("/api/alerts/channels").json()["channels"]
    assert [(one["name"], one["origin"]) for one in listed] == [("slack (settings)", "settings"), ("pager two", "api")]
    assert alarm.client.delete(path).status_code == 204
    assert alarm.client.get(path).status_code == 404
    assert [action for _, action in alarm.audited()] == ["channel.change", "channel.create", "channel.delete"]


def test_a_secret_is_nowhere_to_be_read(alarm: Alarm) -> None:
    answers = [alarm.client.post("/api/alerts/channels", json=webhook()), alarm.client.get("/api/alerts/channels")]
    with alarm.engine.connect() as connection:
        held = str([tuple(row) for table in (CHANNELS, AUDIT) for row in connection.execute(select(table))])
    for text in (*(one.text for one in answers), held):
        assert SECRET not in text
        assert "verysecret" not in text


def test_a_channel_of_the_settings_is_changed_there(alarm: Alarm) -> None:
    answers = [
        alarm.client.put("/api/alerts/channels/slack", json={"name": "x"}),
        alarm.client.delete("/api/alerts/channels/slack"),
    ]
    assert [(one.status_code, one.json()["error"]["type"]) for one in answers] == [(409, "conflict")] * 2


@pytest.mark.parametrize(
    "body",
    [
        webhook(kind="pigeon"),
        webhook(url="ftp://nowhere"),
        webhook(config={}),
        webhook(config={"url": "https://x.example", "secret": SECRET, "colour": "blue"}),
    ],
)
def test_what_is_no_channel_is_refused_without_its_content(alarm: Alarm, body: dict[str, Any]) -> None:
    answer = alarm.client.post("/api/alerts/channels", json=body)
    assert (answer.status_code, SECRET in answer.text) == (422, False)


def test_who_may_do_what(alarm: Alarm) -> None:
    made = alarm.client.post("/api/alerts/channels", json=webhook()).json()
    alarm.become("ann", "analyst")
    assert alarm.client.get("/api/alerts/channels").status_code == 200
    assert alarm.client.post("/api/alerts/channels", json=webhook()).status_code == 403
    assert alarm.client.post(f"/api/alerts/channels/{made['id']}/test").status_code == 403
    alarm.become("root", "admin", "acme")
    assert alarm.client.get("/api/alerts/channels").json()["channels"] == []
    assert alarm.client.get(f"/api/alerts/channels/{made['id']}").status_code == 404
    inward = alarm.client.post("/api/alerts/channels", json=webhook(url="http://127.0.0.1:9/x"))
    assert (inward.status_code, inward.json()["error"]["param"]) == (422, "config")


@pytest.mark.server
def test_a_channel_is_tried(alarm: Alarm) -> None:
    with http() as receiver:
        made = alarm.client.post("/api/alerts/channels", json=webhook(url=receiver.url)).json()
        tried = alarm.client.post(f"/api/alerts/channels/{made['id']}/test").json()
    assert tried == {"result": "ok", "detail": "200"}
    assert len(receiver.received) == 1
    assert ("local", "channel.test") in alarm.audited()
