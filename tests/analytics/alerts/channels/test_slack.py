"""Slack, against a receiver: the payload, and text that must name nobody and link nowhere."""

from collections.abc import Iterator

import pytest

from analytics.alerts import http
from analytics.alerts.channels import slack
from analytics.types.alerts import Delivery
from tests.analytics.alerts import receivers
from tests.analytics.alerts.receivers import Answer, Http
from tests.analytics.alerts.sample import hostile, notice


@pytest.fixture
def receiver() -> Iterator[Http]:
    with receivers.http() as one:
        yield one


@pytest.fixture
def send(receiver: Http) -> Iterator[http.Send]:
    with http.client() as shared:
        rim = http.Rim(http.poster(shared, lambda: 0.0), lambda: 0.0)
        yield slack.sender(slack.Config(url=receiver.url + "/services/T0/B0/secret"), rim)


def test_ok(receiver: Http, send: http.Send) -> None:
    assert send(notice()) == Delivery("ok", "200")
    (came,) = receiver.received
    assert came.path == "/services/T0/B0/secret"
    headline = "CRITICAL: prompt injection by alice was denied"
    blocks = came.json["attachments"][0]["blocks"]
    assert came.json["text"] == headline
    assert came.json["attachments"][0]["color"] == "#b3261e"
    assert [block["type"] for block in blocks] == ["header", "section", "section", "actions"]
    assert blocks[0] == {"type": "header", "text": {"type": "plain_text", "text": headline}}
    assert blocks[2]["fields"][0] == {"type": "mrkdwn", "text": "*User*\nalice", "verbatim": True}
    assert blocks[3]["elements"][0] == {
        "type": "button",
        "text": {"type": "plain_text", "text": "Decision"},
        "url": "https://douane.example/dashboard/decisions/019a9713a200700080000000000000aa",
        "action_id": "decision",
    }


def test_retry_when_slack_says_so(receiver: Http, send: http.Send) -> None:
    receiver.answers = [Answer(429, {"retry-after": "7"})]
    assert send(notice()) == Delivery("retry", "429", 7.0)


def test_failed_when_the_webhook_is_gone(receiver: Http, send: http.Send) -> None:
    receiver.answers = [Answer(404, body=b"no_service")]
    assert send(notice()) == Delivery("failed", "404")


def texts(value: object) -> Iterator[str]:
    """Yield every text of a payload."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def test_text_of_an_attacker_names_nobody_and_links_nowhere() -> None:
    payload = slack.message(hostile())
    header = payload["attachments"][0]["blocks"][0]["text"]
    assert header["type"] == "plain_text"  # shown as it stands
    markdown = [text for text in texts(payload) if text != header["text"]]
    assert [text for text in markdown if "<" in text or ">" in text] == []
    assert "&lt;!channel&gt; &lt;@U123&gt;" in payload["text"]
    fields = [one for block in payload["attachments"][0]["blocks"] for one in block.get("fields", [])]
    assert all(one["verbatim"] for one in fields)
    assert all(one["text"].count("\n") == 1 for one in fields)  # ours, between label and value


def test_slacks_own_limits_are_kept() -> None:
    payload = slack.message(notice(title="t" * 5_000, text="x" * 5_000, facts=(("f", "v" * 5_000),) * 50, count=9))
    blocks = payload["attachments"][0]["blocks"]
    assert len(blocks[0]["text"]["text"]) == 150
    assert len(blocks) <= 50
    assert all(len(block.get("fields", [])) <= 10 for block in blocks)
    assert all(len(one["text"]) <= 2_000 for block in blocks for one in block.get("fields", []))


def test_a_resolved_alert_is_green_and_without_links_has_no_buttons() -> None:
    one = notice("resolved", resolved_unix_us=1, resolved_by="bob")
    payload = slack.message(type(one)(one.delivery_id, one.kind, one.alert))
    assert payload["attachments"][0]["color"] == "#2e7d32"
    assert [block["type"] for block in payload["attachments"][0]["blocks"]] == ["header", "section", "section"]
