"""Trying a policy before it is in force: is it one, and what would it have done with the records of a window.

In: a document, or the number of a stored version. Out: every problem of it; counts by action, as recorded, by the policy in
force and by the one tried, and records on which these two differ.
Never: a change of anything; more records than LIMIT, newest first; a tenant's records to another one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from analytics.api.auth import Analyst, Viewer
from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.api.policies import MAX_NUMBER, one_version, visible
from analytics.api.policy_bodies import BODY, Body, Given, Tenant, moment
from analytics.api.windows import Asked, Span, WindowBody
from analytics.control import dry_run
from analytics.control import policies as documents
from analytics.control.policies import Document
from analytics.store import policies, search
from analytics.types import DecisionRow
from analytics.types.control import EVERY_TENANT, PolicyVersion

router = APIRouter(tags=["policies"])
# Judging a record takes some 15 us, reading it 40: a second and a half for all of them.
LIMIT = 20_000
_PAGE = 1_000
_OPTIONAL: dict[str, Any] = {"requestBody": BODY["requestBody"] | {"required": False}}


class Valid(BaseModel):
    """A document that may be in force."""

    valid: bool = Field(examples=[True])
    digest: str = Field(description="What records would carry as policy_version.", examples=["9f86d081884c"])
    document: dict[str, Any]


class Sides(BaseModel):
    """A record on which two policies differ."""

    decision_id: str
    started_at: datetime
    tenant: str
    user: str
    model: str
    score: float
    recorded: str = Field(description="What happened to the request.", examples=["allow"])
    before: str = Field(description="What the policy in force says of it.", examples=["allow"])
    after: str = Field(description="What the policy tried says of it.", examples=["deny"])
    before_reason: str
    after_reason: str = Field(examples=["score 12.5 reaches deny_score 12"])


class Turned(BaseModel):
    """How many requests would have met another end."""

    before: str
    after: str
    count: int


class DryRun(BaseModel):
    """What came of trying a policy."""

    window: WindowBody
    records: int = Field(description="Records that were judged.")
    truncated: bool = Field(description="True when the window holds more: the newest were judged.")
    compared_with: int | None = Field(description="The version in force; null: the sidecars' defaults.")
    recorded: dict[str, int] = Field(description="What happened, by action.")
    before: dict[str, int] = Field(description="By the policy in force.")
    after: dict[str, int] = Field(description="By the policy tried.")
    changes: list[Turned]
    examples: list[Sides]
    not_told: list[str] = Field(description="What records do not tell, and so is not judged.")


@router.get("/api/policy-schema", responses=responses(422))
def schema(who: Viewer) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a policy."""
    del who
    return dict(documents.schema())


@router.post("/api/policies/{tenant}/validate", responses=responses(404, 413, 422, 503), openapi_extra=BODY)
def validated(who: Analyst, tenant: Tenant, given: Body) -> Valid:
    """Tell whether a document may be in force; 422 names each place at fault."""
    visible(who, tenant)
    if given is None:
        raise ApiError(422, "the body holds no policy")
    return Valid(valid=True, digest=documents.digest(given.text), document=given.document)


class Trying(BaseModel):
    """What is tried, on how many records."""

    version: int | None = Field(default=None, ge=1, le=MAX_NUMBER, description="A stored version; unset: the body.")
    limit: int = Field(default=5_000, ge=1, le=LIMIT, description="Records judged at most, newest first.")
    examples: int = Field(default=20, ge=0, le=dry_run.EXAMPLES_MAX)


@dataclass(frozen=True, slots=True)
class _Question:
    context: Use
    who: Analyst
    tenant: Tenant
    span: Asked


@router.post("/api/policies/{tenant}/dry-run", responses=responses(404, 413, 422, 503), openapi_extra=_OPTIONAL)
def tried(question: Annotated[_Question, Depends(_Question)], how: Annotated[Trying, Query()], given: Body) -> DryRun:
    """Return what a policy would have changed for the records of a window."""
    visible(question.who, question.tenant)
    now_unix_us = round(question.context.clock() * 1e6)
    with question.context.engine.connect() as connection:
        after = dry_run.prepare(_tried(connection, question.tenant, how, given), now_unix_us)
        head = _in_force(connection, question.tenant)
        before = dry_run.prepare({} if head is None else dict(head.document), now_unix_us)
        rows = _rows(connection, question)
        found = dry_run.compare(islice(rows, how.limit), before, after, how.examples)
        truncated = next(rows, None) is not None
    return _answer(question.span, found, None if head is None else head.number, truncated)


def _tried(connection: Connection, tenant: str, how: Trying, given: Given | None) -> Document:
    if (how.version is None) == (given is None):
        raise ApiError(422, "give either a policy in the body, or version", "version")
    return given.document if given is not None else dict(one_version(connection, tenant, how.version or 0).document)


def _in_force(connection: Connection, tenant: str) -> PolicyVersion | None:
    """Return the version that a tenant's requests are judged by: its own, else the one for all."""
    active = {head.tenant: version for head, version in policies.active(connection) if version is not None}
    return active.get(tenant) or active.get(EVERY_TENANT)


def _rows(connection: Connection, question: _Question) -> Iterator[DecisionRow]:
    """Yield the records of a window that a tenant's policy is about, newest first; for * those of tenants without one."""
    own = {head.tenant for head in policies.heads(connection) if head.active is not None}
    all_of = question.tenant == EVERY_TENANT
    seen = question.who.tenant if all_of else question.tenant
    window = question.span.window
    asked = search.Filter(
        tenant=seen,
        from_unix_us=window.start_unix_s * 1_000_000,
        to_unix_us=window.end_unix_s * 1_000_000,
    )
    page = search.page(connection, asked, _PAGE)
    yield from (row for row in page.rows if not all_of or row.tenant not in own)
    while page.after is not None:
        page = search.page(connection, asked, _PAGE, page.after)
        yield from (row for row in page.rows if not all_of or row.tenant not in own)


def _answer(span: Span, found: dry_run.Outcome, compared_with: int | None, truncated: bool) -> DryRun:
    return DryRun(
        window=span.body,
        records=found.records,
        truncated=truncated,
        compared_with=compared_with,
        recorded=dict(found.recorded),
        before=dict(found.before),
        after=dict(found.after),
        changes=[Turned(before=one, after=other, count=count) for (one, other), count in sorted(found.changes.items())],
        examples=[_sides(one) for one in found.differing],
        not_told=list(dry_run.NOT_TOLD),
    )


def _sides(one: dry_run.Differs) -> Sides:
    names = ("decision_id", "tenant", "user", "model", "score")
    return Sides(
        **{name: getattr(one.row, name) for name in names},
        started_at=moment(one.row.started_unix_us),
        recorded=one.row.applied,
        before=one.before.applied,
        after=one.after.applied,
        before_reason=one.before.reason,
        after_reason=one.after.reason,
    )
