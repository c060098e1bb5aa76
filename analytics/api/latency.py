"""GET /api/latency: how long providers took, and how long we did.

In: a window, what to narrow to, what to list by. Out: quantiles of the time to the end of an answer, mean time to its first
byte, the time from request to verdict; by model, provider or endpoint; over time.
"""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from analytics.api.bodies import Quantiles, quantiles
from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.api.parameters import Dimension, Most, Trafficked, moment
from analytics.api.windows import WindowBody
from analytics.store import cubes, latency, sketch, usage
from analytics.types import Totals

router = APIRouter(tags=["latency"])


class Taken(Quantiles):
    """How long it took, in seconds; null where nothing was measured."""

    total_requests: int = Field(description="Exchanges that have ended.", examples=[1200])
    answers: int = Field(description="Answers whose end was seen: those the latency is of.", examples=[1140])
    avg_latency: float | None = Field(description="Mean latency.", examples=[1.24])
    avg_first_byte: float | None = Field(description="Mean time to the first byte of an answer.", examples=[0.31])
    avg_verdict: float | None = Field(description="Mean time from request to our verdict.", examples=[0.0008])


class Verdicts(BaseModel):
    """How long our verdicts took, in seconds; null without requests. Quantiles are within 2 % of the exact values."""

    avg_verdict: float | None = Field(description="Mean.", examples=[0.0008])
    p50_verdict: float | None = Field(description="Half of the verdicts took no longer.", examples=[0.0006])
    p95_verdict: float | None = Field(description="95 % of the verdicts took no longer.", examples=[0.0021])
    p99_verdict: float | None = Field(description="99 % of the verdicts took no longer.", examples=[0.0052])


class TakenBy(Taken):
    """How long one model, provider or endpoint took."""

    name: str = Field(description="The model, provider or endpoint.", examples=["gpt-4o"])


class TakenBucket(Taken):
    """One bucket of time; a bucket without requests is there with zeros and nulls."""

    start: datetime = Field(description="First moment of the bucket.", examples=["2026-11-18T11:00:00Z"])


class Latency(BaseModel):
    """The answer."""

    window: WindowBody = Field(description="What the numbers are about.")
    total: Taken = Field(description="The window as a whole.")
    verdicts: Verdicts = Field(description="Our own share: the time from request to verdict.")
    by: str = Field(description="What `items` are listed by.", examples=["model"])
    items: list[TakenBy] = Field(description="Most used first, at most `limit`.")
    timeline: list[TakenBucket] = Field(description="Every bucket of the window, in order.")


@router.get("/api/latency", summary="Latency of answers and verdicts", responses=responses(401, 403, 422, 503))
def taken(
    context: Use,
    asked: Trafficked,
    by: Dimension = "model",
    limit: Most = 20,
) -> Latency:
    """Return quantiles of latency and of verdicts, by model, provider or endpoint, and over time."""
    with context.engine.connect() as connection:
        whole = latency.whole(connection, asked.slice)
        items = latency.by(connection, asked.slice, by, limit)
        timeline = usage.timeline(connection, asked.slice, latency.TIMED)
        verdicts = cubes.sketches(connection, asked.slice, (), "verdict_sketch").get((), {})
    p50, p95, p99 = sketch.quantiles(verdicts, (0.5, 0.95, 0.99))
    average = _mean(whole.verdict_us_sum, whole.requests)
    return Latency(
        window=asked.span.body,
        total=Taken(**_taken(whole)),
        verdicts=Verdicts(avg_verdict=average, p50_verdict=p50, p95_verdict=p95, p99_verdict=p99),
        by=by,
        items=[TakenBy(name=name, **_taken(one)) for name, one in items],
        timeline=[TakenBucket(start=moment(start), **_taken(one)) for start, one in timeline],
    )


def _taken(totals: Totals) -> dict[str, Any]:
    return {
        "total_requests": totals.requests,
        "answers": totals.latency_count,
        "avg_latency": totals.mean_latency_s,
        "avg_first_byte": _mean(totals.first_byte_us_sum, totals.first_byte_count),
        "avg_verdict": _mean(totals.verdict_us_sum, totals.requests),
        **quantiles(totals),
    }


def _mean(sum_us: int, count: int) -> float | None:
    return sum_us / count / 1e6 if count else None
