"""Silences: /api/alerts/silences: alerts that nobody is told of for a while, by whom and why.

A silence that has begun is ended, never changed: what was silent when stays readable.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from analytics.api.alerting import ID, Id, Name, UseDesk, Words, moment, tenant_of, unix_us, written
from analytics.api.auth import Analyst, Viewer
from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.api.windows import Moment
from analytics.identifiers import time_id
from analytics.store import alert_settings, database
from analytics.types import DAY_S
from analytics.types.alerts import Silence

router = APIRouter()
# A silence that is forgotten hides what it was not meant for.
LONGEST_DAYS = 30


class Matcher(BaseModel):
    """Which alerts a silence covers. What is left out or empty matches everything."""

    tenant: Name = Field(default="", examples=["default"])
    rule: Name = Field(default="", examples=["latency_drift"])
    user: Name = Field(default="", examples=[""])
    model: Name = Field(default="", examples=["gpt-4o"])
    level: Literal["", "info", "warning", "critical"] = Field(default="", description="This level and less.")


class NewSilence(Matcher):
    """A silence to be made."""

    model_config = ConfigDict(extra="forbid")

    starts_at: Moment | None = Field(default=None, description="Now when left out.")
    ends_at: Moment = Field(
        description=f"At most {LONGEST_DAYS} days after it begins.", examples=["2026-11-25T18:00:00Z"]
    )
    why: Words = Field(min_length=1, examples=["gpt-4o is moved to another region until six."])


class SilenceBody(Matcher):
    """A silence as it is held."""

    id: str = Field(examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    starts_at: datetime
    ends_at: datetime
    created_by: str = Field(examples=["bob"])
    why: str = Field(examples=["gpt-4o is moved to another region until six."])
    active: bool = Field(description="Whether it is in force now.")


class SilencePage(BaseModel):
    """One page of silences, newest first."""

    silences: list[SilenceBody]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


@router.get("/api/alerts/silences", responses=responses(422, 503))
def list_silences(
    context: Use,
    desk: UseDesk,
    who: Viewer,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
    cursor: Annotated[str | None, Query(pattern=ID, description="The previous page's next_cursor.")] = None,
) -> SilencePage:
    """Return a page of silences, newest first, those that are over too."""
    with context.engine.connect() as connection:
        found = alert_settings.silences(connection, who.tenant, limit + 1, cursor)
    shown = [_body(one, desk.now_unix_us) for one in found[:limit]]
    return SilencePage(silences=shown, next_cursor=shown[-1].id if len(found) > limit else None)


@router.post("/api/alerts/silences", status_code=201, responses=responses(403, 422, 503))
def create_silence(context: Use, desk: UseDesk, who: Analyst, body: NewSilence) -> SilenceBody:
    """Let nobody be told of some alerts for a while; they are kept all the same."""
    now = desk.now_unix_us
    one = _silence(body, tenant_of(who, body.tenant), who.name, now)
    with database.writing(context.engine) as connection:
        alert_settings.add_silence(connection, one)
        after = body.model_dump(mode="json") | {"tenant": one.tenant}
        written(connection, who, now, ("silence.create", one.silence_id, one.tenant), after=after)
    return _body(one, now)


@router.delete("/api/alerts/silences/{silence_id}", responses=responses(403, 404, 422, 503))
def end_silence(context: Use, desk: UseDesk, who: Analyst, silence_id: Id) -> SilenceBody:
    """Let a silence end now; one that is over stays as it is."""
    now = desk.now_unix_us
    with database.writing(context.engine) as connection:
        before = alert_settings.silence(connection, silence_id, who.tenant)
        if before is None:
            raise ApiError(404, "no silence has this id", "silence_id")
        alert_settings.end_silence(connection, silence_id, now)
        after = alert_settings.silence(connection, silence_id, who.tenant)
        assert after is not None  # noqa: S101 - it was there in this transaction
        states = {"before": {"ends_unix_us": before.ends_unix_us}, "after": {"ends_unix_us": after.ends_unix_us}}
        written(connection, who, now, ("silence.end", silence_id, before.tenant), **states)
    return _body(after, now)


def _silence(body: NewSilence, tenant: str, name: str, now_unix_us: int) -> Silence:
    """Return a new silence. Raises: ApiError where it ends before it begins, or much later."""
    starts, ends = unix_us(body.starts_at) or now_unix_us, unix_us(body.ends_at) or 0
    if not max(starts, now_unix_us) < ends <= starts + LONGEST_DAYS * DAY_S * 1_000_000:
        raise ApiError(
            422, f"ends_at: it must lie ahead, after starts_at, and within {LONGEST_DAYS} days of it", "ends_at"
        )
    return Silence(
        silence_id=time_id(now_unix_us),
        tenant=tenant,
        rule=body.rule,
        user=body.user,
        model=body.model,
        level=body.level,
        starts_unix_us=starts,
        ends_unix_us=ends,
        created_by=name,
        why=body.why,
    )


def _body(one: Silence, now_unix_us: int) -> SilenceBody:
    return SilenceBody(
        id=one.silence_id,
        tenant=one.tenant,
        rule=one.rule,
        user=one.user,
        model=one.model,
        level=one.level,  # type: ignore[arg-type] # written by create_silence
        starts_at=moment(one.starts_unix_us),
        ends_at=moment(one.ends_unix_us),
        created_by=one.created_by,
        why=one.why,
        active=one.starts_unix_us <= now_unix_us < one.ends_unix_us,
    )
