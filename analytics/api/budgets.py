"""GET /api/budgets: what budgets there are, and what was used of each in the window under way.

In: the policies in force. Out: budgets with their limits, and the keys (users, teams, models) that used most of them.
Use is what analytics has stored; sidecars act on their own count corrected by it, so it may be a second behind.
Never: a budget of a sidecar's own file (it is not known here); a tenant's use to another one.
"""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from analytics.api.auth import Viewer
from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.control.budgets import NANO_USD, Budget
from analytics.control.rules import RulesInForce
from analytics.store import budgets as store
from analytics.types.control import EVERY_TENANT, UseKey

router = APIRouter(tags=["budgets"])


class KeyUse(BaseModel):
    """What one key used of a budget in the window under way."""

    tenant: str = Field(examples=["default"])
    key: str = Field(
        description="The user, team or model; empty where the tenant shares one count.", examples=["alice"]
    )
    used: float = Field(description="In the budget's unit.", examples=[812])
    share: float | None = Field(description="Of the limit, 1 is all of it; null for a limit of 0.", examples=[0.81])
    exceeded: bool
    window_start: datetime
    resets_at: datetime


class BudgetBody(BaseModel):
    """One budget of a policy in force."""

    tenant: str = Field(description="Whose policy it stands in; * is the one for all.", examples=["default"])
    name: str = Field(examples=["tokens-per-user"])
    unit: str = Field(description="requests, tokens or usd.", examples=["tokens"])
    per: str = Field(description="tenant, user, team or model: each has its own count.", examples=["user"])
    window: str = Field(description="minute, hour or day (UTC).", examples=["day"])
    limit: float = Field(examples=[1000])
    use: list[KeyUse] = Field(description="Most used first.")


class BudgetList(BaseModel):
    """Every budget, with its use."""

    budgets: list[BudgetBody]
    truncated: bool = Field(description="True when more keys have used something than are shown.")


@router.get("/api/budgets", responses=responses(422, 503))
def budgets(context: Use, who: Viewer, limit: Annotated[int, Query(ge=1, le=1_000)] = 200) -> BudgetList:
    """Return budgets and what was used of them; at most `limit` keys, most used first."""
    now_unix_s = int(context.clock())
    with context.engine.connect() as connection:
        rules = RulesInForce(context.settings.risk_rule).of(connection)
        found = store.totals(connection, who.tenant, now_unix_s, limit + 1)
    used: dict[tuple[str, Budget], list[KeyUse]] = defaultdict(list)
    for key, amount in found[:limit]:
        owner = key.tenant if key.tenant in rules.budgets else EVERY_TENANT
        budget = next((one for one in rules.budgets.get(owner, ()) if _same(one, key)), None)
        if budget is not None:
            used[owner, budget].append(_use(key, amount, budget))
    seen = [tenant for tenant in sorted(rules.budgets) if who.sees(tenant) or tenant == EVERY_TENANT]
    listed = [_body(tenant, one, used[tenant, one]) for tenant in seen for one in rules.budgets[tenant]]
    return BudgetList(budgets=listed, truncated=len(found) > limit)


def _same(budget: Budget, key: UseKey) -> bool:
    return (budget.name, budget.unit, budget.window_s) == (key.budget, key.unit, key.window_s)


def _use(key: UseKey, amount: int, budget: Budget) -> KeyUse:
    return KeyUse(
        tenant=key.tenant,
        key=key.key,
        used=_shown(amount, budget),
        share=round(amount / budget.limit, 4) if budget.limit else None,
        exceeded=amount >= budget.limit,
        window_start=datetime.fromtimestamp(key.window_unix_s, UTC),
        resets_at=datetime.fromtimestamp(key.window_unix_s + key.window_s, UTC),
    )


def _body(tenant: str, budget: Budget, use: list[KeyUse]) -> BudgetBody:
    return BudgetBody(
        tenant=tenant,
        name=budget.name,
        unit=budget.unit,
        per=budget.per,
        window=budget.window,
        limit=_shown(budget.limit, budget),
        use=use,
    )


def _shown(amount: int, budget: Budget) -> float:
    return amount / NANO_USD if budget.unit == "usd" else float(amount)
