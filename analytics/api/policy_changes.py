"""Changes of policies: a new version, one put in force, the one before put back, none in force any more.

In: documents in YAML or JSON, turns. Out: what is in force then; each change with its audit row, told to sidecars within a second.
Changes name the state they were made on (If-Match, or expected_version / expected_active): another one answers 409.
Never: a change of a version; a change of the policy for all tenants (*) by somebody who sees one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi import Body as JsonBody
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from analytics.api.auth import Admin
from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.api.policies import MAX_NUMBER, detail, etag, held, one_version, visible
from analytics.api.policy_bodies import BODY, Body, HeadDetail, Tenant
from analytics.control import policies as documents
from analytics.store import audit, database, policies
from analytics.types.control import Activation, PolicyHead, PolicyVersion

router = APIRouter(tags=["policies"])
_STATUSES = responses(401, 403, 404, 409, 422, 503)
# How far back the version before is looked for.
_TURNS = 1_000


class Adding(BaseModel):
    """How a version is added."""

    note: str = Field(default="", max_length=1_000, description="Why.", examples=["deny earlier"])
    activate: bool = Field(default=False, description="Put it in force at once.")
    expected_version: int | None = Field(
        default=None,
        ge=0,
        le=MAX_NUMBER,
        description="The latest version that is known; 0: none yet. Another one: 409.",
    )


class Turning(BaseModel):
    """How a policy in force is changed for another version."""

    note: str = Field(default="", max_length=1_000, description="Why.", examples=["after the incident of Tuesday"])
    expected_active: int | None = Field(
        default=None, ge=0, le=MAX_NUMBER, description="The version that is in force; 0: none. Another one: 409."
    )


class Activating(Turning):
    """Which version is put in force."""

    version: int = Field(ge=1, le=MAX_NUMBER, examples=[3])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every change comes with: where, who, whose policy, on which state."""

    context: Use
    who: Admin
    tenant: Tenant
    response: Response
    if_match: Annotated[str | None, Header(description="The ETag of the state that the change was made on.")] = None


Asked = Annotated[_Asked, Depends(_Asked)]
Choose = Callable[[Connection, PolicyHead], int | None]


@router.put("/api/policies/{tenant}", status_code=201, responses=responses(403, 409, 413, 422, 503), openapi_extra=BODY)
def added(asked: Asked, given: Body, how: Annotated[Adding, Query()]) -> HeadDetail:
    """Store a new version of a policy; put it in force with activate=true."""
    visible(asked.who, asked.tenant, change=True)
    if given is None:
        raise ApiError(422, "the body holds no policy")
    with database.writing(asked.context.engine) as connection:
        head = policies.head(connection, asked.tenant)
        _expect(asked, head)
        latest = 0 if head is None else head.latest
        if how.expected_version not in (None, latest):
            raise ApiError(409, f"the latest version is {latest}", "expected_version")
        new = PolicyVersion(
            tenant=asked.tenant,
            number=latest + 1,
            digest=documents.digest(given.text),
            text=given.text,
            document=given.document,
            note=how.note,
            author=asked.who.name,
            created_unix_us=_now_unix_us(asked),
        )
        policies.add(connection, new)
        _audit(connection, asked, "policy.add", {"version": new.number, "digest": new.digest, "note": new.note})
        if how.activate:
            _turn(connection, asked, "activate", new.number, how.note)
        answer = _answer(connection, asked)
    asked.context.steered()
    return answer


@router.post("/api/policies/{tenant}/activate", responses=_STATUSES)
def activated(asked: Asked, how: Activating) -> HeadDetail:
    """Put a version in force. Sidecars have it within a second."""

    def number(connection: Connection, _head: PolicyHead) -> int:
        return one_version(connection, asked.tenant, how.version).number

    return _turned(asked, how, "activate", number)


@router.post("/api/policies/{tenant}/rollback", responses=_STATUSES)
def rolled_back(asked: Asked, how: Annotated[Turning, JsonBody(default_factory=Turning)]) -> HeadDetail:
    """Put back what was in force before the version that is now; again: what was in force before that."""

    return _turned(asked, how, "rollback", _before)


@router.delete("/api/policies/{tenant}", responses=_STATUSES)
def withdrawn(asked: Asked, how: Annotated[Turning, Query()]) -> HeadDetail:
    """Take a policy out of force: sidecars go by the one for all tenants, else by their own file. Versions are kept."""
    return _turned(asked, how, "withdraw", lambda _connection, _head: None)


def _turned(asked: _Asked, how: Turning, kind: str, choose: Choose) -> HeadDetail:
    """Put in force what `choose` returns for the head that is held."""
    visible(asked.who, asked.tenant, change=True)
    with database.writing(asked.context.engine) as connection:
        head = held(connection, asked.tenant)
        _expect(asked, head)
        if how.expected_active not in (None, head.active or 0):
            raise ApiError(409, f"version {head.active or 0} is in force", "expected_active")
        _turn(connection, asked, kind, choose(connection, head), how.note)
        answer = _answer(connection, asked)
    asked.context.steered()
    return answer


def _before(connection: Connection, head: PolicyHead) -> int | None:
    """Return what was in force before the turn that a roll-back takes back; None for none.

    A roll-back is no turn of its own: after 1, 2, 3 the first leads to 2, the second to 1. Raises: ApiError 409.
    """
    stack: list[int | None] = []
    for turn in reversed(policies.activations(connection, head.tenant, _TURNS)):
        if turn.kind != "rollback":
            stack.append(turn.number)
        elif len(stack) > 1:
            stack.pop()
    if len(stack) < 2:
        raise ApiError(409, "nothing was in force before")
    return stack[-2]


def _expect(asked: _Asked, head: PolicyHead | None) -> None:
    if asked.if_match not in (None, "*", etag(head)):
        raise ApiError(409, f"it was changed meanwhile: it is {etag(head)} now", "If-Match")


def _turn(connection: Connection, asked: _Asked, kind: str, number: int | None, note: str) -> None:
    turn = Activation(asked.tenant, 0, kind, number, asked.who.name, note, _now_unix_us(asked))
    head = held(connection, asked.tenant)
    policies.activate(connection, turn)
    _audit(connection, asked, f"policy.{kind}", {"active": number, "note": note}, {"active": head.active})


def _audit(
    connection: Connection, asked: _Asked, action: str, after: dict[str, Any], before: dict[str, Any] | None = None
) -> None:
    tenant = asked.tenant
    entry = audit.Entry(_now_unix_us(asked), asked.who.name, action, f"policy {tenant}", tenant, before, after)
    audit.add(connection, entry)


def _answer(connection: Connection, asked: _Asked) -> HeadDetail:
    head = held(connection, asked.tenant)
    asked.response.headers["etag"] = etag(head)
    return detail(connection, head, asked.context)


def _now_unix_us(asked: _Asked) -> int:
    return round(asked.context.clock() * 1e6)
