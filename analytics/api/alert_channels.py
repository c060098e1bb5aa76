"""Channels: /api/alerts/channels: where notices go. Those of the settings are shown and tried here, not changed.

A channel's configuration is checked by its kind and stored sealed. Answers show it masked: of a webhook's URL scheme and host,
of a password that there is one. A change without `config` keeps the one held, so that nobody has to type a secret again.
A tenant's own administrator makes channels for that tenant alone, and to hosts of the public internet alone (alerts/reach).
Never: a secret in an answer, an audit row or an error.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from analytics.access.principal import Principal
from analytics.alerts import quiet, reach
from analytics.alerts.channels import CHANNELS
from analytics.alerts.desk import Desk
from analytics.api.alerting import Name, UseDesk, tenant_of, written
from analytics.api.auth import Admin, Analyst
from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.identifiers import time_id
from analytics.store import alert_settings, database
from analytics.types.alerts import Alert, Channel, Notice

router = APIRouter()
ChannelId = Annotated[str, Path(pattern=r"^([0-9a-f]{32}|email|slack|teams|webhook|apprise)$")]
Kind = Literal["email", "slack", "teams", "webhook", "apprise"]
Level = Literal["info", "warning", "critical"]


def _hours(value: str) -> str:
    return quiet.written(quiet.parse(value))


class ChannelSettings(BaseModel):
    """What a channel is told of, and when."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")] = Field(
        examples=["on call"]
    )
    least: Level = Field(default="warning", description="Least level it is told of.")
    rules: list[Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z_]+$")]] = Field(
        default=[], max_length=50, description="Rules it is told of; empty: all.", examples=[["security", "leak"]]
    )
    quiet_hours: Annotated[
        Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00]*$")], AfterValidator(_hours)
    ] = Field(default="", description="Told CRITICAL alone then.", examples=["22:00-07:00 Europe/Paris"])
    after_s: Annotated[int, Field(ge=0, le=7 * 86_400)] = Field(
        default=0,
        description="0: told at once. More: told only of CRITICAL alerts that nobody acknowledged in so many seconds.",
        examples=[900],
    )
    enabled: bool = True


class NewChannel(ChannelSettings):
    """A channel to be made."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    tenant: Name = Field(default="", description="Empty: the alerts of every tenant.", examples=["default"])
    config: dict[str, Any] = Field(
        description="What its kind needs: email to, sender, host, port, encryption, user, password; slack, teams, apprise "
        "url; webhook url, secret.",
        examples=[{"url": "https://hooks.example.com/douane", "secret": "whsec_..."}],
    )


class ChangedChannel(ChannelSettings):
    """A channel as it shall be. Without config the one held stays."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] | None = None


class ChannelBody(ChannelSettings):
    """A channel as it is held."""

    id: str = Field(examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    kind: Kind
    tenant: str = Field(examples=["default"])
    origin: Literal["settings", "api"] = Field(description="Those of the settings are changed there.")
    config: dict[str, Any] | None = Field(
        description="Masked; null when it was sealed with another key.",
        examples=[{"url": "https://hooks.slack.com/********"}],
    )


class ChannelList(BaseModel):
    """Every channel, those of the settings first."""

    channels: list[ChannelBody]


class Trial(BaseModel):
    """What became of a test."""

    result: Literal["ok", "retry", "failed"] = Field(description="retry: it did not work now, and may later.")
    detail: str = Field(description="The receiver's status or the error's name.", examples=["200"])


@router.get("/api/alerts/channels", responses=responses(403, 503))
def list_channels(context: Use, desk: UseDesk, who: Analyst) -> ChannelList:
    """Return the channels, masked; who is bound to a tenant sees that tenant's own."""
    with context.engine.connect() as connection:
        stored = alert_settings.channels(connection, who.tenant)
    everybodys = desk.roster.of_settings if who.tenant is None else ()
    return ChannelList(channels=[_body(one, desk) for one in (*everybodys, *stored)])


@router.post("/api/alerts/channels", status_code=201, responses=responses(403, 422, 503))
def create_channel(context: Use, desk: UseDesk, who: Admin, body: NewChannel) -> ChannelBody:
    """Make a channel. Its configuration is stored sealed."""
    tenant = tenant_of(who, body.tenant)
    config = _checked(body.kind, body.config, who)
    one = _channel(body, time_id(desk.now_unix_us), (body.kind, tenant, desk.roster.seal(config)))
    with database.writing(context.engine) as connection:
        alert_settings.write_channel(connection, one)
        shown = _body(one, desk)
        change = ("channel.create", one.channel_id, tenant)
        written(connection, who, desk.now_unix_us, change, after=shown.model_dump(mode="json"))
    return shown


@router.get("/api/alerts/channels/{channel_id}", responses=responses(403, 404, 422, 503))
def read_channel(context: Use, desk: UseDesk, who: Analyst, channel_id: ChannelId) -> ChannelBody:
    """Return one channel, masked."""
    return _body(_found(context, desk, who, channel_id), desk)


@router.put("/api/alerts/channels/{channel_id}", responses=responses(403, 404, 409, 422, 503))
def change_channel(context: Use, desk: UseDesk, who: Admin, channel_id: ChannelId, body: ChangedChannel) -> ChannelBody:
    """Change a channel; without `config` its configuration stays."""
    held = _changeable(context, desk, who, channel_id)
    sealed = held.sealed if body.config is None else desk.roster.seal(_checked(held.kind, body.config, who))
    one = _channel(body, channel_id, (held.kind, held.tenant, sealed))
    with database.writing(context.engine) as connection:
        alert_settings.write_channel(connection, one)
        before, after = _body(held, desk), _body(one, desk)
        states = {"before": before.model_dump(mode="json"), "after": after.model_dump(mode="json")}
        written(connection, who, desk.now_unix_us, ("channel.change", channel_id, held.tenant), **states)
    return after


@router.delete("/api/alerts/channels/{channel_id}", status_code=204, responses=responses(403, 404, 409, 422, 503))
def delete_channel(context: Use, desk: UseDesk, who: Admin, channel_id: ChannelId) -> Response:
    """Forget a channel; notices that wait for it are dropped."""
    held = _changeable(context, desk, who, channel_id)
    with database.writing(context.engine) as connection:
        alert_settings.delete_channel(connection, channel_id)
        before = _body(held, desk).model_dump(mode="json")
        written(connection, who, desk.now_unix_us, ("channel.delete", channel_id, held.tenant), before=before)
    return Response(status_code=204)


@router.post("/api/alerts/channels/{channel_id}/test", responses=responses(403, 404, 422, 503))
def try_channel(context: Use, desk: UseDesk, who: Admin, channel_id: ChannelId) -> Trial:
    """Send a notice of no alert to a channel now, once, and return what became of it."""
    held = _found(context, desk, who, channel_id)
    delivery = desk.roster.sender(held)(_example(desk, who, held.tenant))
    with database.writing(context.engine) as connection:
        after = {"result": delivery.result, "detail": delivery.detail}
        written(connection, who, desk.now_unix_us, ("channel.test", channel_id, held.tenant), after=after)
    return Trial(result=delivery.result, detail=delivery.detail)


def _found(context: Use, desk: Desk, who: Principal, channel_id: str) -> Channel:
    """Return a channel. Raises: ApiError when there is none that this principal may see."""
    with context.engine.connect() as connection:
        found = desk.roster.find(connection, channel_id)
    if found is None or not who.sees(found.tenant):
        raise ApiError(404, "no channel has this id", "channel_id")
    return found


def _changeable(context: Use, desk: Desk, who: Principal, channel_id: str) -> Channel:
    found = _found(context, desk, who, channel_id)
    if not found.sealed:
        raise ApiError(409, "this channel is one of the settings: change it there")
    return found


def _checked(kind: str, config: dict[str, Any], who: Principal) -> BaseModel:
    """Return a configuration. Raises: ApiError that names the field at fault and nothing of its content."""
    try:
        checked = CHANNELS[kind].config(**config)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        field = ".".join(("config", *(str(part) for part in first["loc"][:1])))
        raise ApiError(422, f"{field}: {first['msg']}", field) from None
    if who.tenant is not None and not reach.is_public(reach.host_of(checked)):
        raise ApiError(422, "config: a tenant's channel must lead to a host of the public internet", "config")
    return checked


def _channel(body: ChannelSettings, channel_id: str, held: tuple[str, str, str]) -> Channel:
    kind, tenant, sealed = held
    return Channel(
        channel_id=channel_id,
        name=body.name,
        kind=kind,
        tenant=tenant,
        least=body.least,
        rules=tuple(body.rules),
        quiet=body.quiet_hours,
        after_s=body.after_s,
        enabled=body.enabled,
        sealed=sealed,
    )


def _body(one: Channel, desk: Desk) -> ChannelBody:
    return ChannelBody(
        id=one.channel_id,
        name=one.name,
        kind=one.kind,  # type: ignore[arg-type] # a key of CHANNELS
        tenant=one.tenant,
        least=one.least,  # type: ignore[arg-type] # written by these endpoints
        rules=list(one.rules),
        quiet_hours=one.quiet,
        after_s=one.after_s,
        enabled=one.enabled,
        origin="api" if one.sealed else "settings",
        config=desk.roster.shown(one),
    )


def _example(desk: Desk, who: Principal, tenant: str) -> Notice:
    now = desk.now_unix_us
    alert = Alert(
        alert_id=time_id(now),
        tenant=tenant,
        rule="test",
        level="info",
        key="test",
        title="this channel works",
        text=f"{who.name} tries this channel. Nothing has happened.",
        count=1,
        first_unix_us=now,
        last_unix_us=now,
        opened_unix_us=now,
        touched_unix_us=now,
    )
    return Notice(time_id(now), "test", alert)
