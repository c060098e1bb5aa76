"""GET /api/usage/analytics: the mission's call; what was used, by whom, how fast, how safely.

In: a window. Out: totals, the busiest models, users and endpoints, a timeline, what was found. The lists as a whole, the
timeline of a part and the heat map of a week are in usage_lists.py.
"""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from analytics.api.bodies import Counts, Quantiles, TimelineBucket, bucket, counts, quantiles
from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.api.parameters import Whole
from analytics.api.windows import WindowBody
from analytics.store import usage
from analytics.types import ACTIONS, LEVELS, Usage

router = APIRouter(tags=["usage"])

Days = Annotated[int, Query(ge=1, le=366, description="How many days back, the day under way included.", examples=[7])]


class GeneralMetrics(Counts, Quantiles):
    """The window as a whole."""

    aborted_requests: int = Field(description="The client left before the answer ended.", examples=[0])
    unknown_requests: int = Field(description="Nobody saw how it ended (a sidecar was killed).", examples=[0])
    unique_users: int = Field(description="Different users, the nameless left out.", examples=[25])
    unique_models: int = Field(description="Different models, the nameless left out.", examples=[3])
    avg_overhead: float | None = Field(description="Seconds from request to verdict, on average.", examples=[0.0008])


class ModelUsage(Counts, Quantiles):
    """One model."""

    model: str = Field(description="Its name as requests give it.", examples=["gpt-4o"])


class UserUsage(Counts):
    """One user."""

    user: str = Field(description="Its name; empty for requests without one.", examples=["alice"])


class EndpointUsage(Counts):
    """One endpoint."""

    endpoint: str = Field(description="Path of the provider's API.", examples=["/v1/chat/completions"])


class ThreatUsage(BaseModel):
    """One threat type."""

    threat_type: str = Field(description="One of the closed set of threat types.", examples=["prompt_injection"])
    count: int = Field(description="Threats of this type.", examples=[42])
    top_users: list[str] = Field(description="Who caused most of them.", examples=[["mallory"]])


class Security(BaseModel):
    """What was found and done."""

    threats: int = Field(description="Threats found.", examples=[75])
    by_type: list[ThreatUsage] = Field(description="Most frequent first.")
    by_level: dict[str, int] = Field(
        description="Requests by risk level.", examples=[{"low": 1100, "medium": 30, "high": 10, "critical": 60}]
    )
    by_action: dict[str, int] = Field(
        description="Requests by what happened to them.", examples=[{"allow": 1140, "deny": 60}]
    )
    would_refuse: int = Field(description="Requests that enforce mode refuses or would have refused.", examples=[60])
    inspection_failures: int = Field(description="Requests whose inspection failed.", examples=[0])
    unscanned: int = Field(description="Exchanges with bytes that were not scanned.", examples=[3])


class UsageAnalytics(BaseModel):
    """The answer."""

    window: WindowBody = Field(description="What the numbers are about.")
    general_metrics: GeneralMetrics = Field(description="The window as a whole.")
    models: list[ModelUsage] = Field(description="The 100 most used.")
    users: list[UserUsage] = Field(description="The 100 most active.")
    endpoints: list[EndpointUsage] = Field(description="The 100 most used.")
    timeline: list[TimelineBucket] = Field(description="Every bucket of the window, in order.")
    security: Security = Field(description="What was found and done.")


@router.get("/api/usage/analytics", summary="Usage of a window", responses=responses(401, 403, 422, 503))
def usage_analytics(context: Use, asked: Whole) -> UsageAnalytics:
    """Return usage, latency, errors and security of a window, from rollups."""
    with context.engine.connect() as connection:
        found = usage.read(connection, asked.slice.window, asked.slice.tenant)
    return UsageAnalytics(
        window=asked.span.body,
        general_metrics=_general(found),
        models=[ModelUsage(model=name, **counts(one), **quantiles(one)) for name, one in found.models],
        users=[UserUsage(user=name, **counts(one)) for name, one in found.users],
        endpoints=[EndpointUsage(endpoint=name, **counts(one)) for name, one in found.endpoints],
        timeline=[bucket(start, one) for start, one in found.timeline],
        security=_security(found),
    )


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
