"""/api/security/users/{user}/risk, and what may be done to a user: quarantine, release, reset.

In: orders, each with its reason. Out: a user's risk, where it comes from, what was done and by whom; each order with its
audit row, told to sidecars within a second.
Risk belongs to a user of a tenant: who sees several names the tenant where the user stands in more than one.
Never: a user of another tenant (404, as if there were none).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from analytics.access.principal import Principal
from analytics.api.auth import Analyst, Viewer
from analytics.api.context import Context, Use
from analytics.api.errors import ApiError, responses
from analytics.api.policy_bodies import moment
from analytics.api.windows import Moment
from analytics.control import risk
from analytics.control.rules import RulesInForce
from analytics.store import audit, database
from analytics.store import risk as store
from analytics.types.control import RiskEvent, RiskRule, UserRisk

router = APIRouter(tags=["security"])
MAX_QUARANTINE = timedelta(days=366)
_TRAIL = 50

User = Annotated[str, Path(min_length=1, max_length=256, examples=["alice"])]
Tenant = Annotated[
    str | None,
    Query(
        max_length=256, description="The user's tenant; needed where the name stands in several.", examples=["default"]
    ),
]


class Moved(BaseModel):
    """An exchange that moved a user's risk. left is what is left of its score now."""

    decision_id: str
    at: datetime
    score: float
    left: float
    applied: str = Field(examples=["deny"])


class Done(BaseModel):
    """Something that was done to a user, by a rule or by hand."""

    at: datetime
    kind: str = Field(description="quarantine, release or reset.", examples=["quarantine"])
    actor: str = Field(description="`rule`, or who did it.", examples=["rule"])
    reason: str = Field(examples=["user risk 61.5 reached 60"])
    risk: float
    until: datetime | None


class Risk(BaseModel):
    """A user's risk: the sum of the scores of their requests, each halved every half_life_s seconds."""

    tenant: str
    user: str
    risk: float = Field(description="Now.", examples=[23.4])
    level: str = Field(description="low, medium, high (thresholds begin to tighten), critical.", examples=["medium"])
    half_life_s: float
    quarantined: bool
    quarantined_until: datetime | None
    reason: str = Field(description="Why in quarantine.")
    reset_at: datetime | None
    quarantine_at: float | None = Field(description="Risk from which the rule puts a user in quarantine; null: never.")
    moved_by: list[Moved] = Field(description="The newest first, at most 50.")
    events: list[Done] = Field(description="The newest first, at most 50.")


class Why(BaseModel):
    """Why something is done to a user."""

    reason: str = Field(min_length=1, max_length=500, examples=["confirmed by the team"])


class Confine(Why):
    """How long a quarantine lasts: until a moment, or so many minutes."""

    minutes: int | None = Field(default=None, ge=1, le=round(MAX_QUARANTINE.total_seconds() / 60), examples=[60])
    until: Moment | None = None


@dataclass(frozen=True, slots=True)
class _Order:
    """Who asks for what to be done to which user."""

    context: Use
    who: Analyst
    user: User
    tenant: Tenant = None


Ordered = Annotated[_Order, Depends(_Order)]


@router.get("/api/security/users/{user:path}/risk", responses=responses(404, 409, 422, 503))
def shown(context: Use, who: Viewer, user: User, tenant: Tenant = None) -> Risk:
    """Return a user's risk and where it comes from."""
    with context.engine.connect() as connection:
        return _answer(connection, context, _key(connection, who, user, tenant, must=True))


@router.post("/api/security/users/{user:path}/quarantine", responses=responses(403, 404, 409, 422, 503))
def quarantined(asked: Ordered, how: Confine) -> Risk:
    """Put a user in quarantine: requests are refused until it ends."""
    now_s = asked.context.clock()
    if (how.minutes is None) == (how.until is None):
        raise ApiError(422, "minutes: give either minutes or until", "minutes")
    until_s = now_s + how.minutes * 60 if how.minutes is not None else _timestamp(how.until)
    if not now_s < until_s <= now_s + MAX_QUARANTINE.total_seconds():
        raise ApiError(422, f"until: it lies within the next {MAX_QUARANTINE.days} days", "until")
    return _done(asked, risk.Order("quarantine", asked.who.name, how.reason, round(until_s * 1e6)))


@router.post("/api/security/users/{user:path}/release", responses=responses(403, 404, 409, 422, 503))
def released(asked: Ordered, how: Why) -> Risk:
    """End a quarantine. The risk stays, but only what is added from now on brings the user back."""
    return _done(asked, risk.Order("release", asked.who.name, how.reason))


@router.post("/api/security/users/{user:path}/reset", responses=responses(403, 404, 409, 422, 503))
def reset(asked: Ordered, how: Why) -> Risk:
    """Take a user's risk away, and a quarantine with it: nothing from before now counts any more."""
    return _done(asked, risk.Order("reset", asked.who.name, how.reason))


def _done(asked: _Order, order: risk.Order) -> Risk:
    now_unix_us = round(asked.context.clock() * 1e6)
    with database.writing(asked.context.engine) as connection:
        key = _key(connection, asked.who, asked.user, asked.tenant, must=False)
        before = store.read(connection, [key]).get(key)
        after = risk.carry_out(connection, key, order, _rule(connection, asked.context, key[0]), now_unix_us)
        entry = audit.Entry(
            now_unix_us,
            asked.who.name,
            f"user.{order.kind}",
            f"user {key[1]}",
            key[0],
            None if before is None else _audited(before),
            _audited(after) | {"reason": order.reason},
        )
        audit.add(connection, entry)
        answer = _answer(connection, asked.context, key)
    asked.context.steered()
    return answer


def _audited(held: UserRisk) -> dict[str, Any]:
    return {"risk": held.risk, "quarantined_until_unix_us": held.quarantined_until_unix_us}


def _key(connection: Connection, who: Principal, user: str, tenant: str | None, *, must: bool) -> store.UserKey:
    """Return which user is meant. must: one that is known. Raises: ApiError 404; 409 where the name stands in several tenants."""
    name = user.replace("\x00", "\ufffd")
    wanted = who.tenant if who.tenant is not None else tenant
    if tenant is not None and not who.sees(tenant):
        raise ApiError(404, "there is no such user", "user")
    known = store.tenants_of(connection, name, wanted)
    if wanted is not None and (known or not must):
        return wanted.replace("\x00", "\ufffd"), name
    if not known:
        raise ApiError(404, "there is no such user", "user")
    if len(known) > 1:
        raise ApiError(409, f"the name stands in {len(known)} tenants: say which", "tenant")
    return known[0], name


def _rule(connection: Connection, context: Context, tenant: str) -> RiskRule:
    return RulesInForce(context.settings.risk_rule).of(connection).risk_of(tenant)


def _answer(connection: Connection, context: Context, key: store.UserKey) -> Risk:
    now_unix_us = round(context.clock() * 1e6)
    rule = _rule(connection, context, key[0])
    held = risk.at(store.read(connection, [key]).get(key) or UserRisk(*key), now_unix_us, rule.half_life_s)
    until = held.quarantined_until_unix_us
    return Risk(
        tenant=key[0],
        user=key[1],
        risk=round(held.risk, 3),
        level=risk.level(held.risk, rule),
        half_life_s=rule.half_life_s,
        quarantined=until > now_unix_us,
        quarantined_until=moment(until) if until > now_unix_us else None,
        reason=held.reason if until > now_unix_us else "",
        reset_at=moment(held.reset_unix_us) if held.reset_unix_us else None,
        quarantine_at=rule.quarantine_at or None,
        moved_by=_moves(connection, held, rule, now_unix_us),
        events=[_event(one) for one in store.events(connection, key, _TRAIL)],
    )


def _moves(connection: Connection, held: UserRisk, rule: RiskRule, now_unix_us: int) -> list[Moved]:
    found = store.scored(connection, (held.tenant, held.user), _TRAIL)
    return [
        Moved(
            decision_id=decision_id,
            at=moment(started_unix_us),
            score=score,
            left=round(risk.decayed(score, started_unix_us, now_unix_us, rule.half_life_s), 3),
            applied=applied,
        )
        for decision_id, started_unix_us, score, applied in found
        if started_unix_us >= held.reset_unix_us
    ]


def _event(one: RiskEvent) -> Done:
    return Done(
        at=moment(one.at_unix_us),
        kind=one.kind,
        actor=one.actor,
        reason=one.reason,
        risk=round(one.risk, 3),
        until=moment(one.until_unix_us) if one.until_unix_us else None,
    )


def _timestamp(at: datetime | None) -> float:
    """Return a moment in seconds; one that no clock has is one that has been."""
    try:
        return 0.0 if at is None else at.timestamp()
    except (OverflowError, ValueError):
        return 0.0
