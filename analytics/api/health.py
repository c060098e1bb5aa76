"""GET /api/health and /api/ready: whether the service can do its work, for people and for probes.

In: nothing. Out: the state; 503 when the database cannot be reached or is not migrated. Never: a login, what a tenant stored.
"""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from analytics.api.context import Context, Use
from analytics.store import database, records

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok", "unavailable"] = Field(description="ok: it can do its work.", examples=["ok"])
    version: str = Field(description="The version of the program.", examples=["0.1.0"])
    database: Literal["sqlite", "postgresql"] = Field(description="Its database.", examples=["sqlite"])
    database_reachable: bool = Field(description="Whether the database answers.", examples=[True])
    schema_revision: str | None = Field(description="Null before the first migration.", examples=["0001"])
    schema_current: bool = Field(
        description="Whether the schema is at the revision this version needs.", examples=[True]
    )
    last_record_at: datetime | None = Field(
        description="When the newest exchange held began.", examples=["2026-11-18T11:06:41.9Z"]
    )
    last_record_age_s: float | None = Field(description="Seconds since then.", examples=[1.5])


class Ready(BaseModel):
    """Whether requests may be sent here."""

    status: Literal["ready", "unavailable"] = Field(description="ready: they may.", examples=["ready"])


@router.get(
    "/api/health",
    summary="State of the service",
    responses={503: {"model": Health, "description": "Not able to work"}},
)
def health(context: Use, response: Response) -> Health:
    """Tell whether the database is reachable, at which schema, and how old the newest record is."""
    try:
        state = _state(context)
    except SQLAlchemyError:
        state = _described(context, reachable=False, revision=None, newest_unix_us=None)
    if state.status != "ok":
        response.status_code = 503
    return state


@router.get(
    "/api/ready",
    summary="Whether requests may be sent here",
    responses={503: {"model": Ready, "description": "Not able to work"}},
)
def ready(context: Use, response: Response) -> Ready:
    """Tell a probe whether the database is reachable and at the schema that this version needs."""
    try:
        with context.engine.connect() as connection:
            current = database.revision(connection) == database.newest_revision()
    except SQLAlchemyError:
        current = False
    if not current:
        response.status_code = 503
    return Ready(status="ready" if current else "unavailable")


def _state(context: Context) -> Health:
    with context.engine.connect() as connection:
        revision = database.revision(connection)
        newest = records.last_started_unix_us(connection) if revision else None
    return _described(context, reachable=True, revision=revision, newest_unix_us=newest)


def _described(context: Context, *, reachable: bool, revision: str | None, newest_unix_us: int | None) -> Health:
    current = reachable and revision == database.newest_revision()
    newest_s = None if newest_unix_us is None else newest_unix_us / 1e6
    return Health(
        status="ok" if current else "unavailable",
        version=version("douane"),
        database="postgresql" if context.engine.dialect.name == "postgresql" else "sqlite",
        database_reachable=reachable,
        schema_revision=revision,
        schema_current=current,
        last_record_at=None if newest_s is None else datetime.fromtimestamp(newest_s, UTC),
        last_record_age_s=None if newest_s is None else round(context.clock() - newest_s, 3),
    )
