"""GET /api/decisions and /api/decisions/{id}: what was decided about each exchange, newest first.

Pages follow each other by the id of the last decision shown (`next_cursor`): ids sort by time, so records that arrive
meanwhile shift nothing. Never: text of a record outside its JSON string.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.store import records
from analytics.types import DecisionRow, ThreatRow

router = APIRouter(tags=["decisions"])
_ID = r"^[0-9a-f]{32}$"

Action = Literal["allow", "allow_unscanned", "redact", "throttle", "deny", "unspecified"]
Level = Literal["low", "medium", "high", "critical", "unspecified"]
Outcome = Literal[
    "pending", "answered", "denied", "failed", "upstream_error", "client_aborted", "unknown", "unspecified"
]
Stage = Literal["verdict", "complete", "incomplete"]


class Threat(BaseModel):
    """One finding. The matched text is never kept: its length and a keyed digest are."""

    model_config = ConfigDict(from_attributes=True)

    type: str = Field(examples=["prompt_injection"])
    rule_id: str = Field(examples=["prompt_injection.ignore_instructions"])
    detector: str = Field(examples=["prompt_injection"])
    surface: str = Field(examples=["user"])
    message_index: int = Field(description="Place of the message in the conversation, -1 outside it.", examples=[0])
    path: str = Field(description="JSON pointer into the body.", examples=["/messages/0/content"])
    score: float = Field(examples=[10.0])
    confidence: float = Field(examples=[0.9])
    span_start: int = Field(examples=[0])
    span_end: int = Field(examples=[23])
    match_chars: int = Field(examples=[23])
    match_digest: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015"])
    view: str = Field(description="The reading it was found in.", examples=["as_sent"])


class Decision(BaseModel):
    """What was decided about one exchange, in short."""

    model_config = ConfigDict(from_attributes=True)

    decision_id: str = Field(examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    started_at: datetime
    stage: Stage
    outcome: Outcome
    applied: Action = Field(description="What happened to the request.")
    would_be: Action = Field(description="What enforce mode would have done.")
    mode: str = Field(examples=["enforce"])
    score: float = Field(description="LOW 0-4, MEDIUM 5-9, HIGH 10-14, CRITICAL 15 and more.", examples=[17.5])
    level: Level
    failure: str = Field(description="Why inspection failed; unspecified when it did not.", examples=["unspecified"])
    tenant: str = Field(examples=["default"])
    user: str = Field(examples=["alice"])
    provider: str = Field(examples=["openai"])
    model: str = Field(examples=["gpt-4o"])
    endpoint: str = Field(examples=["/v1/chat/completions"])
    door: str = Field(examples=["gateway"])
    http_status: int = Field(description="What the client saw, 0 when it saw nothing.", examples=[403])
    complete: bool = Field(description="False when bytes were left unscanned.")
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    latency: float | None = Field(description="Seconds to the end of the provider's answer.", examples=[1.25])
    threat_types: list[str] = Field(examples=[["prompt_injection"]])


class DecisionDetail(Decision):
    """The whole record."""

    protocol: str = Field(examples=["openai_chat"])
    stream: bool
    refusal: bool = Field(description="Whether the answer says that the model refused.")
    verdict_us: int = Field(description="Microseconds from the request to our verdict.", examples=[850])
    first_byte_us: int = Field(description="Microseconds to the answer's first byte, 0 when none came.")
    total_us: int = Field(description="Microseconds to the end of the exchange.")
    threats: list[Threat]
    detail: dict[str, Any] = Field(
        description="What else the record holds: reasons, coverage, identity, versions, content by capture policy.",
        examples=[{"reasons": ["prompt_injection.ignore_instructions +10.0"], "sidecar": "web-1/0"}],
    )


class DecisionPage(BaseModel):
    """One page of decisions, newest first."""

    decisions: list[Decision]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class Filters(BaseModel):
    """What decisions are narrowed to: of a page, of an export."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid")

    action: Action | None = None
    outcome: Outcome | None = None
    level: Level | None = None
    min_score: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    user: str | None = None
    model: str | None = None
    tenant: str | None = None
    endpoint: str | None = None
    threat_type: str | None = Field(default=None, examples=["jailbreak"])
    from_: AwareDatetime | None = Field(default=None, alias="from", description="First moment, ISO 8601 with zone.")
    to: AwareDatetime | None = Field(default=None, description="First moment no longer asked for.")

    def filter(self) -> records.Filter:
        """Return the store's words for it."""
        equal = {"applied": self.action} | {name: getattr(self, name) for name in ("outcome", "level", "user", "model")}
        equal |= {"tenant": self.tenant, "endpoint": self.endpoint}
        return records.Filter(
            equal={name: value.replace("\x00", "\ufffd") for name, value in equal.items() if value is not None},
            min_score=self.min_score,
            threat_type=None if self.threat_type is None else self.threat_type.replace("\x00", "\ufffd"),
            from_unix_us=_unix_us(self.from_),
            to_unix_us=_unix_us(self.to),
        )


class Narrowing(Filters):
    """The query of a page."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(pattern=_ID, description="The previous page's next_cursor.")] = None


@router.get("/api/decisions", responses=responses(422, 503))
def decisions(context: Use, query: Annotated[Narrowing, Query()]) -> DecisionPage:
    """Return a page of decisions, newest first."""
    with context.engine.connect() as connection:
        rows = records.page(connection, query.filter(), query.limit + 1, query.cursor)
    shown = rows[: query.limit]
    return DecisionPage(
        decisions=[Decision.model_validate(_fields(row)) for row in shown],
        next_cursor=shown[-1].decision_id if len(rows) > query.limit else None,
    )


@router.get("/api/decisions/{decision_id}", responses=responses(404, 422, 503))
def decision(context: Use, decision_id: Annotated[str, Path(pattern=_ID)]) -> DecisionDetail:
    """Return one decision whole, with its threats and reasons."""
    with context.engine.connect() as connection:
        held = records.read(connection, [decision_id])
    if decision_id not in held:
        raise ApiError(404, "no decision has this id", "decision_id")
    return DecisionDetail.model_validate(_fields(held[decision_id]))


def _fields(row: DecisionRow) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in DecisionRow.__dataclass_fields__}
    return fields | {
        "started_at": datetime.fromtimestamp(row.started_unix_us / 1e6, UTC),
        "latency": None if row.latency_us is None else row.latency_us / 1e6,
        "threat_types": _types(row.threats),
    }


def _types(threats: tuple[ThreatRow, ...]) -> list[str]:
    return list(dict.fromkeys(threat.type for threat in threats))


def _unix_us(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1e6)
