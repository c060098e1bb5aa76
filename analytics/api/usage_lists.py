"""GET /api/usage/{models,users,endpoints}, /timeline and /heatmap: usage by one thing, by time, by hour of the week.

In: a window, what to narrow to, how to order. Out: pages of a list, most first; buckets; the 168 hours of a week.
"""

from functools import cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from analytics.api.bodies import TimelineBucket, bucket, counts, quantiles
from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.api.parameters import Narrowed, Page, Question, decode_cursor, encode_cursor
from analytics.api.usage import EndpointUsage, ModelUsage, UserUsage
from analytics.api.windows import WindowBody
from analytics.store import cubes, ranks, usage
from analytics.types import Totals

router = APIRouter(tags=["usage"])
PROBLEMS = responses(401, 403, 422, 503)
NEXT_CURSOR = Field(description="Give it as `cursor` for the next page; null on the last one.", examples=[None])
WINDOW = Field(description="What the numbers are about.")
_HEAT = ("requests", "outcome_denied", "outcome_failed", "outcome_upstream_error", "threats", "total_tokens")

Pairs = list[tuple[tuple[str, ...], Totals]]


class Ordered(Page):
    """Which part of a list, and in which order it is."""

    sort: Literal["requests", "tokens", "cost", "threats", "errors", "blocked", "risky"] = Field(
        default="requests", description="What there is most of comes first.", examples=["requests"]
    )


class ModelPage(BaseModel):
    """One page of models."""

    window: WindowBody = WINDOW
    models: list[ModelUsage] = Field(description="In the order asked for.")
    next_cursor: str | None = NEXT_CURSOR


class TenantUser(UserUsage):
    """One user of one tenant."""

    tenant: str = Field(description="Whose user it is.", examples=["default"])


class UserPage(BaseModel):
    """One page of users."""

    window: WindowBody = WINDOW
    users: list[TenantUser] = Field(description="In the order asked for.")
    next_cursor: str | None = NEXT_CURSOR


class EndpointPage(BaseModel):
    """One page of endpoints."""

    window: WindowBody = WINDOW
    endpoints: list[EndpointUsage] = Field(description="In the order asked for.")
    next_cursor: str | None = NEXT_CURSOR


class Timeline(BaseModel):
    """Usage over time."""

    window: WindowBody = WINDOW
    timeline: list[TimelineBucket] = Field(description="Every bucket of the window, in order.")


class HeatCell(BaseModel):
    """One hour of the week, summed over the weeks of the window."""

    weekday: int = Field(description="0 is Monday, 6 Sunday.", examples=[0])
    hour: int = Field(description="Hour of the day, 0..23, in the zone asked for.", examples=[14])
    total_requests: int = Field(description="Exchanges that have ended.", examples=[310])
    blocked_requests: int = Field(description="Douane answered 403 or 429.", examples=[4])
    failed_requests: int = Field(description="Inspection failed or the provider answered 400 or more.", examples=[2])
    threats: int = Field(description="Threats found.", examples=[6])
    total_tokens: int = Field(description="Tokens of prompts and answers.", examples=[84000])


class Heatmap(BaseModel):
    """Usage by hour of the week."""

    window: WindowBody = WINDOW
    zone: str = Field(description="The time zone of weekdays and hours.", examples=["Europe/Paris"])
    cells: list[HeatCell] = Field(description="168 hours, Monday 0:00 first; those without requests hold zeros.")


def rank(
    connection: Connection, asked: Question, keys: tuple[str, ...], query: Ordered, least: int = 0
) -> tuple[Pairs, str | None]:
    """Return one page of a list by the keys, and its next_cursor; what has less than `least` is left out.

    Raises: ApiError for a cursor of another list.
    """
    after = None if query.cursor is None else decode_cursor(query.cursor, query.sort, len(keys))
    by = ranks.By(keys, query.sort, query.limit + 1, after, usage.LISTED, least)
    found = ranks.top(connection, asked.slice, by)
    pairs = found[: query.limit]
    if len(found) <= query.limit:
        return pairs, None
    key, totals = pairs[-1]
    return pairs, encode_cursor(query.sort, ranks.value(totals, query.sort), *key)


@router.get("/api/usage/models", summary="Usage by model", responses=PROBLEMS)
def models(context: Use, asked: Narrowed, query: Annotated[Ordered, Query()]) -> ModelPage:
    """Return a page of models with counts, cost and latency, most used first unless asked otherwise."""
    with context.engine.connect() as connection:
        pairs, following = rank(connection, asked, ("model",), query)
        latency = cubes.sketches(connection, asked.slice, ("model",))
    found = [
        ModelUsage(model=key[0], **counts(one), **quantiles(Totals(latency=latency.get(key, {})))) for key, one in pairs
    ]
    return ModelPage(window=asked.span.body, models=found, next_cursor=following)


@router.get("/api/usage/users", summary="Usage by user", responses=PROBLEMS)
def users(context: Use, asked: Narrowed, query: Annotated[Ordered, Query()]) -> UserPage:
    """Return a page of users with counts, cost and mean latency, most active first unless asked otherwise."""
    with context.engine.connect() as connection:
        pairs, following = rank(connection, asked, ("tenant", "user"), query)
    found = [TenantUser(tenant=tenant, user=user, **counts(one)) for (tenant, user), one in pairs]
    return UserPage(window=asked.span.body, users=found, next_cursor=following)


@router.get("/api/usage/endpoints", summary="Usage by endpoint", responses=PROBLEMS)
def endpoints(context: Use, asked: Narrowed, query: Annotated[Ordered, Query()]) -> EndpointPage:
    """Return a page of endpoints with counts, cost and mean latency, most used first unless asked otherwise."""
    with context.engine.connect() as connection:
        pairs, following = rank(connection, asked, ("endpoint",), query)
    found = [EndpointUsage(endpoint=key[0], **counts(one)) for key, one in pairs]
    return EndpointPage(window=asked.span.body, endpoints=found, next_cursor=following)


@router.get("/api/usage/timeline", summary="Usage over time", responses=PROBLEMS)
def timeline(context: Use, asked: Narrowed) -> Timeline:
    """Return counts and latency of each bucket of the window, of everything or of one model, user, endpoint, provider."""
    with context.engine.connect() as connection:
        found = usage.timeline(connection, asked.slice, usage.LISTED)
    return Timeline(window=asked.span.body, timeline=[bucket(start, one) for start, one in found])


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@router.get("/api/usage/heatmap", summary="Usage by hour of the week", responses=PROBLEMS)
def heatmap(
    context: Use,
    asked: Narrowed,
    zone: Annotated[
        str, Query(max_length=64, description="Time zone of weekdays and hours, by its IANA name.", examples=["UTC"])
    ] = "UTC",
) -> Heatmap:
    """Return how much happens at which hour of the week: the rhythm of the traffic."""
    if zone not in _zones():
        raise ApiError(422, "zone: no time zone of the IANA database has this name", "zone")
    with context.engine.connect() as connection:
        cells = usage.heat(connection, asked.slice, ZoneInfo(zone), _HEAT)
    hours = [(weekday, hour) for weekday in range(7) for hour in range(24)]
    return Heatmap(window=asked.span.body, zone=zone, cells=[_cell(*one, cells.get(one, Totals())) for one in hours])


def _cell(weekday: int, hour: int, totals: Totals) -> HeatCell:
    return HeatCell(
        weekday=weekday,
        hour=hour,
        total_requests=totals.requests,
        blocked_requests=totals.outcome_denied,
        failed_requests=totals.errors,
        threats=totals.threats,
        total_tokens=totals.total_tokens,
    )
