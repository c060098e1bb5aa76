"""Apprise, against a receiver of its json:// kind: the fifth channel."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from analytics.alerts import http
from analytics.alerts.channels import apprise_url
from analytics.types.alerts import Delivery
from tests.analytics.alerts import receivers
from tests.analytics.alerts.receivers import Answer, Http
from tests.analytics.alerts.sample import hostile, notice

RIM = http.Rim(lambda *_: Delivery("failed"), lambda: 0.0)


@pytest.fixture
def receiver() -> Iterator[Http]:
    with receivers.http() as one:
        yield one


def sending(receiver: Http) -> http.Send:
    return apprise_url.sender(apprise_url.Config(url=receiver.url.replace("http://", "json://") + "/hook"), RIM)


def test_ok(receiver: Http) -> None:
    assert sending(receiver)(notice()) == Delivery("ok")
    (came,) = receiver.received
    assert came.path.startswith("/hook")
    assert (came.json["title"], came.json["type"]) == ("CRITICAL: prompt injection by alice was denied", "failure")
    assert came.json["message"].splitlines()[:3] == [
        "An exchange scored 17.5; the level CRITICAL begins at 15.",
        "",
        "User: alice",
    ]


@pytest.mark.parametrize("answer", [Answer(500), Answer(302, {"location": "/elsewhere"})])
def test_retry_for_whatever_did_not_work_and_no_redirect_is_followed(receiver: Http, answer: Answer) -> None:
    receiver.answers = [answer]
    assert sending(receiver)(notice()) == Delivery("retry", "Apprise could not deliver it")
    assert len(receiver.received) == 1


def test_text_of_an_attacker_stays_as_it_is(receiver: Http) -> None:
    sending(receiver)(hostile())
    (came,) = receiver.received
    assert "<!channel> <@U123>" in came.json["message"]
    assert "Bcc: victim@example.com Level: INFO" in came.json["message"]


def test_a_url_that_nobody_knows_is_refused_without_being_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        apprise_url.Config(url="nosuchservice://secret-token")
    assert "secret-token" not in str(refused.value)
