"""Any Apprise URL: a notice as plain text, to the hundred or so services that the library Apprise knows.

In: a Notice. Out: ok, or retry: Apprise says only whether it worked. failed where the library is not installed or does not
know the URL.
Text is given as plain text, which Apprise escapes for services that take HTML or Markdown; emoji names and escape sequences in
it are left alone. Redirects are not followed.
Bounds: Apprise's own timeouts, 4 s to connect and 4 s to read, unless the URL names others.
Source: Apprise 2.3 (optional: pip install douane[apprise]).
"""

import importlib.util
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from analytics.alerts import words
from analytics.alerts.http import Rim, Send
from analytics.types.alerts import Delivery, Notice

_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


class Config(BaseModel):
    """What an Apprise channel needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: SecretStr = Field(description="An Apprise URL: tgram://..., ntfy://..., json://...")

    @field_validator("url")
    @classmethod
    def _known(cls, value: SecretStr) -> SecretStr:
        if importlib.util.find_spec("apprise") is None:
            raise ValueError("the library Apprise is not installed: pip install 'douane[apprise]'")
        if _target(value.get_secret_value()) is None:
            raise ValueError("Apprise does not know this URL")
        return value


def _target(url: str) -> Any | None:
    """Return what Apprise makes of a URL. Imported here: the library is optional, and reads its plugins when first used."""
    import apprise

    asset = apprise.AppriseAsset(
        http_redirects=False, async_mode=False, interpret_escapes=False, interpret_emojis=False
    )
    target = apprise.Apprise(asset=asset)
    return target if target.add(url) else None


def sender(config: Config, rim: Rim) -> Send:  # noqa: ARG001 - every kind's sender is called alike
    """Return what sends one notice."""
    target = _target(config.url.get_secret_value())

    def send(notice: Notice) -> Delivery:
        if target is None:
            return Delivery("failed", "Apprise does not know this URL")
        kind = "success" if notice.alert.state == "resolved" else _TYPES[notice.alert.level]
        told = target.notify(body=body(notice), title=words.title(notice), notify_type=kind, body_format="text")
        return Delivery("ok") if told else Delivery("retry", "Apprise could not deliver it")

    return send


def body(notice: Notice) -> str:
    """Return the text below the title."""
    links = [(label, url) for label, url in (("Decision", notice.decision_url), ("Alert", notice.alert_url)) if url]
    lines = [f"{label}: {value}" for label, value in (*words.facts(notice), *links)]
    return "\n".join([words.text(notice), "", *lines]).strip()
