"""Microsoft Teams: a notice as an Adaptive Card, to a Workflows webhook ("When a Teams webhook request is received").

In: a Notice. Out: ok, retry or failed; Workflows answers 202, 429 with Retry-After, or 4xx for a flow that is gone.
Text of records stands in TextRuns only: a TextBlock reads Markdown (links, images) and {{DATE()}}, a TextRun reads nothing.
Bounds: Teams takes cards of at most 28 KB; words' limits keep one below 24 KB.
Source: adaptivecards.io schema 1.5 (TextRun); learn.microsoft.com, "Create incoming webhooks with Workflows", 2026-11. The
Office 365 connectors with their MessageCard ended on 31 March 2026.
"""

from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from analytics.alerts import words
from analytics.alerts.http import Rim, SecretUrl, Send
from analytics.types.alerts import Delivery, Notice

_COLOURS = {"info": "accent", "warning": "warning", "critical": "attention"}
_JSON = msgspec.json.Encoder()


class Config(BaseModel):
    """What a Teams channel needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: SecretUrl = Field(description="The workflow's URL.")


def sender(config: Config, rim: Rim) -> Send:
    """Return what sends one notice."""

    def send(notice: Notice) -> Delivery:
        return rim.post(config.url.get_secret_value(), _JSON.encode(message(notice)), {})

    return send


def message(notice: Notice) -> dict[str, Any]:
    """Return the webhook's payload: one message with one card."""
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "msteams": {"width": "Full"},
        "body": _body(notice),
        "actions": _actions(notice),
    }
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [card]}


def _body(notice: Notice) -> list[dict[str, Any]]:
    colour = "good" if notice.alert.state == "resolved" else _COLOURS[notice.alert.level]
    headline = _run(words.title(notice), size="large", weight="bolder", color=colour)
    body = [_rich(headline)]
    if text := words.text(notice):
        body.append(_rich(_run(text)))
    return [*body, *(_fact(label, value) for label, value in words.facts(notice))]


def _run(text: str, **look: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **look}


def _rich(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _fact(label: str, value: str) -> dict[str, Any]:
    return _rich(_run(f"{label}: ", weight="bolder"), _run(value)) | {"spacing": "small"}


def _actions(notice: Notice) -> list[dict[str, Any]]:
    links = (("Decision", notice.decision_url), ("Alert", notice.alert_url))
    return [{"type": "Action.OpenUrl", "title": label, "url": url} for label, url in links if url]
