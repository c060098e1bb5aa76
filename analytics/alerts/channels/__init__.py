"""CHANNELS: the kinds of places that notices go to, one file each.

In: a kind's own configuration, checked by its `Config`. Out: a `Send`: one attempt, ok, retry or failed.
Retrying, grouping, silencing and quiet hours happen once, in alerts/dispatch and alerts/group, never in a channel.
A new kind is a new file with `Config` and `sender`, and one line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from analytics.alerts.channels import apprise_url, email, slack, teams, webhook
from analytics.alerts.http import Rim, Send


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of channel: the model of its configuration, and what makes its Send."""

    config: type[BaseModel]
    sender: Callable[[Any, Rim], Send]


CHANNELS = {
    "email": Kind(email.Config, email.sender),
    "slack": Kind(slack.Config, slack.sender),
    "teams": Kind(teams.Config, teams.sender),
    "webhook": Kind(webhook.Config, webhook.sender),
    "apprise": Kind(apprise_url.Config, apprise_url.sender),
}
