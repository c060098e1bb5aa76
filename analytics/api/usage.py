"""GET /api/usage/analytics: the mission's call; what was used, by whom, how fast, how safely."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.store import sketch, usage
from analytics.types import ACTIONS, DAY_S, LEVELS, Totals, Usage

router = APIRouter(tags=["usage"])

Days = Annotated[int, Query(ge=1, le=366, description="How many days back, the day under way included.")]


class WindowBody(BaseModel):
    """The time the numbers are about: half-open, in whole buckets."""

    start: datetime
    end: datetime
    days: int = Field(examples=[7])
    bucket_s: int = Field(description="Seconds in one bucket of the timeline.", examples=[3600])


class Counts(BaseModel):
    """Sums over exchanges. Latencies are seconds to the end of the provider's answer; null without an answer."""

    total_requests: int = Field(examples=[1200])
    successful_requests: int = Field(description="The provider answered below 400.", examples=[1100])
    blocked_requests: int = Field(description="Douane answered 403 or 429.", examples=[60])
    failed_requests: int = Field(description="Inspection failed or the provider answered 400 or more.", examples=[40])
    error_rate: float = Field(description="failed_requests / total_requests, 0..1.", examples=[0.033])
    total_tokens: int = Field(examples=[250000])
    prompt_tokens: int = Field(examples=[200000])
    completion_tokens: int = Field(examples=[50000])
    threats: int = Field(examples=[75])
    avg_latency: float | None = Field(examples=[1.24])


class Quantiles(BaseModel):
    """Quantiles of the latency in seconds, each within 2 % of the exact value."""

    p50_latency: float | None = Field(examples=[0.9])
    p95_latency: float | None = Field(examples=[3.1])
    p99_latency: float | None = Field(examples=[5.2])


class GeneralMetrics(Counts, Quantiles):
    """The window as a whole."""

    aborted_requests: int = Field(description="The client left before the answer ended.", examples=[0])
    unknown_requests: int = Field(description="Nobody saw how it ended (a sidecar was killed).", examples=[0])
    unique_users: int = Field(examples=[25])
    unique_models: int = Field(examples=[3])
    avg_overhead: float | None = Field(description="Seconds from request to verdict, on average.", examples=[0.0008])


class ModelUsage(Counts, Quantiles):
    """One model."""

    model: str = Field(examples=["gpt-4o"])


class UserUsage(Counts):
    """One user."""

    user: str = Field(examples=["alice"])
    risky_requests: int = Field(description="Requests of level high or critical.", examples=[2])


class EndpointUsage(Counts):
    """One endpoint."""

    endpoint: str = Field(examples=["/v1/chat/completions"])


class TimelineBucket(Counts):
    """One bucket of time; a bucket without requests is there with zeros."""

    start: datetime
    p95_latency: float | None


class ThreatUsage(BaseModel):
    """One threat type."""

    threat_type: str = Field(examples=["prompt_injection"])
    count: int = Field(examples=[42])
    top_users: list[str] = Field(examples=[["mallory"]])


class Security(BaseModel):
    """What was found and done."""

    threats: int = Field(examples=[75])
    by_type: list[ThreatUsage]
    by_level: dict[str, int] = Field(examples=[{"low": 1100, "medium": 30, "high": 10, "critical": 60}])
    by_action: dict[str, int] = Field(examples=[{"allow": 1140, "deny": 60}])
    would_refuse: int = Field(description="Requests that enforce mode refuses or would have refused.", examples=[60])
    inspection_failures: int = Field(examples=[0])
    unscanned: int = Field(description="Exchanges with bytes that were not scanned.", examples=[3])


class UsageAnalytics(BaseModel):
    """The answer."""

    window: WindowBody
    general_metrics: GeneralMetrics
    models: list[ModelUsage] = Field(description="The 100 most used.")
    users: list[UserUsage] = Field(description="The 100 most active.")
    endpoints: list[EndpointUsage] = Field(description="The 100 most used.")
    timeline: list[TimelineBucket]
    security: Security


@router.get("/api/usage/analytics", responses=responses(422, 503))
def usage_analytics(context: Use, days: Days = 7) -> UsageAnalytics:
    """Return usage, latency, errors and security of the last days, from rollups."""
    window = usage.last(days * DAY_S, context.clock())
    with context.engine.connect() as connection:
        found = usage.read(connection, window)
    return UsageAnalytics(
        window=WindowBody(
            start=moment(window.start_unix_s), end=moment(window.end_unix_s), days=days, bucket_s=window.grain_s
        ),
        general_metrics=_general(found),
        models=[ModelUsage(model=name, **counts(one), **quantiles(one)) for name, one in found.models],
        users=[UserUsage(user=name, risky_requests=one.risky, **counts(one)) for name, one in found.users],
        endpoints=[EndpointUsage(endpoint=name, **counts(one)) for name, one in found.endpoints],
        timeline=[_bucket(start, one) for start, one in found.timeline],
        security=_security(found),
    )


def moment(unix_s: float) -> datetime:
    """Return the moment in UTC."""
    return datetime.fromtimestamp(unix_s, UTC)


def counts(totals: Totals) -> dict[str, Any]:
    """Return totals in the words of the API."""
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
        "avg_latency": totals.mean_latency_s,
    }


def quantiles(totals: Totals) -> dict[str, Any]:
    """Return the latency quantiles in the words of the API."""
    p50, p95, p99 = sketch.quantiles(totals.latency, (0.5, 0.95, 0.99))
    return {"p50_latency": p50, "p95_latency": p95, "p99_latency": p99}


def _general(found: Usage) -> GeneralMetrics:
    totals = found.totals
    return GeneralMetrics(
        **counts(totals),
        **quantiles(totals),
        aborted_requests=totals.outcome_client_aborted,
        unknown_requests=totals.outcome_unknown,
        unique_users=found.unique_users,
        unique_models=found.unique_models,
        avg_overhead=totals.verdict_us_sum / totals.requests / 1e6 if totals.requests else None,
    )


def _bucket(start: int, totals: Totals) -> TimelineBucket:
    p95 = sketch.quantiles(totals.latency, (0.95,))[0]
    return TimelineBucket(start=moment(start), p95_latency=p95, **counts(totals))


def _security(found: Usage) -> Security:
    totals = found.totals
    return Security(
        threats=totals.threats,
        by_type=[
            ThreatUsage(threat_type=one.type, count=one.count, top_users=list(one.users)) for one in found.threats
        ],
        by_level={name: getattr(totals, f"level_{name}") for name in LEVELS},
        by_action={name: getattr(totals, f"action_{name}") for name in ACTIONS},
        would_refuse=totals.would_refuse,
        inspection_failures=totals.inspection_failures,
        unscanned=totals.unscanned,
    )
