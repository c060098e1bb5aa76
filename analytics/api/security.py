"""GET /api/security/{summary,threats,timeline}: what was found, what was done, and how often analysts agreed.

In: a window, what to narrow to. Out: counts by level, action, threat type, rule and surface; each rule's precision as
analysts judged it; the same over time. Users are in security_users.py.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.api.parameters import Narrowed, Whole, moment
from analytics.api.windows import WindowBody
from analytics.store import cubes, threats, usage, verdicts
from analytics.store.threats import Finding
from analytics.store.verdicts import RulePrecision
from analytics.types import ACTIONS, LEVELS, Totals

router = APIRouter(tags=["security"])
PROBLEMS = responses(401, 403, 422, 503)
WINDOW = Field(description="What the numbers are about.")
# What a summary shows of rules; the whole list is in /threats.
_TOP_RULES = 20
_OVER_TIME = ("requests", "outcome_denied", "threats", *(f"level_{name}" for name in LEVELS))
_LEVEL_COUNTS = {"low": 1100, "medium": 30, "high": 10, "critical": 60}


class Found(BaseModel):
    """How often something was found."""

    name: str = Field(description="The threat type, rule or surface.", examples=["prompt_injection"])
    count: int = Field(description="Threats.", examples=[42])
    by_level: dict[str, int] = Field(description="By the level of their exchange.", examples=[{"critical": 42}])


class Judged(BaseModel):
    """What analysts found of a rule, by their last word on each decision it fired in."""

    rule: str = Field(description="The rule.", examples=["prompt_injection.ignore_instructions"])
    true_positives: int = Field(description="Decisions in which it was right.", examples=[18])
    false_positives: int = Field(description="Decisions in which it was wrong.", examples=[2])
    unclear: int = Field(description="Decisions nobody could tell; they count for neither.", examples=[1])
    precision: float | None = Field(
        description="true_positives / (true_positives + false_positives); null when nobody judged.", examples=[0.9]
    )


class SecuritySummary(BaseModel):
    """A window as a whole."""

    window: WindowBody = WINDOW
    total_requests: int = Field(description="Exchanges that have ended.", examples=[1200])
    blocked_requests: int = Field(description="Douane answered 403 or 429.", examples=[60])
    risky_requests: int = Field(description="Requests of level high or critical.", examples=[70])
    threats: int = Field(description="Threats found.", examples=[75])
    mean_score: float | None = Field(description="Mean risk score; null without requests.", examples=[0.8])
    would_refuse: int = Field(description="Requests that enforce mode refuses or would have refused.", examples=[60])
    inspection_failures: int = Field(description="Requests whose inspection failed.", examples=[0])
    fail_open: int = Field(description="Of these, passed all the same.", examples=[0])
    unscanned: int = Field(description="Exchanges with bytes that were not scanned.", examples=[3])
    by_level: dict[str, int] = Field(description="Requests by risk level.", examples=[_LEVEL_COUNTS])
    by_action: dict[str, int] = Field(description="Requests by what happened.", examples=[{"allow": 1140, "deny": 60}])
    by_type: list[Found] = Field(description="Threats by type, most first.")
    by_rule: list[Found] = Field(description="Threats by rule, the 20 most frequent.")
    by_surface: list[Found] = Field(description="Threats by where they stood, most first.")
    judged_decisions: list[Judged] = Field(description="Every rule that analysts judged, most judged first.")
    precision: float | None = Field(description="Precision over all rules; null when nobody judged.", examples=[0.9])


class Threats(BaseModel):
    """What was found, by one thing."""

    window: WindowBody = WINDOW
    by: str = Field(description="What they are listed by.", examples=["type"])
    total: int = Field(description="Threats found.", examples=[75])
    threats: list[Found] = Field(description="Most first; at most `limit`.")
    left_out: int = Field(description="How many entries the limit left out.", examples=[0])


class SecurityBucket(BaseModel):
    """One bucket of time; a bucket without requests is there with zeros."""

    start: datetime = Field(description="First moment of the bucket.", examples=["2026-11-18T11:00:00Z"])
    total_requests: int = Field(description="Exchanges that have ended.", examples=[310])
    blocked_requests: int = Field(description="Douane answered 403 or 429.", examples=[4])
    threats: int = Field(description="Threats found.", examples=[6])
    by_type: dict[str, int] = Field(description="Threats by type.", examples=[{"jailbreak": 6}])
    by_level: dict[str, int] = Field(description="Requests by risk level.", examples=[_LEVEL_COUNTS])


class SecurityTimeline(BaseModel):
    """What was found over time."""

    window: WindowBody = WINDOW
    timeline: list[SecurityBucket] = Field(description="Every bucket of the window, in order.")


@router.get("/api/security/summary", summary="Security of a window", responses=PROBLEMS)
def summary(context: Use, asked: Whole) -> SecuritySummary:
    """Return what was found and done in a window, and the precision of the rules as analysts judged it."""
    window = asked.slice.window
    with context.engine.connect() as connection:
        totals = cubes.sums(connection, asked.slice).get((), Totals())
        found = {by: threats.findings(connection, asked.slice, by) for by in threats.KINDS}
        judged = verdicts.precision(connection, window.start_unix_s, window.end_unix_s, asked.slice.tenant)
    return SecuritySummary(
        window=asked.span.body,
        total_requests=totals.requests,
        blocked_requests=totals.outcome_denied,
        risky_requests=totals.risky,
        threats=totals.threats,
        mean_score=totals.score_milli / totals.requests / 1_000 if totals.requests else None,
        would_refuse=totals.would_refuse,
        inspection_failures=totals.inspection_failures,
        fail_open=totals.fail_open,
        unscanned=totals.unscanned,
        by_level={name: getattr(totals, f"level_{name}") for name in LEVELS},
        by_action={name: getattr(totals, f"action_{name}") for name in ACTIONS},
        by_type=shown(found["type"]),
        by_rule=shown(found["rule"][:_TOP_RULES]),
        by_surface=shown(found["surface"]),
        judged_decisions=[_judged(one) for one in judged],
        precision=_overall(judged),
    )


@router.get("/api/security/threats", summary="Threats by type, rule or surface", responses=PROBLEMS)
def listed(
    context: Use,
    asked: Narrowed,
    by: Annotated[
        threats.Kind,
        Query(description="type: what it is. rule: what found it. surface: where it stood.", examples=["rule"]),
    ] = "type",
    limit: Annotated[int, Query(ge=1, le=1_000, description="Most entries of the list.", examples=[100])] = 100,
) -> Threats:
    """Return what was found in a window, of everything or of one model, provider, endpoint, user."""
    with context.engine.connect() as connection:
        found = threats.findings(connection, asked.slice, by)
    return Threats(
        window=asked.span.body,
        by=by,
        total=sum(one.count for one in found),
        threats=shown(found[:limit]),
        left_out=max(0, len(found) - limit),
    )


@router.get("/api/security/timeline", summary="Threats over time", responses=PROBLEMS)
def timeline(context: Use, asked: Narrowed) -> SecurityTimeline:
    """Return what was found in each bucket of the window, of everything or of one model, provider, endpoint, user."""
    with context.engine.connect() as connection:
        counted = usage.counted(connection, asked.slice, _OVER_TIME)
        types = threats.over_time(connection, asked.slice)
    buckets = [_bucket(start, counted.get(start, Totals()), by_type) for start, by_type in types]
    return SecurityTimeline(window=asked.span.body, timeline=buckets)


def shown(found: tuple[Finding, ...]) -> list[Found]:
    """Return findings as answers show them."""
    return [Found(name=one.label, count=one.count, by_level=dict(one.levels)) for one in found]


def _bucket(start: int, totals: Totals, by_type: dict[str, int]) -> SecurityBucket:
    return SecurityBucket(
        start=moment(start),
        total_requests=totals.requests,
        blocked_requests=totals.outcome_denied,
        threats=totals.threats,
        by_type=by_type,
        by_level={name: getattr(totals, f"level_{name}") for name in LEVELS},
    )


def _judged(one: RulePrecision) -> Judged:
    return Judged(
        rule=one.rule_id,
        true_positives=one.true_positives,
        false_positives=one.false_positives,
        unclear=one.unclear,
        precision=one.precision,
    )


def _overall(judged: tuple[RulePrecision, ...]) -> float | None:
    right, wrong = sum(one.true_positives for one in judged), sum(one.false_positives for one in judged)
    return RulePrecision("", right, wrong).precision
