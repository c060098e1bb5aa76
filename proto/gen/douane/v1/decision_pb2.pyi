from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_VERDICT: _ClassVar[Stage]
    STAGE_COMPLETE: _ClassVar[Stage]
    STAGE_INCOMPLETE: _ClassVar[Stage]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_PENDING: _ClassVar[Outcome]
    OUTCOME_ANSWERED: _ClassVar[Outcome]
    OUTCOME_DENIED: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]
    OUTCOME_UPSTREAM_ERROR: _ClassVar[Outcome]
    OUTCOME_CLIENT_ABORTED: _ClassVar[Outcome]
    OUTCOME_UNKNOWN: _ClassVar[Outcome]

class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_UNSPECIFIED: _ClassVar[Action]
    ACTION_ALLOW: _ClassVar[Action]
    ACTION_ALLOW_UNSCANNED: _ClassVar[Action]
    ACTION_REDACT: _ClassVar[Action]
    ACTION_THROTTLE: _ClassVar[Action]
    ACTION_DENY: _ClassVar[Action]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_ENFORCE: _ClassVar[Mode]
    MODE_OBSERVE: _ClassVar[Mode]

class RiskLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RISK_LEVEL_UNSPECIFIED: _ClassVar[RiskLevel]
    RISK_LEVEL_LOW: _ClassVar[RiskLevel]
    RISK_LEVEL_MEDIUM: _ClassVar[RiskLevel]
    RISK_LEVEL_HIGH: _ClassVar[RiskLevel]
    RISK_LEVEL_CRITICAL: _ClassVar[RiskLevel]

class ThreatType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    THREAT_TYPE_UNSPECIFIED: _ClassVar[ThreatType]
    THREAT_TYPE_PROMPT_INJECTION: _ClassVar[ThreatType]
    THREAT_TYPE_INDIRECT_INJECTION: _ClassVar[ThreatType]
    THREAT_TYPE_JAILBREAK: _ClassVar[ThreatType]
    THREAT_TYPE_DATA_EXTRACTION: _ClassVar[ThreatType]
    THREAT_TYPE_CODE_INJECTION: _ClassVar[ThreatType]
    THREAT_TYPE_SECRET_LEAK: _ClassVar[ThreatType]
    THREAT_TYPE_PII_LEAK: _ClassVar[ThreatType]
    THREAT_TYPE_EXFILTRATION: _ClassVar[ThreatType]
    THREAT_TYPE_UNSAFE_TOOL_CALL: _ClassVar[ThreatType]
    THREAT_TYPE_SYSTEM_PROMPT_LEAK: _ClassVar[ThreatType]
    THREAT_TYPE_SUSPICIOUS_PATTERN: _ClassVar[ThreatType]
    THREAT_TYPE_USER_RISK: _ClassVar[ThreatType]

class Surface(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SURFACE_UNSPECIFIED: _ClassVar[Surface]
    SURFACE_SYSTEM: _ClassVar[Surface]
    SURFACE_USER: _ClassVar[Surface]
    SURFACE_ASSISTANT: _ClassVar[Surface]
    SURFACE_TOOL_RESULT: _ClassVar[Surface]
    SURFACE_TOOL_DEFINITION: _ClassVar[Surface]
    SURFACE_TOOL_CALL: _ClassVar[Surface]
    SURFACE_DOCUMENT: _ClassVar[Surface]
    SURFACE_OUTPUT: _ClassVar[Surface]
    SURFACE_REASONING: _ClassVar[Surface]

class FailureKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_KIND_UNSPECIFIED: _ClassVar[FailureKind]
    FAILURE_KIND_MALFORMED_BODY: _ClassVar[FailureKind]
    FAILURE_KIND_UNSUPPORTED_ENCODING: _ClassVar[FailureKind]
    FAILURE_KIND_TOO_LARGE: _ClassVar[FailureKind]
    FAILURE_KIND_DEADLINE: _ClassVar[FailureKind]
    FAILURE_KIND_DETECTOR_ERROR: _ClassVar[FailureKind]
    FAILURE_KIND_SPOOL_FULL: _ClassVar[FailureKind]
    FAILURE_KIND_ILLEGAL_EVENT: _ClassVar[FailureKind]
    FAILURE_KIND_INTERNAL: _ClassVar[FailureKind]
    FAILURE_KIND_UNKNOWN_MODEL: _ClassVar[FailureKind]
    FAILURE_KIND_NOT_INSPECTED: _ClassVar[FailureKind]
    FAILURE_KIND_NOT_EDITABLE: _ClassVar[FailureKind]

class UnscannedReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNSCANNED_REASON_UNSPECIFIED: _ClassVar[UnscannedReason]
    UNSCANNED_REASON_BINARY: _ClassVar[UnscannedReason]
    UNSCANNED_REASON_ENCODING: _ClassVar[UnscannedReason]
    UNSCANNED_REASON_LIMIT: _ClassVar[UnscannedReason]
    UNSCANNED_REASON_FAILURE: _ClassVar[UnscannedReason]
    UNSCANNED_REASON_UPGRADE: _ClassVar[UnscannedReason]

class ContentCapture(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTENT_CAPTURE_UNSPECIFIED: _ClassVar[ContentCapture]
    CONTENT_CAPTURE_NONE: _ClassVar[ContentCapture]
    CONTENT_CAPTURE_REDACTED: _ClassVar[ContentCapture]
    CONTENT_CAPTURE_FULL: _ClassVar[ContentCapture]
    CONTENT_CAPTURE_ERASED: _ClassVar[ContentCapture]
STAGE_UNSPECIFIED: Stage
STAGE_VERDICT: Stage
STAGE_COMPLETE: Stage
STAGE_INCOMPLETE: Stage
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_PENDING: Outcome
OUTCOME_ANSWERED: Outcome
OUTCOME_DENIED: Outcome
OUTCOME_FAILED: Outcome
OUTCOME_UPSTREAM_ERROR: Outcome
OUTCOME_CLIENT_ABORTED: Outcome
OUTCOME_UNKNOWN: Outcome
ACTION_UNSPECIFIED: Action
ACTION_ALLOW: Action
ACTION_ALLOW_UNSCANNED: Action
ACTION_REDACT: Action
ACTION_THROTTLE: Action
ACTION_DENY: Action
MODE_UNSPECIFIED: Mode
MODE_ENFORCE: Mode
MODE_OBSERVE: Mode
RISK_LEVEL_UNSPECIFIED: RiskLevel
RISK_LEVEL_LOW: RiskLevel
RISK_LEVEL_MEDIUM: RiskLevel
RISK_LEVEL_HIGH: RiskLevel
RISK_LEVEL_CRITICAL: RiskLevel
THREAT_TYPE_UNSPECIFIED: ThreatType
THREAT_TYPE_PROMPT_INJECTION: ThreatType
THREAT_TYPE_INDIRECT_INJECTION: ThreatType
THREAT_TYPE_JAILBREAK: ThreatType
THREAT_TYPE_DATA_EXTRACTION: ThreatType
THREAT_TYPE_CODE_INJECTION: ThreatType
THREAT_TYPE_SECRET_LEAK: ThreatType
THREAT_TYPE_PII_LEAK: ThreatType
THREAT_TYPE_EXFILTRATION: ThreatType
THREAT_TYPE_UNSAFE_TOOL_CALL: ThreatType
THREAT_TYPE_SYSTEM_PROMPT_LEAK: ThreatType
THREAT_TYPE_SUSPICIOUS_PATTERN: ThreatType
THREAT_TYPE_USER_RISK: ThreatType
SURFACE_UNSPECIFIED: Surface
SURFACE_SYSTEM: Surface
SURFACE_USER: Surface
SURFACE_ASSISTANT: Surface
SURFACE_TOOL_RESULT: Surface
SURFACE_TOOL_DEFINITION: Surface
SURFACE_TOOL_CALL: Surface
SURFACE_DOCUMENT: Surface
SURFACE_OUTPUT: Surface
SURFACE_REASONING: Surface
FAILURE_KIND_UNSPECIFIED: FailureKind
FAILURE_KIND_MALFORMED_BODY: FailureKind
FAILURE_KIND_UNSUPPORTED_ENCODING: FailureKind
FAILURE_KIND_TOO_LARGE: FailureKind
FAILURE_KIND_DEADLINE: FailureKind
FAILURE_KIND_DETECTOR_ERROR: FailureKind
FAILURE_KIND_SPOOL_FULL: FailureKind
FAILURE_KIND_ILLEGAL_EVENT: FailureKind
FAILURE_KIND_INTERNAL: FailureKind
FAILURE_KIND_UNKNOWN_MODEL: FailureKind
FAILURE_KIND_NOT_INSPECTED: FailureKind
FAILURE_KIND_NOT_EDITABLE: FailureKind
UNSCANNED_REASON_UNSPECIFIED: UnscannedReason
UNSCANNED_REASON_BINARY: UnscannedReason
UNSCANNED_REASON_ENCODING: UnscannedReason
UNSCANNED_REASON_LIMIT: UnscannedReason
UNSCANNED_REASON_FAILURE: UnscannedReason
UNSCANNED_REASON_UPGRADE: UnscannedReason
CONTENT_CAPTURE_UNSPECIFIED: ContentCapture
CONTENT_CAPTURE_NONE: ContentCapture
CONTENT_CAPTURE_REDACTED: ContentCapture
CONTENT_CAPTURE_FULL: ContentCapture
CONTENT_CAPTURE_ERASED: ContentCapture

class Threat(_message.Message):
    __slots__ = ("type", "detector", "rule_id", "surface", "message_index", "path", "score", "confidence", "span_start", "span_end", "match_chars", "match_digest", "view")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    SPAN_START_FIELD_NUMBER: _ClassVar[int]
    SPAN_END_FIELD_NUMBER: _ClassVar[int]
    MATCH_CHARS_FIELD_NUMBER: _ClassVar[int]
    MATCH_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    type: ThreatType
    detector: str
    rule_id: str
    surface: Surface
    message_index: int
    path: str
    score: float
    confidence: float
    span_start: int
    span_end: int
    match_chars: int
    match_digest: bytes
    view: str
    def __init__(self, type: _Optional[_Union[ThreatType, str]] = ..., detector: _Optional[str] = ..., rule_id: _Optional[str] = ..., surface: _Optional[_Union[Surface, str]] = ..., message_index: _Optional[int] = ..., path: _Optional[str] = ..., score: _Optional[float] = ..., confidence: _Optional[float] = ..., span_start: _Optional[int] = ..., span_end: _Optional[int] = ..., match_chars: _Optional[int] = ..., match_digest: _Optional[bytes] = ..., view: _Optional[str] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("user", "user_source", "tenant", "pod", "namespace", "service_account", "source_address", "key_fingerprint", "team")
    USER_FIELD_NUMBER: _ClassVar[int]
    USER_SOURCE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    KEY_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    user: str
    user_source: str
    tenant: str
    pod: str
    namespace: str
    service_account: str
    source_address: str
    key_fingerprint: str
    team: str
    def __init__(self, user: _Optional[str] = ..., user_source: _Optional[str] = ..., tenant: _Optional[str] = ..., pod: _Optional[str] = ..., namespace: _Optional[str] = ..., service_account: _Optional[str] = ..., source_address: _Optional[str] = ..., key_fingerprint: _Optional[str] = ..., team: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "total_tokens", "estimated")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_tokens: int
    estimated: bool
    def __init__(self, prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ..., total_tokens: _Optional[int] = ..., estimated: _Optional[bool] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("started_unix_us", "inspect_us", "verdict_us", "first_byte_us", "total_us", "finished_unix_us")
    STARTED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    INSPECT_US_FIELD_NUMBER: _ClassVar[int]
    VERDICT_US_FIELD_NUMBER: _ClassVar[int]
    FIRST_BYTE_US_FIELD_NUMBER: _ClassVar[int]
    TOTAL_US_FIELD_NUMBER: _ClassVar[int]
    FINISHED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    started_unix_us: int
    inspect_us: int
    verdict_us: int
    first_byte_us: int
    total_us: int
    finished_unix_us: int
    def __init__(self, started_unix_us: _Optional[int] = ..., inspect_us: _Optional[int] = ..., verdict_us: _Optional[int] = ..., first_byte_us: _Optional[int] = ..., total_us: _Optional[int] = ..., finished_unix_us: _Optional[int] = ...) -> None: ...

class Unscanned(_message.Message):
    __slots__ = ("reason", "bytes")
    REASON_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    reason: UnscannedReason
    bytes: int
    def __init__(self, reason: _Optional[_Union[UnscannedReason, str]] = ..., bytes: _Optional[int] = ...) -> None: ...

class Coverage(_message.Message):
    __slots__ = ("body_bytes", "scanned_bytes", "unscanned", "complete")
    BODY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCANNED_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNSCANNED_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    body_bytes: int
    scanned_bytes: int
    unscanned: _containers.RepeatedCompositeFieldContainer[Unscanned]
    complete: bool
    def __init__(self, body_bytes: _Optional[int] = ..., scanned_bytes: _Optional[int] = ..., unscanned: _Optional[_Iterable[_Union[Unscanned, _Mapping]]] = ..., complete: _Optional[bool] = ...) -> None: ...

class Content(_message.Message):
    __slots__ = ("capture", "prompt", "response")
    CAPTURE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    capture: ContentCapture
    prompt: str
    response: str
    def __init__(self, capture: _Optional[_Union[ContentCapture, str]] = ..., prompt: _Optional[str] = ..., response: _Optional[str] = ...) -> None: ...

class DecisionRecord(_message.Message):
    __slots__ = ("decision_id", "stage", "outcome", "applied", "would_be", "mode", "score", "level", "threats", "reasons", "failure", "failure_detail", "identity", "provider", "model", "endpoint", "method", "host", "protocol", "stream", "door", "request_id", "session", "http_status", "response_flags", "finish_reason", "usage", "timings", "request_coverage", "response_coverage", "content", "policy_version", "ruleset_version", "sidecar", "messages", "prompt_chars", "response_chars", "tool_calls", "refusal", "attempt")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    WOULD_BE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    THREATS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_DETAIL_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    HTTP_STATUS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FLAGS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    RULESET_VERSION_FIELD_NUMBER: _ClassVar[int]
    SIDECAR_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_CHARS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_CHARS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    stage: Stage
    outcome: Outcome
    applied: Action
    would_be: Action
    mode: Mode
    score: float
    level: RiskLevel
    threats: _containers.RepeatedCompositeFieldContainer[Threat]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    failure: FailureKind
    failure_detail: str
    identity: Identity
    provider: str
    model: str
    endpoint: str
    method: str
    host: str
    protocol: str
    stream: bool
    door: str
    request_id: str
    session: str
    http_status: int
    response_flags: str
    finish_reason: str
    usage: Usage
    timings: Timings
    request_coverage: Coverage
    response_coverage: Coverage
    content: Content
    policy_version: str
    ruleset_version: str
    sidecar: str
    messages: int
    prompt_chars: int
    response_chars: int
    tool_calls: int
    refusal: bool
    attempt: int
    def __init__(self, decision_id: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., applied: _Optional[_Union[Action, str]] = ..., would_be: _Optional[_Union[Action, str]] = ..., mode: _Optional[_Union[Mode, str]] = ..., score: _Optional[float] = ..., level: _Optional[_Union[RiskLevel, str]] = ..., threats: _Optional[_Iterable[_Union[Threat, _Mapping]]] = ..., reasons: _Optional[_Iterable[str]] = ..., failure: _Optional[_Union[FailureKind, str]] = ..., failure_detail: _Optional[str] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., endpoint: _Optional[str] = ..., method: _Optional[str] = ..., host: _Optional[str] = ..., protocol: _Optional[str] = ..., stream: _Optional[bool] = ..., door: _Optional[str] = ..., request_id: _Optional[str] = ..., session: _Optional[str] = ..., http_status: _Optional[int] = ..., response_flags: _Optional[str] = ..., finish_reason: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., request_coverage: _Optional[_Union[Coverage, _Mapping]] = ..., response_coverage: _Optional[_Union[Coverage, _Mapping]] = ..., content: _Optional[_Union[Content, _Mapping]] = ..., policy_version: _Optional[str] = ..., ruleset_version: _Optional[str] = ..., sidecar: _Optional[str] = ..., messages: _Optional[int] = ..., prompt_chars: _Optional[int] = ..., response_chars: _Optional[int] = ..., tool_calls: _Optional[int] = ..., refusal: _Optional[bool] = ..., attempt: _Optional[int] = ...) -> None: ...
