"""The glossary: every value that flows through the sidecar, and the closed sets its words come from.

In: nothing of ours. Out: frozen values: Head, LlmMessage(segments), View, Finding, Assessment, Decision(edits), DecisionRecord.
The same words stand in proto/douane/v1/decision.proto, in SQL, in metrics and in prose.
Units: spans are half-open [start, end) in code points of the source segment; scores are on the mission's scale
(LOW 0-4, MEDIUM 5-9, HIGH 10-14, CRITICAL 15 and more); confidences are 0..1; *_us are microseconds.
Never: behaviour beyond what a value says about itself; imports from other stations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Surface(StrEnum):
    """Where in a conversation a text stands. Rules and thresholds differ by it."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_RESULT = "tool_result"
    TOOL_DEFINITION = "tool_definition"
    TOOL_CALL = "tool_call"
    DOCUMENT = "document"
    OUTPUT = "output"
    REASONING = "reasoning"


class ThreatType(StrEnum):
    """What a finding is about: a closed set (DESIGN 4)."""

    PROMPT_INJECTION = "prompt_injection"
    INDIRECT_INJECTION = "indirect_injection"
    JAILBREAK = "jailbreak"
    DATA_EXTRACTION = "data_extraction"
    CODE_INJECTION = "code_injection"
    SECRET_LEAK = "secret_leak"  # noqa: S105 - the name of a threat
    PII_LEAK = "pii_leak"
    EXFILTRATION = "exfiltration"
    UNSAFE_TOOL_CALL = "unsafe_tool_call"
    SYSTEM_PROMPT_LEAK = "system_prompt_leak"
    SUSPICIOUS_PATTERN = "suspicious_pattern"
    USER_RISK = "user_risk"


class RiskLevel(StrEnum):
    """The mission's four levels, least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


LEVEL_FLOORS = ((15.0, RiskLevel.CRITICAL), (10.0, RiskLevel.HIGH), (5.0, RiskLevel.MEDIUM), (0.0, RiskLevel.LOW))


class Action(StrEnum):
    """What happens to an exchange."""

    ALLOW = "allow"
    ALLOW_UNSCANNED = "allow_unscanned"
    REDACT = "redact"
    THROTTLE = "throttle"
    DENY = "deny"


class Mode(StrEnum):
    """enforce acts on a verdict; observe writes the same record and never blocks."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class FailureKind(StrEnum):
    """Why an inspection failed: a closed set, and the label of the failure counter."""

    MALFORMED_BODY = "malformed_body"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    TOO_LARGE = "too_large"
    DEADLINE = "deadline"
    DETECTOR_ERROR = "detector_error"
    SPOOL_FULL = "spool_full"
    ILLEGAL_EVENT = "illegal_event"
    INTERNAL = "internal"
    UNKNOWN_MODEL = "unknown_model"
    NOT_INSPECTED = "not_inspected"
    NOT_EDITABLE = "not_editable"


class UnscannedReason(StrEnum):
    """Why bytes of a body were not looked at."""

    BINARY = "binary"
    ENCODING = "encoding"
    LIMIT = "limit"
    FAILURE = "failure"
    UPGRADE = "upgrade"


class Outcome(StrEnum):
    """How an exchange ended, as its client saw it."""

    PENDING = "pending"
    ANSWERED = "answered"
    DENIED = "denied"
    FAILED = "failed"
    UPSTREAM_ERROR = "upstream_error"
    CLIENT_ABORTED = "client_aborted"
    UNKNOWN = "unknown"


class ContentCapture(StrEnum):
    """How much of the text a record keeps."""

    NONE = "none"
    REDACTED = "redacted"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a request beside its body. Header names are lower case; a header that was not sent is absent."""

    method: str = ""
    path: str = ""
    host: str = ""
    request_id: str = ""
    source_address: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Segment:
    """One text of a message. message_index counts messages from 0, -1 outside them; path is a JSON pointer into the body."""

    text: str
    surface: Surface
    message_index: int = -1
    path: str = ""


@dataclass(frozen=True, slots=True)
class Unscanned:
    """Bytes that were not looked at, and why."""

    reason: UnscannedReason
    bytes: int


@dataclass(frozen=True, slots=True)
class LlmMessage:
    """A request as its protocol's reader understood it. max_tokens is what it lets the answer cost, None where it does not say."""

    protocol: str
    segments: tuple[Segment, ...]
    model: str = ""
    stream: bool = False
    messages: int = 0
    user: str = ""
    unscanned: tuple[Unscanned, ...] = ()
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; None where it did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class LlmReply:
    """An answer as its protocol's reader understood it, streamed or not."""

    segments: tuple[Segment, ...] = ()
    model: str = ""
    finish_reason: str = ""
    usage: Usage | None = None
    tool_calls: int = 0
    refusal: bool = False
    unscanned: tuple[Unscanned, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a segment: as it was sent, folded, or decoded.

    Shape: len(origin) == len(text); origin[i] is the code point of segment.text that view.text[i] came from;
    folded_follows tells that the next view is this one folded: who reads folded text only may wait for it;
    news are the places of a folded text that differ from the one as sent, ascending and apart, None for all of it.
    """

    kind: str
    text: str
    origin: Sequence[int]
    surface: Surface
    folded_follows: bool = False
    news: tuple[tuple[int, int], ...] | None = None

    def span(self, start: int, end: int) -> "Span":
        """Return the source span that view.text[start:end] came from."""
        if start >= end or not len(self.origin):
            return Span(0, 0)
        return Span(self.origin[start], self.origin[end - 1] + 1)


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open [start, end) in code points of the source segment."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector saw. weight is what this finding alone would add to the score."""

    type: ThreatType
    detector: str
    rule_id: str
    span: Span
    weight: float
    confidence: float = 1.0
    view: str = "as_sent"


@dataclass(frozen=True, slots=True)
class Threat:
    """A finding with its place in the exchange and the share of the score that scoring gave it."""

    finding: Finding
    segment: Segment
    score: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """What scoring made of the findings. reasons tell in order how the number came to be.

    Shape: found is every finding with its segment; threats hold one per rule and segment. Masking needs all, the ignored too.
    """

    score: float = 0.0
    threats: tuple[Threat, ...] = ()
    reasons: tuple[str, ...] = ()
    found: tuple[tuple[Segment, Finding], ...] = ()
    ignored: tuple[tuple[Segment, Finding], ...] = ()

    @property
    def level(self) -> RiskLevel:
        """The mission's level of this score."""
        return level_of(self.score)


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace span of the segment at path by text."""

    segment: Segment
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which bytes of one direction were looked at."""

    body_bytes: int = 0
    scanned_bytes: int = 0
    unscanned: tuple[Unscanned, ...] = ()

    @property
    def complete(self) -> bool:
        """True when nothing was left unscanned."""
        return not self.unscanned


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls. user_source is header, body, api_key or address."""

    user: str = ""
    user_source: str = ""
    tenant: str = "default"
    session: str = ""
    pod: str = ""
    namespace: str = ""
    service_account: str = ""
    source_address: str = ""
    key_fingerprint: str = ""
    team: str = ""


@dataclass(frozen=True, slots=True)
class InspectionFailed:
    """An inspection that came to no result. detail never holds content."""

    kind: FailureKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy says. applied is done, would_be what enforce mode would do; wait_s: until it may pass; by_risk: for its user."""

    applied: Action
    would_be: Action
    mode: Mode
    status: int = 200
    message: str = ""
    reasons: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()
    wait_s: int = 0
    by_risk: bool = False

    @property
    def refuses(self) -> bool:
        """True when the request does not go on to the provider."""
        return self.applied in (Action.DENY, Action.THROTTLE)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What looking at a request brought to light. plain is the body that was read, where its content-encoding was taken off."""

    message: LlmMessage
    assessment: Assessment
    coverage: Coverage
    failure: InspectionFailed | None = None
    plain: bytes | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that is known when a request is decided: the first half of a record.

    Units: started_unix_us is wall-clock time, others count from the request's arrival; waived: exceptions that applied, had ended.
    """

    decision_id: str
    head: Head
    door: str
    provider: str
    identity: Identity
    inspection: Inspection
    decision: Decision
    outcome: Outcome
    policy_version: str
    ruleset_version: str
    capture: ContentCapture
    started_unix_us: int
    inspect_us: int
    verdict_us: int
    http_status: int = 0
    waived: tuple[int, int] = (0, 0)

    @property
    def final(self) -> bool:
        """True when nothing more will come: we answered the client ourselves."""
        return self.outcome is not Outcome.PENDING


@dataclass(frozen=True, slots=True)
class Completion:
    """How an exchange ended: the second half of a record. applied: REDACT when leaks were taken out, DENY when it was cut."""

    outcome: Outcome
    http_status: int
    response_flags: str
    reply: LlmReply
    assessment: Assessment
    coverage: Coverage
    capture: ContentCapture
    score: float
    verdict_us: int
    first_byte_us: int
    total_us: int
    reasons: tuple[str, ...] = ()
    applied: Action | None = None
    leaked_chars: int | None = None


def level_of(score: float) -> RiskLevel:
    """Return the mission's level of a score (>= 0)."""
    for floor, level in LEVEL_FLOORS:
        if score >= floor:
            return level
    return RiskLevel.LOW
