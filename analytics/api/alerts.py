"""GET /api/alerts and what can be done with one: look, acknowledge, resolve; and the notices that told of it.

Pages follow each other by the id of the last alert shown: ids sort by when an alert was opened. Silences and channels have files
of their own and stand under /api/alerts too.
Never: a channel's secret; another tenant's alert.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from analytics.access.principal import Principal
from analytics.alerts.desk import Desk
from analytics.alerts.wanted import silenced
from analytics.api import alert_channels, alert_silences
from analytics.api.alerting import ID, Id, Name, UseDesk, Words, maybe, moment, unix_us, written
from analytics.api.auth import Analyst, Viewer
from analytics.api.context import Context, Use
from analytics.api.errors import ApiError, responses
from analytics.api.windows import Moment
from analytics.store import alert_settings, alerts, database, outbox
from analytics.types.alerts import Alert, Outgoing, Silence

router = APIRouter(tags=["alerts"])
router.include_router(alert_channels.router)  # before /api/alerts/{alert_id}, which would take their paths
router.include_router(alert_silences.router)

Level = Literal["info", "warning", "critical"]
State = Literal["open", "acknowledged", "resolved"]
DeliveryState = Literal["pending", "delivered", "failed", "dropped"]
_EXAMPLE_ID = "0199d1c2a4b07c3e8f2a6b1d4e5f6071"


class Fact(BaseModel):
    """Something worth knowing beside the text."""

    label: str = Field(examples=["Action"])
    value: str = Field(examples=["deny"])


class DeliveryBody(BaseModel):
    """One notice to one channel."""

    id: str = Field(description="The same in every attempt; receivers get it as webhook-id.", examples=[_EXAMPLE_ID])
    alert_id: str = Field(examples=[_EXAMPLE_ID])
    channel_id: str = Field(examples=["slack"])
    kind: Literal["opened", "raised", "repeated", "escalated", "resolved"]
    state: DeliveryState = Field(description="failed: given up, a dead letter; dropped: no longer wanted.")
    attempts: int = Field(examples=[1])
    created_at: datetime
    due_at: datetime = Field(description="When it is tried, or was.")
    finished_at: datetime | None
    detail: str = Field(description="The receiver's status or the error's name.", examples=["200"])


class AlertBody(BaseModel):
    """One alert as it stands."""

    id: str = Field(examples=[_EXAMPLE_ID])
    tenant: str = Field(description="Empty: it concerns the whole installation.", examples=["default"])
    rule: str = Field(examples=["security"])
    level: Level
    state: State
    title: str = Field(examples=["prompt injection by alice was denied"])
    text: str = Field(examples=["The exchange scored 17.5 (critical)."])
    count: int = Field(description="How many times it was seen.", examples=[3])
    first_seen_at: datetime
    last_seen_at: datetime
    opened_at: datetime
    notified_at: datetime | None = Field(description="When somebody was told last; null while it is silenced.")
    user: str = Field(examples=["alice"])
    model: str = Field(examples=["gpt-4o"])
    endpoint: str = Field(examples=["/v1/chat/completions"])
    score: float | None = Field(description="Risk score, or seconds of a slow call.", examples=[17.5])
    facts: list[Fact]
    decision_ids: list[str] = Field(description="The exchanges seen last, newest first.", examples=[[_EXAMPLE_ID]])
    acknowledged_at: datetime | None
    acknowledged_by: str = Field(examples=[""])
    resolved_at: datetime | None
    resolved_by: str = Field(description="A name; recovery or silence where it ended by itself.", examples=[""])
    note: str = Field(examples=[""])
    silenced_until: datetime | None = Field(description="When the silence that covers it ends.")


class AlertDetail(AlertBody):
    """One alert with the notices that told of it, oldest first."""

    deliveries: list[DeliveryBody]


class AlertPage(BaseModel):
    """One page of alerts, newest first."""

    alerts: list[AlertBody]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class DeliveryPage(BaseModel):
    """One page of notices, newest first."""

    deliveries: list[DeliveryBody]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class Note(BaseModel):
    """Why, in a person's words."""

    model_config = ConfigDict(extra="forbid")

    note: Words = Field(default="", examples=["Called alice; it was a test."])


class Narrowing(BaseModel):
    """The query of a page."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid")

    state: State | None = None
    level: Level | None = None
    rule: Name | None = Field(default=None, examples=["security"])
    user: Name | None = None
    model: Name | None = None
    from_: Moment | None = Field(default=None, alias="from", description="First moment, RFC 3339 with zone.")
    to: Moment | None = Field(default=None, description="First moment no longer asked for.")
    limit: Annotated[int, Field(ge=1, le=1_000)] = 50
    cursor: Annotated[str | None, Field(pattern=ID, description="The previous page's next_cursor.")] = None

    def filter(self) -> alerts.Filter:
        """Return the store's words for it."""
        equal = {name: getattr(self, name) for name in ("level", "rule", "user", "model")}
        named = {name: value for name, value in equal.items() if value is not None}
        return alerts.Filter(named, self.state, unix_us(self.from_), unix_us(self.to))


@router.get("/api/alerts", responses=responses(422, 503))
def list_alerts(context: Use, desk: UseDesk, who: Viewer, query: Annotated[Narrowing, Query()]) -> AlertPage:
    """Return a page of alerts, newest first."""
    with context.engine.connect() as connection:
        found = alerts.page(connection, query.filter(), who.tenant, query.limit + 1, query.cursor)
        silences = alert_settings.active(connection, desk.now_unix_us)
    shown = found[: query.limit]
    return AlertPage(
        alerts=[AlertBody(**_fields(one, silences, desk.now_unix_us)) for one in shown],
        next_cursor=shown[-1].alert_id if len(found) > query.limit else None,
    )


@router.get("/api/alerts/deliveries", responses=responses(422, 503))
def list_deliveries(
    context: Use,
    who: Viewer,
    state: Annotated[DeliveryState | None, Query(description="failed: the dead letters.")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
    cursor: Annotated[str | None, Query(pattern=ID, description="The previous page's next_cursor.")] = None,
) -> DeliveryPage:
    """Return a page of notices, newest first: what waits, what was told, what was given up."""
    with context.engine.connect() as connection:
        found = outbox.page(connection, state, who.tenant, limit + 1, cursor)
    shown = [_delivery(one) for one in found[:limit]]
    return DeliveryPage(deliveries=shown, next_cursor=shown[-1].id if len(found) > limit else None)


@router.post("/api/alerts/deliveries/{delivery_id}/retry", responses=responses(403, 404, 409, 422, 503))
def retry_delivery(context: Use, desk: UseDesk, who: Analyst, delivery_id: Id) -> DeliveryBody:
    """Try a notice again that was given up."""
    with database.writing(context.engine) as connection:
        if outbox.read(connection, delivery_id, who.tenant) is None:
            raise ApiError(404, "no notice has this id", "delivery_id")
        if not outbox.again(connection, delivery_id, desk.now_unix_us):
            raise ApiError(409, "it was not given up: only notices with the state failed are tried again")
        after = outbox.read(connection, delivery_id, who.tenant)
        assert after is not None  # noqa: S101 - it was there in this transaction
        written(connection, who, desk.now_unix_us, ("delivery.retry", delivery_id, after.tenant))
    desk.wake()
    return _delivery(after)


@router.get("/api/alerts/{alert_id}", responses=responses(404, 422, 503))
def read_alert(context: Use, desk: UseDesk, who: Viewer, alert_id: Id) -> AlertDetail:
    """Return one alert whole, with the notices that told of it."""
    with context.engine.connect() as connection:
        held = alerts.read(connection, alert_id, who.tenant)
        if held is None:
            raise ApiError(404, "no alert has this id", "alert_id")
        notices = outbox.of_alert(connection, alert_id)
        silences = alert_settings.active(connection, desk.now_unix_us)
    fields = _fields(held, silences, desk.now_unix_us)
    return AlertDetail(**fields, deliveries=[_delivery(one) for one in notices])


@router.post("/api/alerts/{alert_id}/ack", responses=responses(403, 404, 409, 422, 503))
def acknowledge_alert(context: Use, desk: UseDesk, who: Analyst, alert_id: Id, body: Note | None = None) -> AlertBody:
    """Say that somebody looks after an alert: it is not told again, and not escalated."""
    return _changed(context, desk, who, (alert_id, "acknowledge", (body or Note()).note))


@router.post("/api/alerts/{alert_id}/resolve", responses=responses(403, 404, 409, 422, 503))
def resolve_alert(context: Use, desk: UseDesk, who: Analyst, alert_id: Id, body: Note | None = None) -> AlertBody:
    """Say that an alert is over; whoever was told of it is told so."""
    return _changed(context, desk, who, (alert_id, "resolve", (body or Note()).note))


def _changed(context: Context, desk: Desk, who: Principal, change: tuple[str, str, str]) -> AlertBody:
    alert_id, verb, note = change
    with database.writing(context.engine) as connection:
        held = alerts.read(connection, alert_id, who.tenant)
        if held is None:
            raise ApiError(404, "no alert has this id", "alert_id")
        if held.state == "resolved":
            raise ApiError(409, "the alert is resolved")
        done = desk.acknowledge if verb == "acknowledge" else desk.resolve
        after = done(connection, held, who.name, note)
        states = {"before": {"state": held.state}, "after": {"state": after.state, "note": note}}
        written(connection, who, desk.now_unix_us, (f"alert.{verb}", alert_id, held.tenant), **states)
        silences = alert_settings.active(connection, desk.now_unix_us)
    desk.wake()
    return AlertBody(**_fields(after, silences, desk.now_unix_us))


def _fields(alert: Alert, silences: list[Silence], now_unix_us: int) -> dict[str, Any]:
    covering = silenced(alert, silences, now_unix_us)
    plain = ("tenant", "rule", "level", "state", "title", "text", "count", "user", "model", "endpoint", "score")
    return {name: getattr(alert, name) for name in (*plain, "acknowledged_by", "resolved_by", "note")} | {
        "id": alert.alert_id,
        "first_seen_at": moment(alert.first_unix_us),
        "last_seen_at": moment(alert.last_unix_us),
        "opened_at": moment(alert.opened_unix_us),
        "notified_at": maybe(alert.notified_unix_us),
        "facts": [Fact(label=label, value=value) for label, value in alert.facts],
        "decision_ids": list(alert.decisions),
        "acknowledged_at": maybe(alert.acknowledged_unix_us),
        "resolved_at": maybe(alert.resolved_unix_us),
        "silenced_until": None if covering is None else moment(covering.ends_unix_us),
    }


def _delivery(one: Outgoing) -> DeliveryBody:
    plain = {name: getattr(one, name) for name in ("alert_id", "channel_id", "kind", "state", "attempts", "detail")}
    return DeliveryBody(
        id=one.delivery_id,
        **plain,
        created_at=moment(one.created_unix_us),
        due_at=moment(one.due_unix_us),
        finished_at=maybe(one.finished_unix_us),
    )
