"""The generic webhook, against a receiver and the Standard Webhooks library as the judge of the signature."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from analytics.alerts import http
from analytics.alerts.channels import webhook
from analytics.types.alerts import Delivery
from tests.analytics.alerts import receivers
from tests.analytics.alerts.receivers import Answer, Http
from tests.analytics.alerts.sample import ALERT, DECISION, NASTY, hostile, notice

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def receiver() -> Iterator[Http]:
    with receivers.http() as one:
        yield one


@pytest.fixture
def rim() -> Iterator[http.Rim]:
    with http.client() as shared:
        yield http.Rim(http.poster(shared, lambda: 0.0), lambda: datetime.now(UTC).timestamp())


def test_ok_and_the_signature_is_what_the_standard_asks(receiver: Http, rim: http.Rim) -> None:
    send = webhook.sender(webhook.Config(url=receiver.url, secret=SECRET), rim)
    assert [send(notice()), send(notice())] == [Delivery("ok", "200")] * 2
    first, second = receiver.received
    assert Webhook(SECRET).verify(first.body, dict(first.headers)) == first.json
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == first.headers["idempotency-key"]
    tampered = first.body.replace(b"alice", b"mallory")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(tampered, dict(first.headers))


def test_the_body_is_version_1(receiver: Http, rim: http.Rim) -> None:
    webhook.sender(webhook.Config(url=receiver.url), rim)(notice())
    (came,) = receiver.received
    assert "webhook-signature" not in came.headers
    assert came.json == {
        "version": "douane.alert/1",
        "delivery_id": "019a9713a200700080000000000d0001",
        "kind": "opened",
        "headline": "CRITICAL: prompt injection by alice was denied",
        "alert": {
            "id": ALERT,
            "tenant": "default",
            "rule": "security",
            "level": "critical",
            "state": "open",
            "count": 1,
            "score": 17.5,
            "key": "security/alice/prompt_injection",
            "title": "prompt injection by alice was denied",
            "user": "alice",
            "model": "gpt-4o",
            "endpoint": "/v1/chat/completions",
            "text": "An exchange scored 17.5; the level CRITICAL begins at 15.",
            "facts": [
                {"label": "Threats", "value": "prompt_injection.ignore_instructions +10"},
                {"label": "Action", "value": "deny"},
            ],
            "decision_ids": [DECISION],
            "first_seen_at": "2026-11-18T11:06:40Z",
            "last_seen_at": "2026-11-18T11:06:40Z",
            "opened_at": "2026-11-18T11:06:40Z",
            "acknowledged_at": None,
            "acknowledged_by": None,
            "resolved_at": None,
            "resolved_by": None,
        },
        "links": {
            "alert": f"https://douane.example/api/alerts/{ALERT}",
            "decision": f"https://douane.example/dashboard/decisions/{DECISION}",
        },
    }


@pytest.mark.parametrize(("status", "result"), [(500, "retry"), (401, "failed")])
def test_retry_and_failed(receiver: Http, rim: http.Rim, status: int, result: str) -> None:
    receiver.answers = [Answer(status)]
    assert webhook.sender(webhook.Config(url=receiver.url), rim)(notice()).result == result


def test_text_of_an_attacker_is_a_json_string_of_one_line() -> None:
    body = webhook.message(hostile())
    assert body["alert"]["user"].startswith("<script>alert(1)</script> <!channel>")
    assert "\n" in NASTY
    assert "\n" not in body["alert"]["user"]


def test_a_plain_text_signs_too(receiver: Http, rim: http.Rim) -> None:
    secret = "p" * 30
    webhook.sender(webhook.Config(url=receiver.url, secret=secret), rim)(notice())
    (came,) = receiver.received
    Webhook(secret.encode()).verify(came.body, dict(came.headers))


@pytest.mark.parametrize("secret", ["short", "whsec_c2hvcnQ=", "whsec_no base64 at all, however long"])
def test_a_weak_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValidationError) as refused:
        webhook.Config(url="https://x.example", secret=secret)
    assert secret not in str(refused.value)
