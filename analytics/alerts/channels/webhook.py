"""A webhook of the operator's own: a notice as JSON, version douane.alert/1, signed.

In: a Notice. Out: ok, retry or failed. Fields are added to a version, never changed or taken away.
Signed as Standard Webhooks asks, so that receivers find a library in their language: webhook-id (the same in every attempt),
webhook-timestamp, webhook-signature "v1,<base64 of HMAC-SHA256 of id.timestamp.body>". A receiver checks the signature, refuses
an old timestamp, and takes each webhook-id once; Idempotency-Key repeats the id for gateways that know that name.
Without a secret nothing is signed.
Never: a text changed for a format; JSON strings hold texts as they are, cut to words' limits.
Source: github.com/standard-webhooks/standard-webhooks, spec of 2025; tested against its own Python library.
"""

import base64
import binascii
import hmac
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from analytics.alerts import words
from analytics.alerts.http import Rim, Send, WebUrl
from analytics.types.alerts import Alert, Delivery, Notice

VERSION = "douane.alert/1"
SECRET_PREFIX = "whsec_"  # noqa: S105 - the standard's mark of a base64 secret
LEAST_SECRET = 24  # bytes; the standard asks for 24 to 64
_JSON = msgspec.json.Encoder()


class Config(BaseModel):
    """What a webhook needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: WebUrl = Field(description="Where to post.")
    secret: SecretStr = Field(
        default=SecretStr(""),
        description="Signs each post: whsec_ and base64 of 24 bytes or more, or any text of 24 characters or more.",
    )

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and len(key(value.get_secret_value())) < LEAST_SECRET:
            raise ValueError(f"a secret of {LEAST_SECRET} bytes or more is needed")
        return value


def key(secret: str) -> bytes:
    """Return the bytes that sign. Raises: ValueError for a whsec_ secret that is no base64."""
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("what follows whsec_ is no base64") from None


def sender(config: Config, rim: Rim) -> Send:
    """Return what sends one notice."""
    secret = config.secret.get_secret_value()

    def send(notice: Notice) -> Delivery:
        body = _JSON.encode(message(notice))
        moment = str(int(rim.clock()))
        headers = {"idempotency-key": notice.delivery_id, "webhook-id": notice.delivery_id, "webhook-timestamp": moment}
        if secret:
            headers["webhook-signature"] = signature(key(secret), notice.delivery_id, moment, body)
        return rim.post(config.url.get_secret_value(), body, headers)

    return send


def signature(secret: bytes, delivery_id: str, moment: str, body: bytes) -> str:
    """Return the value of webhook-signature."""
    digest = hmac.digest(secret, f"{delivery_id}.{moment}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def message(notice: Notice) -> dict[str, Any]:
    """Return the body. Times are RFC 3339 in UTC, null where something has not happened."""
    return {
        "version": VERSION,
        "delivery_id": notice.delivery_id,
        "kind": notice.kind,
        "headline": words.title(notice),
        "alert": _alert(notice.alert),
        "links": {"alert": notice.alert_url or None, "decision": notice.decision_url or None},
    }


def _alert(alert: Alert) -> dict[str, Any]:
    plain = {name: getattr(alert, name) for name in ("tenant", "rule", "level", "state", "count", "score")}
    texts = {name: words.clean(getattr(alert, name)) for name in ("key", "title", "user", "model", "endpoint")}
    return (
        {"id": alert.alert_id}
        | plain
        | texts
        | {
            "text": words.clean(alert.text, words.TEXT_CHARS),
            "facts": [
                {"label": words.clean(label, words.LABEL_CHARS), "value": words.clean(value)}
                for label, value in alert.facts
            ],
            "decision_ids": list(alert.decisions),
            "first_seen_at": words.stamp(alert.first_unix_us),
            "last_seen_at": words.stamp(alert.last_unix_us),
            "opened_at": words.stamp(alert.opened_unix_us),
            "acknowledged_at": _stamp(alert.acknowledged_unix_us),
            "acknowledged_by": alert.acknowledged_by or None,
            "resolved_at": _stamp(alert.resolved_unix_us),
            "resolved_by": alert.resolved_by or None,
        }
    )


def _stamp(unix_us: int | None) -> str | None:
    return None if unix_us is None else words.stamp(unix_us)
