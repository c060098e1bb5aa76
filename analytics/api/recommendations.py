"""GET /api/dashboard/recommendations: the mission's call; what to do, and which numbers say so."""

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.api.parameters import Reads, moment
from analytics.api.usage import Days
from analytics.insight import recommendations as insight
from analytics.store import usage
from analytics.types import DAY_S

router = APIRouter(tags=["recommendations"])


class RecommendationBody(BaseModel):
    """One piece of advice."""

    model_config = ConfigDict(from_attributes=True)

    title: str = Field(examples=["gpt-4o is slow"])
    priority: Literal["low", "medium", "high", "critical"]
    category: Literal["security", "performance", "usage", "costs", "quality"]
    description: str = Field(examples=["One answer in twenty takes longer than 7.5 s; the threshold is 5 s."])
    action: str = Field(examples=["Stream the answers, shorten prompts, or move this work to a faster model."])
    evidence: dict[str, Any] = Field(
        description="The numbers it stands on.", examples=[{"model": "gpt-4o", "p95_s": 7.5}]
    )


class Recommendations(BaseModel):
    """The answer."""

    summary: str
    source: Literal["statistics"] = Field(description="Where the advice comes from: statistics, not the AI judge.")
    generated_at: datetime
    requests: int = Field(description="How many requests the statistics are of.", examples=[1200])
    recommendations: list[RecommendationBody] = Field(description="Most urgent first.")


@router.get("/api/dashboard/recommendations", responses=responses(401, 403, 422, 503))
def recommendations(context: Use, tenant: Reads, days: Days = 7) -> Recommendations:
    """Return recommendations from the statistics of the last days."""
    now = context.clock()
    with context.engine.connect() as connection:
        found = usage.summary(connection, usage.last(days * DAY_S, now), tenant)
    settings = context.settings
    thresholds = insight.Thresholds(settings.alert_latency_threshold, settings.auto_block_critical_threats)
    advice = insight.recommend(found, thresholds)
    return Recommendations(
        summary=insight.summarise(found, advice, days),
        source="statistics",
        generated_at=moment(now),
        requests=found.totals.requests,
        recommendations=[RecommendationBody.model_validate(one) for one in advice],
    )
