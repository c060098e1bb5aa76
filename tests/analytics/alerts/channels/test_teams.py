"""Microsoft Teams, against a receiver: the card, and text that must stay text."""

from collections.abc import Iterator
from typing import Any

import pytest

from analytics.alerts import http
from analytics.alerts.channels import teams
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
        yield teams.sender(teams.Config(url=receiver.url + "/workflows/secret"), rim)


def test_ok(receiver: Http, send: http.Send) -> None:
    receiver.answers = [Answer(202, body=b"")]
    assert send(notice()) == Delivery("ok", "202")
    (came,) = receiver.received
    assert (came.json["type"], len(came.json["attachments"])) == ("message", 1)
    card = came.json["attachments"][0]
    assert (card["contentType"], card["contentUrl"]) == ("application/vnd.microsoft.card.adaptive", None)
    content = card["content"]
    assert (content["type"], content["version"]) == ("AdaptiveCard", "1.5")
    assert content["body"][0] == {
        "type": "RichTextBlock",
        "inlines": [
            {
                "type": "TextRun",
                "text": "CRITICAL: prompt injection by alice was denied",
                "size": "large",
                "weight": "bolder",
                "color": "attention",
            }
        ],
    }
    assert [run["text"] for run in content["body"][2]["inlines"]] == ["User: ", "alice"]
    assert content["actions"][0] == {
        "type": "Action.OpenUrl",
        "title": "Decision",
        "url": "https://douane.example/dashboard/decisions/019a9713a200700080000000000000aa",
    }


def test_retry_when_the_flow_is_throttled(receiver: Http, send: http.Send) -> None:
    receiver.answers = [Answer(429, {"retry-after": "60"})]
    assert send(notice()) == Delivery("retry", "429", 60.0)


def test_failed_when_the_flow_is_gone(receiver: Http, send: http.Send) -> None:
    receiver.answers = [Answer(404)]
    assert send(notice()) == Delivery("failed", "404")


def holders(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every element of a card that has a text."""
    if isinstance(value, dict):
        if "text" in value:
            yield value
        for one in value.values():
            yield from holders(one)
    elif isinstance(value, list):
        for one in value:
            yield from holders(one)


def test_text_of_an_attacker_stands_where_nothing_is_read_as_markdown() -> None:
    payload = teams.message(hostile())
    found = list(holders(payload))
    assert {one["type"] for one in found} == {"TextRun"}  # never a TextBlock or a Fact
    assert any("[x](https://evil.example)" in one["text"] for one in found)
    assert {action["url"][:23] for action in payload["attachments"][0]["content"]["actions"]} == {
        "https://douane.example/"
    }


def test_a_card_stays_below_what_teams_takes() -> None:
    endless = "漢" * 5_000
    one = notice(
        title=endless, text=endless, user=endless, model=endless, endpoint=endless, facts=((endless, endless),) * 50
    )
    assert len(teams._JSON.encode(teams.message(one))) < 28_000


def test_a_resolved_alert_is_green() -> None:
    payload = teams.message(notice("resolved", resolved_unix_us=1, resolved_by="bob"))
    assert payload["attachments"][0]["content"]["body"][0]["inlines"][0]["color"] == "good"
