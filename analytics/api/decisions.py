"""GET /api/decisions and /api/decisions/{id}: what was decided about each exchange, newest first.

Pages follow each other by the id of the last decision looked at (`next_cursor`): ids sort by time, so records that arrive
meanwhile shift nothing. A search looks at so many records a page (store/search.py), so a page may be short, or empty, and
not the last. Never: text of a record outside its JSON string.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from analytics.api.auth import Viewer
from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.api.opinions import FeedbackBody, VerdictBody, Word, feedback_body, verdict_body
from analytics.api.parameters import DecisionId, Limit, Name, PathName, moment, scope
from analytics.api.windows import Moment
from analytics.store import feedback, records, search, verdicts
from analytics.types import DecisionRow, ThreatRow

router = APIRouter(tags=["decisions"])

Action = Literal["allow", "allow_unscanned", "redact", "throttle", "deny", "unspecified"]
Level = Literal["low", "medium", "high", "critical", "unspecified"]
Outcome = Literal[
    "pending", "answered", "denied", "failed", "upstream_error", "client_aborted", "unknown", "unspecified"
]
Stage = Literal["verdict", "complete", "incomplete"]


class Threat(BaseModel):
    """One finding. The matched text is never kept: its length and a keyed digest are."""

    model_config = ConfigDict(from_attributes=True)

    type: str = Field(description="One of the closed set of threat types.", examples=["prompt_injection"])
    rule_id: str = Field(description="The rule that found it.", examples=["prompt_injection.ignore_instructions"])
    detector: str = Field(description="The detector the rule belongs to.", examples=["prompt_injection"])
    surface: str = Field(description="Where in the conversation it stands.", examples=["user"])
    message_index: int = Field(description="Place of the message in the conversation, -1 outside it.", examples=[0])
    path: str = Field(description="JSON pointer into the body.", examples=["/messages/0/content"])
    score: float = Field(description="What it adds to the score, before weighing.", examples=[10.0])
    confidence: float = Field(description="0..1.", examples=[0.9])
    span_start: int = Field(description="First code point of the match in its text.", examples=[0])
    span_end: int = Field(description="First code point behind the match.", examples=[23])
    match_chars: int = Field(description="Length of the matched text.", examples=[23])
    match_digest: str = Field(
        description="Keyed digest of it: the same text, the same digest.", examples=["9f86d081884c7d659a2feaa0c55ad015"]
    )
    view: str = Field(description="The reading it was found in.", examples=["as_sent"])


class Decision(BaseModel):
    """What was decided about one exchange, in short."""

    model_config = ConfigDict(from_attributes=True)

    decision_id: str = Field(description="Sorts by time.", examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    started_at: datetime = Field(description="When the request came.", examples=["2026-11-18T11:06:41.9Z"])
    stage: Stage = Field(
        description="verdict: decided, not ended yet. incomplete: nobody saw the end.", examples=["complete"]
    )
    outcome: Outcome = Field(description="How it ended.", examples=["denied"])
    applied: Action = Field(description="What happened to the request.", examples=["deny"])
    would_be: Action = Field(description="What enforce mode would have done.", examples=["deny"])
    mode: str = Field(description="enforce or observe.", examples=["enforce"])
    score: float = Field(description="LOW 0-4, MEDIUM 5-9, HIGH 10-14, CRITICAL 15 and more.", examples=[17.5])
    level: Level = Field(description="The score in a word.", examples=["critical"])
    failure: str = Field(description="Why inspection failed; unspecified when it did not.", examples=["unspecified"])
    tenant: str = Field(description="Whose exchange it is.", examples=["default"])
    user: str = Field(description="Who asked; empty when nobody knows.", examples=["alice"])
    team: str = Field(description="The user's team, where a header names it.", examples=["sales"])
    provider: str = Field(description="Who was asked.", examples=["openai"])
    model: str = Field(description="The model as the request names it.", examples=["gpt-4o"])
    endpoint: str = Field(description="Path of the provider's API.", examples=["/v1/chat/completions"])
    door: str = Field(description="How it came in: gateway, proxy, transparent, generate.", examples=["gateway"])
    http_status: int = Field(description="What the client saw, 0 when it saw nothing.", examples=[403])
    complete: bool = Field(description="False when bytes were left unscanned.", examples=[True])
    prompt_tokens: int | None = Field(description="Null when the answer told none.", examples=[120])
    completion_tokens: int | None = Field(description="Null when the answer told none.", examples=[40])
    total_tokens: int | None = Field(description="Null when the answer told none.", examples=[160])
    cost_usd: float | None = Field(description="US dollars; null without a known price or usage.", examples=[0.0012])
    latency: float | None = Field(description="Seconds to the end of the provider's answer.", examples=[1.25])
    threat_types: list[str] = Field(description="Each type once.", examples=[["prompt_injection"]])
    verdict: Word | None = Field(description="An analyst's last word, null when nobody judged.", examples=[None])


class DecisionDetail(Decision):
    """The whole record."""

    protocol: str = Field(description="Which reader understood the body.", examples=["openai_chat"])
    stream: bool = Field(description="Whether the answer came as a stream.", examples=[True])
    refusal: bool = Field(description="Whether the answer says that the model refused.", examples=[False])
    session: str = Field(description="The conversation it belongs to; empty without one.", examples=["s-1"])
    attempt: int = Field(description="The client's retries so far.", examples=[0])
    finish_reason: str = Field(description="Why the model stopped, in the provider's word.", examples=["stop"])
    prompt_chars: int = Field(description="Characters of the prompt.", examples=[800])
    response_chars: int = Field(description="Characters of the answer.", examples=[600])
    verdict_us: int = Field(description="Microseconds from the request to our verdict.", examples=[850])
    first_byte_us: int = Field(
        description="Microseconds to the answer's first byte, 0 when none came.", examples=[310000]
    )
    total_us: int = Field(description="Microseconds to the end of the exchange.", examples=[1250000])
    threats: list[Threat] = Field(description="What was found, in the order of the record.")
    verdicts: list[VerdictBody] = Field(description="What analysts said, oldest first.")
    feedback: list[FeedbackBody] = Field(description="How users rated the answer, newest first, at most 100.")
    detail: dict[str, Any] = Field(
        description="What else the record holds: reasons, coverage, identity, versions, content by capture policy.",
        examples=[{"reasons": ["prompt_injection.ignore_instructions +10.0"], "sidecar": "web-1/0"}],
    )


class DecisionPage(BaseModel):
    """One page of decisions, newest first."""

    decisions: list[Decision] = Field(description="Newest first.")
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next page; null on the last one. A page may be short, even empty, before.",
        examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"],
    )


class Filters(BaseModel):
    """What decisions are narrowed to: of a page, of an export."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid")

    action: Action | None = Field(default=None, description="What happened to the request.", examples=["deny"])
    outcome: Outcome | None = Field(default=None, description="How it ended.", examples=["denied"])
    level: Level | None = Field(default=None, description="The risk level.", examples=["critical"])
    min_score: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="The least score.", examples=[10]
    )
    user: Name | None = Field(default=None, description="Who asked.", examples=["alice"])
    model: Name | None = Field(default=None, description="The model.", examples=["gpt-4o"])
    provider: Name | None = Field(default=None, description="The provider.", examples=["openai"])
    tenant: Name | None = Field(
        default=None, description="One tenant; all that may be seen when left out.", examples=["default"]
    )
    endpoint: PathName | None = Field(default=None, description="The path.", examples=["/v1/chat/completions"])
    session: Name | None = Field(default=None, description="The conversation.", examples=["s-1"])
    threat_type: Name | None = Field(
        default=None, description="A type of threat that was found.", examples=["jailbreak"]
    )
    rule: Name | None = Field(default=None, description="A rule that fired.", examples=["jailbreak.dan"])
    from_: Moment | None = Field(
        default=None, alias="from", description="First moment, RFC 3339 with zone.", examples=["2026-11-18T00:00:00Z"]
    )
    to: Moment | None = Field(
        default=None, description="First moment no longer asked for.", examples=["2026-11-25T00:00:00Z"]
    )

    def filter(self, tenant: str | None) -> search.Filter:
        """Return the store's words for it."""
        equal = {"applied": self.action}
        equal |= {
            name: getattr(self, name)
            for name in ("outcome", "level", "user", "model", "provider", "endpoint", "session")
        }
        return search.Filter(
            equal={name: value for name, value in equal.items() if value is not None},
            tenant=tenant,
            min_score=self.min_score,
            threat_type=self.threat_type,
            rule_id=self.rule,
            from_unix_us=_unix_us(self.from_),
            to_unix_us=_unix_us(self.to),
        )


class Narrowing(Filters):
    """The query of a page."""

    limit: Limit = 50
    cursor: DecisionId | None = Field(
        default=None, description="The previous page's next_cursor.", examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"]
    )


@router.get("/api/decisions", summary="Search decisions", responses=responses(401, 403, 422, 503))
def decisions(context: Use, who: Viewer, query: Annotated[Narrowing, Query()]) -> DecisionPage:
    """Return a page of decisions that pass every filter, newest first."""
    asked = query.filter(scope(who, query.tenant))
    with context.engine.connect() as connection:
        found = search.page(connection, asked, query.limit, query.cursor)
        judged = verdicts.newest(connection, [row.decision_id for row in found.rows])
    return DecisionPage(
        decisions=[Decision.model_validate(_fields(row, judged.get(row.decision_id))) for row in found.rows],
        next_cursor=found.after,
    )


@router.get("/api/decisions/{decision_id}", summary="Read one decision", responses=responses(401, 403, 404, 422, 503))
def decision(
    context: Use,
    who: Viewer,
    decision_id: Annotated[
        DecisionId, Path(description="The decision.", examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    ],
) -> DecisionDetail:
    """Return one decision whole, with its threats, its reasons, and what analysts and users said about it."""
    with context.engine.connect() as connection:
        row = records.read(connection, [decision_id]).get(decision_id)
        if row is None or not who.sees(row.tenant):
            raise ApiError(404, "no decision has this id", "decision_id")
        said = [verdict_body(one) for one in verdicts.history(connection, decision_id)]
        rated = [feedback_body(one) for one in feedback.of(connection, decision_id)]
    fields = _fields(row, said[-1].verdict if said else None)
    return DecisionDetail.model_validate(fields | {"verdicts": said, "feedback": rated})


def _fields(row: DecisionRow, verdict: str | None) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in DecisionRow.__dataclass_fields__}
    return fields | {
        "started_at": moment(row.started_unix_us / 1e6),
        "latency": None if row.latency_us is None else row.latency_us / 1e6,
        "cost_usd": None if row.cost_nanousd is None else row.cost_nanousd / 1e9,
        "threat_types": _types(row.threats),
        "verdict": verdict,
    }


def _types(threats: tuple[ThreatRow, ...]) -> list[str]:
    return list(dict.fromkeys(threat.type for threat in threats))


def _unix_us(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1e6)
