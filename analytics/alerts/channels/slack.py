"""Slack: a notice as Block Kit, to an incoming webhook (or to Mattermost's, which takes the same).

In: a Notice. Out: ok, retry or failed; Slack answers 200, 429 with Retry-After, or 4xx for a webhook that is gone.
Text of records is escaped as Slack asks (& < >), so that it can name nobody (<!channel>, <@U1>) and link nowhere, and blocks
are `verbatim`: Slack makes no links of its own.
Bounds: Slack's own limits: header 150 characters, 10 fields of 2,000 characters in a section, 50 blocks.
Source: docs.slack.dev/reference/block-kit/blocks and /messaging/formatting-message-text, 2026-11.
"""

from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from analytics.alerts import words
from analytics.alerts.http import Rim, SecretUrl, Send
from analytics.types.alerts import Delivery, Notice

_COLOURS = {"info": "#2f6fab", "warning": "#c77700", "critical": "#b3261e"}
_RESOLVED = "#2e7d32"
_FIELDS = 10
_JSON = msgspec.json.Encoder()


class Config(BaseModel):
    """What a Slack channel needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: SecretUrl = Field(description="The incoming webhook's URL.")


def sender(config: Config, rim: Rim) -> Send:
    """Return what sends one notice."""

    def send(notice: Notice) -> Delivery:
        return rim.post(config.url.get_secret_value(), _JSON.encode(message(notice)), {})

    return send


def escaped(text: str) -> str:
    """Return a text that Slack shows as it stands."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message(notice: Notice) -> dict[str, Any]:
    """Return the webhook's payload. `text` is what notifications and screen readers show."""
    headline = words.title(notice)
    colour = _RESOLVED if notice.alert.state == "resolved" else _COLOURS[notice.alert.level]
    return {
        "text": escaped(headline),
        "attachments": [{"color": colour, "fallback": escaped(headline), "blocks": _blocks(notice, headline)}],
    }


def _blocks(notice: Notice, headline: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": headline}}]
    if text := words.text(notice):
        blocks.append({"type": "section", "text": _markdown(escaped(text))})
    fields = [_markdown(f"*{escaped(label)}*\n{escaped(value)}") for label, value in words.facts(notice)]
    blocks += [{"type": "section", "fields": fields[at : at + _FIELDS]} for at in range(0, len(fields), _FIELDS)]
    if buttons := _buttons(notice):
        blocks.append({"type": "actions", "elements": buttons})
    return blocks


def _markdown(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _buttons(notice: Notice) -> list[dict[str, Any]]:
    links = (("Decision", notice.decision_url), ("Alert", notice.alert_url))
    return [
        {"type": "button", "text": {"type": "plain_text", "text": label}, "url": url, "action_id": label.lower()}
        for label, url in links
        if url
    ]
