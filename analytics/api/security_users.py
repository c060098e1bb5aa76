"""GET /api/security/users and /users/{user}: who causes what is found.

In: a window. Out: the riskiest users, a page at a time; one user whole: counts, threats, models, over time.
A user's name comes from requests and may hold anything, slashes too: the path takes the rest as it is. Risk as it stands now,
quarantine and what may be done about it are under /api/security/users/{user}/risk (risk.py), which therefore comes first.
Never: a user of another tenant (404, as if there were none).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from starlette.convertors import PathConvertor, register_url_convertor

from analytics.api.bodies import Counts, Quantiles, TimelineBucket, bucket, counts, quantiles
from analytics.api.context import Context, Use
from analytics.api.errors import ApiError, responses
from analytics.api.parameters import Name, Whole, moment
from analytics.api.security import PROBLEMS, Found, shown
from analytics.api.usage import EndpointUsage
from analytics.api.usage_lists import NEXT_CURSOR, WINDOW, Ordered, rank
from analytics.api.windows import WindowBody
from analytics.control import risk
from analytics.control.rules import RulesInForce
from analytics.store import ranks, threats, usage
from analytics.store import risk as store
from analytics.store.cubes import Slice
from analytics.store.risk import UserKey
from analytics.types.control import UserRisk

router = APIRouter(tags=["security"])
_TOP = 20


class _Rest(PathConvertor):
    """The rest of a path, line ends too: Starlette's own `path` stops at them, and a user's name may hold any."""

    regex = "(?s:.*)"


register_url_convertor("rest", _Rest())


class ByRisk(Ordered):
    """Which part of the list of users, and in which order it is."""

    sort: Literal["risky", "threats", "blocked"] = Field(
        default="risky",
        description="What there is most of comes first; users without any are left out.",
        examples=["risky"],
    )


class RiskyUser(Counts):
    """One user of one tenant."""

    tenant: str = Field(description="Whose user it is.", examples=["default"])
    user: str = Field(description="Its name; empty for requests without one.", examples=["mallory"])
    last_seen: datetime | None = Field(
        description="Start of its newest exchange in the window that is still held.",
        examples=["2026-11-18T11:06:41.9Z"],
    )

    risk: float = Field(description="The user's risk now: scores of its requests, fading.", examples=[23.4])
    quarantined: bool = Field(description="Whether its requests are refused now.", examples=[False])


class RiskyUsers(BaseModel):
    """One page of users."""

    window: WindowBody = WINDOW
    users: list[RiskyUser] = Field(description="In the order asked for.")
    next_cursor: str | None = NEXT_CURSOR


class ModelCounts(Counts):
    """What a user did with one model."""

    model: str = Field(description="The model as requests name it.", examples=["gpt-4o"])


class UserTotals(Counts, Quantiles):
    """A user's sums."""


class UserSecurity(BaseModel):
    """One user, whole."""

    window: WindowBody = WINDOW
    user: str = Field(description="Its name.", examples=["mallory"])
    tenants: list[str] = Field(
        description="Where it was ever seen; the numbers are of all of them.", examples=[["default"]]
    )
    last_seen: datetime | None = Field(
        description="Start of its newest exchange in the window that is still held.",
        examples=["2026-11-18T11:06:41.9Z"],
    )
    totals: UserTotals = Field(description="The window as a whole.")
    by_type: list[Found] = Field(description="Threats by type, most first.")
    by_rule: list[Found] = Field(description="Threats by rule, most first, at most 20.")
    by_surface: list[Found] = Field(description="Threats by where they stood, most first.")
    models: list[ModelCounts] = Field(description="What it used, most first, at most 20.")
    endpoints: list[EndpointUsage] = Field(description="What it called, most first, at most 20.")
    timeline: list[TimelineBucket] = Field(description="Every bucket of the window, in order.")


@router.get("/api/security/users", summary="Riskiest users", responses=PROBLEMS)
def users(context: Use, asked: Whole, query: Annotated[ByRisk, Query()]) -> RiskyUsers:
    """Return a page of users whose requests were risky, most of them first."""
    with context.engine.connect() as connection:
        pairs, following = rank(connection, asked, ("tenant", "user"), query, least=1)
        keys = [(tenant, user) for (tenant, user), _ in pairs]
        seen = threats.last_seen(connection, asked.slice.window, keys)
        held = _risks(connection, context, keys)
    now_us = context.clock() * 1e6
    found = [
        RiskyUser(
            tenant=key[0],
            user=key[1],
            last_seen=_moment(seen.get(key)),
            risk=round(held[key].risk, 3),
            quarantined=held[key].quarantined_until_unix_us > now_us,
            **counts(one),
        )
        for key, (_, one) in zip(keys, pairs, strict=True)
    ]
    return RiskyUsers(window=asked.span.body, users=found, next_cursor=following)


@router.get("/api/security/users/{user:rest}", summary="One user", responses=responses(401, 403, 404, 422, 503))
def user_whole(
    context: Use,
    asked: Whole,
    user: Annotated[Name, Path(description="The user's name, percent-encoded.", examples=["mallory"])],
) -> UserSecurity:
    """Return one user's requests, threats, models and endpoints, as a whole and over time."""
    own = Slice(asked.slice.window, asked.slice.tenant, {"user": user})
    with context.engine.connect() as connection:
        tenants = threats.tenants_of(connection, own.tenant, user)
        if not tenants:
            raise ApiError(404, "there is no such user", "user")
        seen = threats.last_seen(connection, own.window, [(tenant, user) for tenant in tenants])
        found = {by: threats.findings(connection, own, by) for by in threats.KINDS}
        models = ranks.top(connection, own, ranks.By(("model",), "requests", _TOP, counters=usage.LISTED))
        endpoints = ranks.top(connection, own, ranks.By(("endpoint",), "requests", _TOP, counters=usage.LISTED))
        totals = usage.totals(connection, own)
        over_time = usage.timeline(connection, own, usage.LISTED)
    return UserSecurity(
        window=asked.span.body,
        user=user,
        tenants=list(tenants),
        last_seen=_moment(max(seen.values(), default=None)),
        totals=UserTotals(**counts(totals), **quantiles(totals)),
        by_type=shown(found["type"]),
        by_rule=shown(found["rule"][:_TOP]),
        by_surface=shown(found["surface"]),
        models=[ModelCounts(model=key[0], **counts(one)) for key, one in models],
        endpoints=[EndpointUsage(endpoint=key[0], **counts(one)) for key, one in endpoints],
        timeline=[bucket(start, one) for start, one in over_time],
    )


def _risks(connection: Connection, context: Context, keys: Sequence[UserKey]) -> dict[UserKey, UserRisk]:
    """Return the users' risks as they are now; of whom nothing is held there is none."""
    rules = RulesInForce(context.settings.risk_rule).of(connection)
    half_lives = {tenant: rules.risk_of(tenant).half_life_s for tenant in dict.fromkeys(tenant for tenant, _ in keys)}
    held, now_us = store.read(connection, keys), round(context.clock() * 1e6)
    return {key: risk.at(held.get(key) or UserRisk(*key), now_us, half_lives[key[0]]) for key in keys}


def _moment(unix_us: int | None) -> datetime | None:
    return None if unix_us is None else moment(unix_us / 1e6)
