"""/api/policies: a policy for each tenant, in versions that never change, one of them in force.

In: questions. Out: versions, what is in force and in which sidecars, history, differences. policy_changes.py changes them,
policy_trials.py tries them. The policy of the tenant * is for all tenants without one of their own; everybody may read it.
Never: a tenant's policy to another one (404, as if there were none).
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from analytics.access.principal import Principal
from analytics.api.auth import Viewer
from analytics.api.context import Context, Use
from analytics.api.errors import ApiError, responses
from analytics.api.policy_bodies import (
    Change,
    Diff,
    Head,
    HeadDetail,
    Refusal,
    Rollout,
    Tenant,
    Turn,
    Version,
    VersionDetail,
    moment,
    version_fields,
)
from analytics.control.differences import differences, unified
from analytics.store import policies, sidecars
from analytics.types.control import EVERY_TENANT, PolicyHead, PolicyVersion

router = APIRouter(tags=["policies"])
SEEN_US = 60_000_000  # twice what a live sidecar is noted (control/serve.TOUCH_EVERY_S)
_SIDECARS, _REFUSALS = 10_000, 100
MAX_NUMBER = 2**31 - 1
Number = Annotated[int, Query(ge=1, le=MAX_NUMBER)]
PathNumber = Annotated[int, Path(ge=1, le=MAX_NUMBER)]
Limit = Annotated[int, Query(ge=1, le=1_000)]


class PolicyList(BaseModel):
    """Every tenant's policy."""

    policies: list[Head]


class VersionPage(BaseModel):
    """Versions, newest first."""

    versions: list[Version]
    next_cursor: str | None


class History(BaseModel):
    """What was in force when, newest first."""

    turns: list[Turn]


def visible(who: Principal, tenant: str, *, change: bool = False) -> None:
    """Return when a tenant's policy may be read, or changed. Raises: ApiError 404, as if there were none."""
    if who.sees(tenant) or (tenant == EVERY_TENANT and not change):
        return
    raise ApiError(404, "there is no such policy", "tenant")


@router.get("/api/policies", responses=responses(422, 503))
def listed(context: Use, who: Viewer) -> PolicyList:
    """Return where each tenant's policy stands."""
    with context.engine.connect() as connection:
        seen = [one for one in policies.heads(connection) if who.sees(one.tenant) or one.tenant == EVERY_TENANT]
        return PolicyList(policies=[Head(**_fields(one, _active(connection, one))) for one in seen])


@router.get("/api/policies/{tenant}", responses=responses(404, 422, 503))
def shown(context: Use, who: Viewer, tenant: Tenant, response: Response) -> HeadDetail:
    """Return what is in force for a tenant, and in which sidecars."""
    visible(who, tenant)
    with context.engine.connect() as connection:
        head = held(connection, tenant)
        response.headers["etag"] = etag(head)
        return detail(connection, head, context)


@router.get("/api/policies/{tenant}/versions", responses=responses(404, 422, 503))
def versions(context: Use, who: Viewer, tenant: Tenant, limit: Limit = 50, cursor: Number | None = None) -> VersionPage:
    """Return a tenant's versions, newest first."""
    visible(who, tenant)
    with context.engine.connect() as connection:
        held(connection, tenant)
        found = policies.versions(connection, tenant, limit + 1, cursor)
    page = found[:limit]
    more = str(page[-1].number) if len(found) > limit else None
    return VersionPage(versions=[Version.model_validate(version_fields(one)) for one in page], next_cursor=more)


@router.get("/api/policies/{tenant}/versions/{number}", responses=responses(404, 422, 503))
def version(context: Use, who: Viewer, tenant: Tenant, number: PathNumber) -> VersionDetail:
    """Return one version whole."""
    visible(who, tenant)
    with context.engine.connect() as connection:
        return VersionDetail.model_validate(version_fields(one_version(connection, tenant, number)))


@router.get("/api/policies/{tenant}/history", responses=responses(404, 422, 503))
def history(context: Use, who: Viewer, tenant: Tenant, limit: Limit = 50) -> History:
    """Return what was in force when, newest first."""
    visible(who, tenant)
    with context.engine.connect() as connection:
        held(connection, tenant)
        turns = policies.activations(connection, tenant, limit)
    return History(
        turns=[
            Turn(kind=one.kind, number=one.number, actor=one.actor, note=one.note, at=moment(one.at_unix_us))
            for one in turns
        ]
    )


@router.get("/api/policies/{tenant}/diff", responses=responses(404, 422, 503))
def diff(
    context: Use,
    who: Viewer,
    tenant: Tenant,
    from_: Annotated[int, Query(alias="from", ge=1, le=MAX_NUMBER)],
    to: Annotated[int, Query(ge=1, le=MAX_NUMBER)],
) -> Diff:
    """Return what differs between two versions of a tenant's policy, setting by setting and as text."""
    visible(who, tenant)
    with context.engine.connect() as connection:
        before, after = (one_version(connection, tenant, number) for number in (from_, to))
    found = differences(dict(before.document), dict(after.document))
    names = (f"{tenant}@{from_}", f"{tenant}@{to}")
    return Diff(
        from_number=from_,
        to_number=to,
        changes=[Change(path=one.path, kind=one.kind, before=one.before, after=one.after) for one in found],
        unified=unified(before.text, after.text, names),
    )


def held(connection: Connection, tenant: str) -> PolicyHead:
    """Return where a tenant's policy stands. Raises: ApiError 404."""
    head = policies.head(connection, tenant)
    if head is None:
        raise ApiError(404, "there is no such policy", "tenant")
    return head


def one_version(connection: Connection, tenant: str, number: int) -> PolicyVersion:
    """Return a version. Raises: ApiError 404."""
    found = policies.version(connection, tenant, number)
    if found is None:
        raise ApiError(404, f"there is no version {number} of this policy", "number")
    return found


def etag(head: PolicyHead | None) -> str:
    """Return what names a state: the newest version and the one in force; of no policy at all it is "0-0"."""
    return '"0-0"' if head is None else f'"{head.latest}-{head.active or 0}"'


def detail(connection: Connection, head: PolicyHead, context: Context) -> HeadDetail:
    """Return where a tenant's policy stands, with what is in force, and in which sidecars."""
    active = _active(connection, head)
    whole = None if active is None else VersionDetail.model_validate(version_fields(active))
    return HeadDetail(**_fields(head, active), version=whole, rollout=_rollout(connection, head.tenant, context))


def _active(connection: Connection, head: PolicyHead) -> PolicyVersion | None:
    return None if head.active is None else policies.version(connection, head.tenant, head.active)


def _fields(head: PolicyHead, active: PolicyVersion | None) -> dict[str, Any]:
    return {
        "tenant": head.tenant,
        "active": head.active,
        "digest": None if active is None else active.digest,
        "latest": head.latest,
        "changed_at": moment(head.changed_unix_us),
        "changed_by": head.changed_by,
    }


def _rollout(connection: Connection, tenant: str, context: Context) -> Rollout:
    """Return what sidecars told of a tenant's policy. One that knows none for it goes by what it has for all."""
    since_unix_us = round(context.clock() * 1e6) - SEEN_US
    seen = sidecars.read(connection, None if tenant == EVERY_TENANT else tenant, since_unix_us, _SIDECARS)
    versions: dict[str, int] = {}
    refusals: list[Refusal] = []
    for one in seen:
        states = {state["tenant"]: state for state in one.policies}
        state = states.get(tenant) or states.get(EVERY_TENANT) or {}
        name = state.get("version", "")
        versions[name] = versions.get(name, 0) + 1
        if state.get("refused_version"):
            told = {"version": name, "refused": state["refused_version"], "reason": state["refusal"]}
            refusals.append(Refusal(sidecar=one.sidecar, **told))
    return Rollout(sidecars=len(seen), versions=versions, refusals=refusals[:_REFUSALS])
