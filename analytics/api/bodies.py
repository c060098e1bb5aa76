"""What several answers hold: counts, latencies, buckets of time; and how the store's values become them.

In: Totals. Out: fields of answers, in the words of the mission's calls. Never: a query.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from analytics.api.parameters import moment
from analytics.store import sketch
from analytics.types import Totals


class Counts(BaseModel):
    """Sums over exchanges. Latencies are seconds to the end of the provider's answer; null without an answer."""

    total_requests: int = Field(description="Exchanges that have ended.", examples=[1200])
    successful_requests: int = Field(description="The provider answered below 400.", examples=[1100])
    blocked_requests: int = Field(description="Douane answered 403 or 429.", examples=[60])
    failed_requests: int = Field(description="Inspection failed or the provider answered 400 or more.", examples=[40])
    error_rate: float = Field(description="failed_requests / total_requests, 0..1.", examples=[0.033])
    total_tokens: int = Field(description="Tokens of prompts and answers.", examples=[250000])
    prompt_tokens: int = Field(description="Tokens of prompts.", examples=[200000])
    completion_tokens: int = Field(description="Tokens of answers.", examples=[50000])
    threats: int = Field(description="Threats found.", examples=[75])
    risky_requests: int = Field(description="Requests of level high or critical.", examples=[2])
    avg_latency: float | None = Field(description="Mean latency in seconds.", examples=[1.24])
    cost_usd: float | None = Field(
        description="US dollars of the priced requests; null when none was.", examples=[3.21]
    )
    unpriced_requests: int = Field(
        description="Requests that went on to a provider and whose cost is not known: no price, or no usage told.",
        examples=[12],
    )


class Quantiles(BaseModel):
    """Quantiles of the latency in seconds, each within 2 % of the exact value; null without an answer."""

    p50_latency: float | None = Field(description="Half of the answers came within it.", examples=[0.9])
    p95_latency: float | None = Field(description="95 % of the answers came within it.", examples=[3.1])
    p99_latency: float | None = Field(description="99 % of the answers came within it.", examples=[5.2])


class TimelineBucket(Counts):
    """One bucket of time; a bucket without requests is there with zeros."""

    start: datetime = Field(description="First moment of the bucket.", examples=["2026-11-18T11:00:00Z"])
    p95_latency: float | None = Field(description="95 % of the answers came within it, in seconds.", examples=[3.1])


def counts(totals: Totals) -> dict[str, Any]:
    """Return totals in the words of Counts."""
    return {
        "total_requests": totals.requests,
        "successful_requests": totals.outcome_answered,
        "blocked_requests": totals.outcome_denied,
        "failed_requests": totals.errors,
        "error_rate": totals.error_rate,
        "total_tokens": totals.total_tokens,
        "prompt_tokens": totals.prompt_tokens,
        "completion_tokens": totals.completion_tokens,
        "threats": totals.threats,
        "risky_requests": totals.risky,
        "avg_latency": totals.mean_latency_s,
        "cost_usd": totals.cost_usd,
        "unpriced_requests": unpriced(totals),
    }


def unpriced(totals: Totals) -> int:
    """Return how many requests went on to a provider and have no known cost.

    Shape: an answer that was held back although it was paid for counts as priced, so this is at least 0, not below.
    """
    return max(0, totals.requests - totals.outcome_denied - totals.outcome_failed - totals.priced)


def quantiles(totals: Totals) -> dict[str, Any]:
    """Return the latency quantiles in the words of Quantiles."""
    p50, p95, p99 = sketch.quantiles(totals.latency, (0.5, 0.95, 0.99))
    return {"p50_latency": p50, "p95_latency": p95, "p99_latency": p99}


def bucket(start: int, totals: Totals) -> TimelineBucket:
    """Return a bucket of a timeline."""
    p95 = sketch.quantiles(totals.latency, (0.95,))[0]
    return TimelineBucket(start=moment(start), p95_latency=p95, **counts(totals))
