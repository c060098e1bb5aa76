"""From the contract's DecisionRecord to a frozen DecisionRow.

In: protobuf records as sidecars send them; their text comes from attackers. Out: rows that both engines can hold.
What a database would refuse is made harmless here (NUL, integers beyond 63 bits, endless text), what cannot be stored
at all raises RecordError with a reason. Enum values we do not know (a newer sidecar's) become `unspecified`.
Never: protobuf messages further inward; content in a reason.
"""

import math
import re
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from douane.v1 import decision_pb2 as pb
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from analytics.types import DecisionRow, ThreatRow

# Longest texts, in code points. Names are labels and filters, content is capped by the sidecar long before.
NAME_CHARS = 256
PATH_CHARS = 2_048
REASON_CHARS = 1_024
CONTENT_CHARS = 1_000_000
MAX_THREATS = 256
MAX_REASONS = 256
MAX_INTEGER = 2**63 - 1
MAX_SMALL = 2**31 - 1
MAX_CHARS = 2**40  # more is no text; sums must stay below 63 bits
# Anything outside is a clock that was never set: 2020-01-01 to 2100-01-01 UTC.
EARLIEST_UNIX_US, LATEST_UNIX_US = 1_577_836_800_000_000, 4_102_444_800_000_000

NO_TENANT = "default"  # whose a record is that names no tenant

_ID = re.compile(r"[0-9a-f]{32}")


class RecordError(ValueError):
    """A record that can never be stored; the message is the reason told to the sidecar."""


def _names(wrapper: EnumTypeWrapper, prefix: str) -> dict[int, str]:
    return {number: name.removeprefix(prefix).lower() for name, number in wrapper.items()}


_STAGES = {pb.STAGE_VERDICT: "verdict", pb.STAGE_COMPLETE: "complete", pb.STAGE_INCOMPLETE: "incomplete"}
_OUTCOMES = _names(pb.Outcome, "OUTCOME_")
_ACTIONS = _names(pb.Action, "ACTION_")
_MODES = _names(pb.Mode, "MODE_")
_LEVELS = _names(pb.RiskLevel, "RISK_LEVEL_")
_THREAT_TYPES = _names(pb.ThreatType, "THREAT_TYPE_")
_SURFACES = _names(pb.Surface, "SURFACE_")
_FAILURES = _names(pb.FailureKind, "FAILURE_KIND_")
_REASONS = _names(pb.UnscannedReason, "UNSCANNED_REASON_")
_CAPTURES = _names(pb.ContentCapture, "CONTENT_CAPTURE_")
_UNKNOWN = "unspecified"

# The fields of the contract that go into `detail` under their own names.
_PLAIN = (
    *("method", "host", "request_id", "response_flags", "policy_version", "ruleset_version", "sidecar", "messages"),
    "tool_calls",
    *(f"identity.{name}" for name in ("user_source", "pod", "namespace", "service_account", "source_address")),
    *("identity.key_fingerprint", "timings.inspect_us", "timings.finished_unix_us"),
)
_PLAIN_NAMES = tuple(name.rpartition(".")[2] for name in _PLAIN)
_PLAIN_VALUES = attrgetter(*_PLAIN)
_TOKENS = ("cached_tokens", "reasoning_tokens", "estimated")


def decode(record: pb.DecisionRecord) -> DecisionRow:
    """Return the row of a record.

    Bounds: texts are cut to the lengths above, at most MAX_THREATS threats and MAX_REASONS reasons are kept (the rest
    is counted in detail), integers are clamped to 63 bits.
    Raises: RecordError when the record has no usable id, stage, time or score.
    """
    if not _ID.fullmatch(record.decision_id):
        raise RecordError("decision_id is not 32 lower-case hex digits")
    stage = _STAGES.get(record.stage)
    if stage is None:
        raise RecordError(f"stage {record.stage} is not known")
    identity, timings = record.identity, record.timings
    used = {field.name: min(value, MAX_INTEGER) for field, value in record.usage.ListFields()}
    return DecisionRow(
        decision_id=record.decision_id,
        stage=stage,
        outcome=_OUTCOMES.get(record.outcome, _UNKNOWN),
        applied=_ACTIONS.get(record.applied, _UNKNOWN),
        would_be=_ACTIONS.get(record.would_be, _UNKNOWN),
        mode=_MODES.get(record.mode, _UNKNOWN),
        score=_number(record.score, "score"),
        level=_LEVELS.get(record.level, _UNKNOWN),
        failure=_FAILURES.get(record.failure, _UNKNOWN),
        tenant=_text(identity.tenant, NAME_CHARS) or NO_TENANT,
        user=_text(identity.user, NAME_CHARS),
        team=_text(identity.team, NAME_CHARS),
        session=_text(record.session, NAME_CHARS),
        provider=_text(record.provider, NAME_CHARS),
        model=_text(record.model, NAME_CHARS),
        endpoint=_text(record.endpoint, PATH_CHARS),
        protocol=_text(record.protocol, NAME_CHARS),
        door=_text(record.door, NAME_CHARS),
        stream=record.stream,
        complete=_covered(record),
        refusal=record.refusal,
        http_status=min(record.http_status, MAX_SMALL),
        attempt=min(record.attempt, MAX_SMALL),
        finish_reason=_text(record.finish_reason, NAME_CHARS),
        prompt_chars=min(record.prompt_chars, MAX_CHARS),
        response_chars=min(record.response_chars, MAX_CHARS),
        prompt_tokens=used.get("prompt_tokens"),
        completion_tokens=used.get("completion_tokens"),
        total_tokens=_total_tokens(used),
        cost_nanousd=None,
        started_unix_us=_started(record.decision_id, timings.started_unix_us),
        verdict_us=min(timings.verdict_us, MAX_INTEGER),
        first_byte_us=min(timings.first_byte_us, MAX_INTEGER),
        total_us=min(timings.total_us, MAX_INTEGER),
        detail=_detail(record, used),
        threats=tuple(_threat(place, one) for place, one in enumerate(record.threats[:MAX_THREATS])),
    )


def _text(value: str, limit: int) -> str:
    if len(value) > limit:
        value = value[: limit - 1] + "…"
    return value.replace("\x00", "\ufffd") if "\x00" in value else value  # PostgreSQL refuses NUL in text


def _number(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise RecordError(f"{name} is not a finite number")
    return value


def _total_tokens(used: Mapping[str, int]) -> int | None:
    if "total_tokens" in used or "prompt_tokens" not in used:
        return used.get("total_tokens")
    return min(used["prompt_tokens"] + used.get("completion_tokens", 0), MAX_INTEGER)


def _started(decision_id: str, started_unix_us: int) -> int:
    """Return when the request came: as the record says, else as its UUIDv7 says (48 bits of milliseconds)."""
    if EARLIEST_UNIX_US <= started_unix_us < LATEST_UNIX_US:
        return started_unix_us
    from_id_unix_us = int(decision_id[:12], 16) * 1_000
    if EARLIEST_UNIX_US <= from_id_unix_us < LATEST_UNIX_US:
        return from_id_unix_us
    raise RecordError("neither started_unix_us nor decision_id holds a time between 2020 and 2100")


def _covered(record: pb.DecisionRecord) -> bool:
    """Return True when nothing was left unscanned; a direction that never came about leaves nothing."""
    request, response = record.request_coverage, record.response_coverage
    return (request.complete or not record.HasField("request_coverage")) and (
        response.complete or not record.HasField("response_coverage")
    )


def _threat(position: int, threat: pb.Threat) -> ThreatRow:
    return ThreatRow(
        position=position,
        type=_THREAT_TYPES.get(threat.type, _UNKNOWN),
        detector=_text(threat.detector, NAME_CHARS),
        rule_id=_text(threat.rule_id, NAME_CHARS),
        surface=_SURFACES.get(threat.surface, _UNKNOWN),
        message_index=threat.message_index,
        path=_text(threat.path, PATH_CHARS),
        score=_number(threat.score, "a threat's score"),
        confidence=_number(threat.confidence, "a threat's confidence"),
        span_start=threat.span_start,
        span_end=threat.span_end,
        match_chars=threat.match_chars,
        match_digest=threat.match_digest[:64].hex(),
        view=_text(threat.view, NAME_CHARS),
    )


def _detail(record: pb.DecisionRecord, used: Mapping[str, int]) -> dict[str, Any]:
    """Return what has no column of its own; what is empty or 0 is left out, and so costs little."""
    detail: dict[str, Any] = {name: used[name] for name in _TOKENS if name in used}
    for name, value in zip(_PLAIN_NAMES, _PLAIN_VALUES(record), strict=True):
        if value:
            detail[name] = _text(value, NAME_CHARS) if value.__class__ is str else min(value, MAX_INTEGER)
    _add_nested(detail, record)
    return detail


def _add_nested(detail: dict[str, Any], record: pb.DecisionRecord) -> None:
    if record.failure_detail:
        detail["failure_detail"] = _text(record.failure_detail, REASON_CHARS)
    if reasons := record.reasons:
        detail["reasons"] = [_text(reason, REASON_CHARS) for reason in reasons[:MAX_REASONS]]
    if len(record.threats) > MAX_THREATS:
        detail["threats_left_out"] = len(record.threats) - MAX_THREATS
    if record.HasField("request_coverage"):
        detail["request_coverage"] = _coverage(record.request_coverage)
    if record.HasField("response_coverage"):
        detail["response_coverage"] = _coverage(record.response_coverage)
    if record.HasField("content"):
        detail["content"] = _content(record.content)


def _coverage(coverage: pb.Coverage) -> dict[str, Any]:
    return {
        "body_bytes": min(coverage.body_bytes, MAX_INTEGER),
        "scanned_bytes": min(coverage.scanned_bytes, MAX_INTEGER),
        "complete": coverage.complete,
        "unscanned": [_unscanned(one) for one in coverage.unscanned[:MAX_REASONS]] if coverage.unscanned else [],
    }


def _unscanned(part: pb.Unscanned) -> dict[str, Any]:
    return {"reason": _REASONS.get(part.reason, _UNKNOWN), "bytes": min(part.bytes, MAX_INTEGER)}


def _content(content: pb.Content) -> dict[str, Any]:
    return {
        "capture": _CAPTURES.get(content.capture, _UNKNOWN),
        "prompt": _text(content.prompt, CONTENT_CHARS),
        "response": _text(content.response, CONTENT_CHARS),
    }
