"""The roster: every channel there is, those of the settings and those made through the API, and how each is reached.

In: settings, a vault, the store's channels. Out: Channel values without secrets, what sends to one, its configuration as it may
be shown. A channel whose configuration cannot be opened stays in the list and fails each notice with that reason.
Raises: ConfigError at the start, with the variable's name, for a channel of the settings that cannot work.
Never: a secret in a Channel, an answer or a text of an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy import Connection

from analytics.alerts.channels import CHANNELS
from analytics.alerts.http import Rim, Send
from analytics.alerts.vault import Unreadable, Vault
from analytics.config import ConfigError, Settings, variable
from analytics.store import alert_settings
from analytics.types.alerts import Channel, Delivery, Notice

# The setting that a kind's channel begins with, and its fields by the names of the kind's configuration.
_OF_SETTINGS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "email": (
        "alert_email_to",
        {
            "sender": "smtp_from",
            "host": "smtp_host",
            "port": "smtp_port",
            "encryption": "smtp_encryption",
            "user": "smtp_user",
            "password": "smtp_password",
            "ca_file": "smtp_ca_file",
        },
    ),
    "slack": ("slack_webhook_url", {"url": "slack_webhook_url"}),
    "teams": ("teams_webhook_url", {"url": "teams_webhook_url"}),
    "webhook": ("alert_webhook_url", {"url": "alert_webhook_url", "secret": "alert_webhook_secret"}),
    "apprise": ("alert_apprise_url", {"url": "alert_apprise_url"}),
}
MASK = "********"


class Roster:
    """Every channel. Safe to use from several threads: what is kept is only ever replaced whole."""

    def __init__(self, settings: Settings, vault: Vault, rim: Rim) -> None:
        self._vault = vault
        self._rim = rim
        self._configs = _configs(settings)
        self.of_settings = tuple(_channel(kind, settings) for kind in self._configs)
        self._senders: dict[str, tuple[str, Send]] = {}

    def all(self, connection: Connection) -> tuple[Channel, ...]:
        """Return every channel, those of the settings first."""
        return *self.of_settings, *alert_settings.channels(connection, None)

    def find(self, connection: Connection, channel_id: str) -> Channel | None:
        """Return one channel, None when it is gone."""
        named = next((one for one in self.of_settings if one.channel_id == channel_id), None)
        return named or alert_settings.channel(connection, channel_id, None)

    def seal(self, config: BaseModel) -> str:
        """Return a configuration as it is stored."""
        return self._vault.seal(revealed(config))

    def config(self, channel: Channel) -> BaseModel:
        """Return a channel's configuration. Raises: Unreadable."""
        if not channel.sealed:
            return self._configs[channel.kind]
        try:
            return CHANNELS[channel.kind].config(**self._vault.open(channel.sealed))
        except (ValidationError, KeyError):
            raise Unreadable from None

    def sender(self, channel: Channel) -> Send:
        """Return what sends to a channel; made once a configuration."""
        held = self._senders.get(channel.channel_id)
        if held is not None and held[0] == channel.sealed:
            return held[1]
        try:
            send = CHANNELS[channel.kind].sender(self.config(channel), self._rim)
        except (Unreadable, OSError):  # OSError: a file of certificates that cannot be read
            return _unreadable
        self._senders = {**self._senders, channel.channel_id: (channel.sealed, send)}
        return send

    def shown(self, channel: Channel) -> dict[str, Any] | None:
        """Return a channel's configuration without its secrets, None when it cannot be opened."""
        try:
            return masked(self.config(channel))
        except Unreadable:
            return None


def _unreadable(_notice: Notice) -> Delivery:
    return Delivery(
        "failed", "the channel's configuration cannot be read: it was sealed with another key, or a file is missing"
    )


def revealed(config: BaseModel) -> dict[str, Any]:
    """Return a configuration with its secrets, as plain JSON values."""
    return {name: _plain(getattr(config, name)) for name in type(config).model_fields}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return list(value) if isinstance(value, tuple) else value


def masked(config: BaseModel) -> dict[str, Any]:
    """Return a configuration as it may be shown: of a secret URL its scheme and host, of another secret whether it is set."""
    return {name: _hidden(getattr(config, name)) for name in type(config).model_fields}


def _hidden(value: Any) -> Any:
    if not isinstance(value, SecretStr):
        return _plain(value)
    secret = value.get_secret_value()
    scheme, sign, rest = secret.partition("://")
    if not sign or scheme not in ("http", "https"):
        return f"{scheme}://{MASK}" if sign else (MASK if secret else "")
    host = rest.replace("?", "/").replace("#", "/").partition("/")[0].rpartition("@")[2]
    return f"{scheme}://{host}/{MASK}"


def _configs(settings: Settings) -> dict[str, BaseModel]:
    found = {}
    for kind, (first, names) in _OF_SETTINGS.items():
        if not _plain(getattr(settings, first)):
            continue
        values = {name: _plain(getattr(settings, one)) for name, one in names.items()}
        if kind == "email":
            values["to"] = tuple(part.strip() for part in settings.alert_email_to.split(",") if part.strip())
        try:
            found[kind] = CHANNELS[kind].config(**values)
        except ValidationError as error:
            raise ConfigError("\n".join(_explained(error, first, names))) from None
    return found


def _explained(error: ValidationError, first: str, names: Mapping[str, str]) -> Iterable[str]:
    for one in error.errors(include_input=False, include_context=False):
        field = str(one["loc"][0]) if one["loc"] else ""
        yield f"{variable(names.get(field, first))}: {one['msg']}"


def _channel(kind: str, settings: Settings) -> Channel:
    plain = Channel(
        channel_id=kind,
        name=f"{kind} (settings)",
        kind=kind,
        tenant="",
        least=settings.alert_min_level,
        rules=(),
        quiet=settings.alert_quiet_hours,
        after_s=0,
    )
    escalation = kind in settings.alert_escalation_channels.split(",")
    return replace(plain, least="critical", after_s=settings.alert_escalate_after_s) if escalation else plain
