"""GET /api/quality: how good the answers were, as far as traffic tells.

In: a window, one model, provider or endpoint. Out: lengths, refusals, finish reasons, retries, satisfaction; by one
dimension; over time. What the judge thinks of answers is elsewhere.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.api.parameters import Dimension, Most, Trafficked, moment
from analytics.api.windows import WindowBody
from analytics.store import quality, usage
from analytics.store.feedback import LABELS, Satisfaction
from analytics.types import Totals

router = APIRouter(tags=["quality"])


class QualityCounts(BaseModel):
    """Counts and means over exchanges; means and rates are null where nothing was counted."""

    total_requests: int = Field(description="Exchanges that have ended.", examples=[1200])
    answered_requests: int = Field(description="The provider answered below 400.", examples=[1100])
    streams: int = Field(description="Answers that came as streams.", examples=[400])
    refusals: int = Field(description="Answers that say that the model refused.", examples=[11])
    refusal_rate: float | None = Field(description="refusals / answered_requests, 0..1.", examples=[0.01])
    retries: int = Field(description="Requests that repeat one before (the client counts its attempts).", examples=[24])
    retry_rate: float | None = Field(description="retries / total_requests, 0..1.", examples=[0.02])
    avg_prompt_chars: float | None = Field(description="Mean length of a prompt, in characters.", examples=[812.5])
    avg_response_chars: float | None = Field(description="Mean length of an answer, in characters.", examples=[604.0])
    avg_prompt_tokens: float | None = Field(
        description="Mean tokens of a prompt, of answered requests.", examples=[181.8]
    )
    avg_completion_tokens: float | None = Field(description="Mean tokens of an answer.", examples=[45.5])


class SatisfactionBody(BaseModel):
    """How users rated answers."""

    ratings: int = Field(description="Ratings given.", examples=[120])
    satisfied: int = Field(description="Of these, 4, 5 or a thumb up.", examples=[96])
    satisfaction: float | None = Field(description="satisfied / ratings, 0..1; null without a rating.", examples=[0.8])
    mean_rating: float | None = Field(description="Mean of the ratings 1..5, thumbs left out.", examples=[4.1])
    by_rating: dict[str, int] = Field(
        description="How often each was given.",
        examples=[{"1": 4, "2": 5, "3": 9, "4": 30, "5": 42, "up": 24, "down": 6}],
    )


class QualityOf(QualityCounts):
    """The quality of one model, provider or endpoint."""

    name: str = Field(description="The model, provider or endpoint.", examples=["gpt-4o"])
    satisfaction: SatisfactionBody = Field(description="How users rated its answers.")


class QualityBucket(QualityCounts):
    """One bucket of time; a bucket without requests is there with zeros."""

    start: datetime = Field(description="First moment of the bucket.", examples=["2026-11-18T11:00:00Z"])


class QualityBody(BaseModel):
    """The answer."""

    window: WindowBody = Field(description="What the numbers are about.")
    total: QualityCounts = Field(description="The window as a whole.")
    finish_reasons: dict[str, int] = Field(
        description="Why models stopped, in their providers' words, most frequent first.",
        examples=[{"stop": 980, "length": 12}],
    )
    satisfaction: SatisfactionBody = Field(description="How users rated answers.")
    by: str = Field(description="What `items` are listed by.", examples=["model"])
    items: list[QualityOf] = Field(description="Most used first, at most `limit`.")
    timeline: list[QualityBucket] = Field(description="Every bucket of the window, in order.")


@router.get("/api/quality", summary="Quality of answers", responses=responses(401, 403, 422, 503))
def measured(
    context: Use,
    asked: Trafficked,
    by: Dimension = "model",
    limit: Most = 20,
) -> QualityBody:
    """Return lengths, refusals, finish reasons, retries and satisfaction of a window."""
    with context.engine.connect() as connection:
        whole = quality.whole(connection, asked.slice)
        items = quality.by(connection, asked.slice, by, limit)
        counted = usage.counted(connection, asked.slice, quality.COUNTED)
    window = asked.slice.window
    starts = range(window.start_unix_s, window.end_unix_s, window.grain_s)
    return QualityBody(
        window=asked.span.body,
        total=QualityCounts(**_counts(whole.totals)),
        finish_reasons=dict(whole.finishes),
        satisfaction=_satisfaction(whole.satisfaction),
        by=by,
        items=[QualityOf(name=name, satisfaction=_satisfaction(rated), **_counts(one)) for name, one, rated in items],
        timeline=[QualityBucket(start=moment(start), **_counts(counted.get(start, Totals()))) for start in starts],
    )


def _counts(totals: Totals) -> Mapping[str, Any]:
    answered, requests = totals.outcome_answered, totals.requests
    return {
        "total_requests": requests,
        "answered_requests": answered,
        "streams": totals.streams,
        "refusals": totals.refusals,
        "refusal_rate": _mean(totals.refusals, answered),
        "retries": totals.retries,
        "retry_rate": _mean(totals.retries, requests),
        "avg_prompt_chars": _mean(totals.prompt_chars, requests),
        "avg_response_chars": _mean(totals.response_chars, answered),
        "avg_prompt_tokens": _mean(totals.prompt_tokens, answered),
        "avg_completion_tokens": _mean(totals.completion_tokens, answered),
    }


def _mean(total: int, count: int) -> float | None:
    return total / count if count else None


def _satisfaction(rated: Satisfaction | None) -> SatisfactionBody:
    held = rated or Satisfaction(dict.fromkeys(LABELS, 0))
    return SatisfactionBody(
        ratings=held.count,
        satisfied=held.satisfied,
        satisfaction=held.share,
        mean_rating=held.mean_rating,
        by_rating=dict(held.labels),
    )
