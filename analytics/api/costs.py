"""GET /api/costs: what was spent, on what, by whom, when.

In: a window, what to list by. Out: US dollars of the exchanges whose price is known; those without one are counted apart,
and a sum of which nothing is known is null, never 0.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from analytics.api.bodies import unpriced
from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.api.parameters import Narrowed, Page, decode_cursor, encode_cursor, moment
from analytics.api.windows import WindowBody
from analytics.store import costs, ranks
from analytics.types import Totals

router = APIRouter(tags=["costs"])

By = Literal["model", "provider", "user", "endpoint", "tenant"]
# A user belongs to a tenant: two tenants' users of one name are two.
_KEYS: dict[By, tuple[str, ...]] = {"user": ("tenant", "user")}


class Spent(BaseModel):
    """What was spent."""

    cost_usd: float | None = Field(
        description="US dollars of the priced requests; null when none was.", examples=[3.21]
    )
    priced_requests: int = Field(description="Requests whose cost is known.", examples=[1100])
    unpriced_requests: int = Field(
        description="Requests that went on to a provider and whose cost is not known: no price, or no usage told.",
        examples=[12],
    )
    total_requests: int = Field(description="Exchanges that have ended, blocked ones too.", examples=[1200])
    prompt_tokens: int = Field(description="Tokens of prompts.", examples=[200000])
    completion_tokens: int = Field(description="Tokens of answers.", examples=[50000])
    total_tokens: int = Field(description="Tokens of prompts and answers.", examples=[250000])


class SpentOn(Spent):
    """What was spent on one thing."""

    name: str = Field(description="The model, provider, user, endpoint or tenant.", examples=["gpt-4o"])
    tenant: str | None = Field(description="Whose user it is; null in other lists.", examples=[None])


class SpentDay(Spent):
    """What was spent on one day."""

    day: datetime = Field(description="Start of the day, UTC.", examples=["2026-11-18T00:00:00Z"])


class Costs(BaseModel):
    """The answer."""

    window: WindowBody = Field(description="What the numbers are about.")
    total: Spent = Field(description="The window as a whole.")
    by: str = Field(description="What `items` are listed by.", examples=["model"])
    items: list[SpentOn] = Field(description="Most expensive first.")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page of items.", examples=[None])
    days: list[SpentDay] = Field(
        description="Every day the window touches, in order; what lies outside of it left out."
    )


class Listed(Page):
    """What to list by, and which part of the list."""

    by: By = Field(default="model", description="What to list by.", examples=["user"])


@router.get("/api/costs", summary="What was spent", responses=responses(401, 403, 422, 503))
def spent(context: Use, asked: Narrowed, query: Annotated[Listed, Query()]) -> Costs:
    """Return costs as a whole, by model, provider, user, endpoint or tenant, and by day."""
    keys = _KEYS.get(query.by, (query.by,))
    order = f"cost by {query.by}"
    after = None if query.cursor is None else decode_cursor(query.cursor, order, len(keys))
    with context.engine.connect() as connection:
        total = costs.whole(connection, asked.slice)
        found = ranks.top(connection, asked.slice, ranks.By(keys, "cost", query.limit + 1, after, costs.SPENT))
        days = costs.by_day(connection, asked.slice)
    items, following = found[: query.limit], None
    if len(found) > query.limit:
        key, last = items[-1]
        following = encode_cursor(order, last.cost_nanousd, *key)
    return Costs(
        window=asked.span.body,
        total=Spent(**_spent(total)),
        by=query.by,
        items=[_item(key, one) for key, one in items],
        next_cursor=following,
        days=[SpentDay(day=moment(start), **_spent(one)) for start, one in days],
    )


def _item(key: tuple[str, ...], totals: Totals) -> SpentOn:
    return SpentOn(name=key[-1], tenant=key[0] if len(key) > 1 else None, **_spent(totals))


def _spent(totals: Totals) -> dict[str, Any]:
    return {
        "cost_usd": totals.cost_usd,
        "priced_requests": totals.priced,
        "unpriced_requests": unpriced(totals),
        "total_requests": totals.requests,
        "prompt_tokens": totals.prompt_tokens,
        "completion_tokens": totals.completion_tokens,
        "total_tokens": totals.total_tokens,
    }
