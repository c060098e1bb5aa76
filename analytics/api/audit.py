"""GET /api/audit: who changed what and when, newest first. The trail is written by what changes things, and by nobody else.

Pages follow each other by the id of the last entry shown: ids sort by time.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from analytics.api.auth import Admin
from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.store import audit

router = APIRouter(tags=["access"])
_ID = r"^[0-9a-f]{32}$"


class EntryBody(BaseModel):
    """One change."""

    audit_id: str = Field(examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    at: datetime
    actor: str = Field(description="Who did it: an account, token:NAME, local, cli:USER.", examples=["alice"])
    action: str = Field(examples=["token.revoke"])
    subject: str = Field(description="What was changed.", examples=["0199d1c2a4b07c3e"])
    tenant: str | None = Field(description="null: the whole installation's.", examples=["acme"])
    before: dict[str, Any] | None = Field(description="As it was, without secrets.", examples=[{"role": "viewer"}])
    after: dict[str, Any] | None = Field(examples=[{"role": "analyst"}])


class Trail(BaseModel):
    """One page of the trail, newest first."""

    entries: list[EntryBody]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class Narrowing(BaseModel):
    """The query of a page."""

    model_config = ConfigDict(extra="forbid")

    actor: str | None = Field(default=None, max_length=256, examples=["alice"])
    action: str | None = Field(default=None, max_length=256, examples=["token.revoke"])
    subject: str | None = Field(default=None, max_length=1_024)
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100
    cursor: Annotated[str | None, Field(pattern=_ID, description="The previous page's next_cursor.")] = None


@router.get("/api/audit", responses=responses(401, 403, 422, 503))
def read_audit(context: Use, who: Admin, query: Annotated[Narrowing, Query()]) -> Trail:
    """Return a page of the audit trail."""
    wanted = {name: getattr(query, name) for name in ("actor", "action", "subject")}
    equal = {name: value.replace("\x00", "\ufffd") for name, value in wanted.items() if value is not None}
    with context.engine.connect() as connection:
        found = audit.page(connection, who.tenant, query.limit + 1, query.cursor, equal)
    shown = found[: query.limit]
    return Trail(
        entries=[_body(audit_id, entry) for audit_id, entry in shown],
        next_cursor=shown[-1][0] if len(found) > query.limit else None,
    )


def _body(audit_id: str, entry: audit.Entry) -> EntryBody:
    return EntryBody(
        audit_id=audit_id,
        at=datetime.fromtimestamp(entry.at_unix_us / 1e6, UTC),
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        tenant=entry.tenant or None,
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
    )
