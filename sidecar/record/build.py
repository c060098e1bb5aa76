"""Records as bytes of the contract: the verdict's half, and the completion's half.

In: a Verdict, a Completion. Out: serialized DecisionRecord messages.
The two halves are merged by putting their bytes one after the other: in protobuf's wire format a later scalar replaces an
earlier one, a repeated field grows, a message merges. So completing a record costs its new half only.
Never: the matched text of a threat (its length and keyed digest instead), prompts beyond the capture setting, API keys.
If masking fails the content is erased and the record kept, marked.
Source: https://protobuf.dev/programming-guides/encoding/#last-one-wins, read 2026-11.
"""

from collections.abc import Callable, Iterable
from typing import Any

from douane.v1 import decision_pb2 as pb

from sidecar.edit import edited, redact
from sidecar.types import (
    Action,
    Assessment,
    Completion,
    ContentCapture,
    Coverage,
    Finding,
    Head,
    Segment,
    Surface,
    Threat,
    Usage,
    Verdict,
)

_MAX_TEXT = 64 * 1024  # code points of captured content per direction
_MAX_NAME = 256
# Sent by the SDKs that Stainless generates, OpenAI's and Anthropic's first. Source: _base_client.py of openai 3.54, anthropic 2.13.
RETRY_HEADER = "x-stainless-retry-count"
_MAX_ATTEMPT, _ATTEMPT_DIGITS = 1_000, 9
_MAX_THREATS = 64  # a hostile prompt could hold thousands; the score counts them all, the record shows the first


def _numbers(enum: Any) -> dict[str, Any]:
    """Return an enum's numbers by our words: ACTION_ALLOW is allow. Every name of the contract starts with its enum's."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return {name.removeprefix(prefix).lower(): number for name, number in enum.items()}


_ACTION = _numbers(pb.Action)
_MODE = _numbers(pb.Mode)
_LEVEL = _numbers(pb.RiskLevel)
_THREAT = _numbers(pb.ThreatType)
_SURFACE = _numbers(pb.Surface)
_FAILURE = _numbers(pb.FailureKind)
_REASON = _numbers(pb.UnscannedReason)
_OUTCOME = _numbers(pb.Outcome)

Digest = Callable[[str], bytes]


def verdict_bytes(verdict: Verdict, sidecar: str, digest: Digest) -> bytes:
    """Return the first half of a record, or the whole of it when the exchange ended with the verdict."""
    inspection, identity, message = verdict.inspection, verdict.identity, verdict.inspection.message
    record = pb.DecisionRecord(
        decision_id=verdict.decision_id,
        stage=pb.STAGE_COMPLETE if verdict.final else pb.STAGE_VERDICT,
        outcome=_OUTCOME[verdict.outcome],
        applied=_ACTION[verdict.decision.applied],
        would_be=_ACTION[verdict.decision.would_be],
        mode=_MODE[verdict.decision.mode],
        score=inspection.assessment.score,
        level=_LEVEL[inspection.assessment.level],
        threats=_threats(inspection.assessment.threats, digest),
        reasons=_clean((*inspection.assessment.reasons, *verdict.decision.reasons)),
        identity=pb.Identity(
            user=_name(identity.user),
            user_source=identity.user_source,
            tenant=_name(identity.tenant),
            pod=identity.pod,
            namespace=identity.namespace,
            service_account=identity.service_account,
            source_address=identity.source_address,
            key_fingerprint=identity.key_fingerprint,
            team=_name(identity.team),
        ),
        provider=verdict.provider,
        model=_name(message.model),
        endpoint=_name(verdict.head.endpoint),
        method=_name(verdict.head.method),
        host=_name(verdict.head.host),
        protocol=message.protocol,
        stream=message.stream,
        door=verdict.door,
        request_id=_name(verdict.head.request_id),
        session=_name(identity.session),
        http_status=verdict.http_status,
        timings=pb.Timings(
            started_unix_us=verdict.started_unix_us, inspect_us=verdict.inspect_us, verdict_us=verdict.verdict_us
        ),
        request_coverage=_coverage(inspection.coverage),
        policy_version=verdict.policy_version,
        ruleset_version=verdict.ruleset_version,
        sidecar=sidecar,
        messages=message.messages,
        prompt_chars=sum(len(segment.text) for segment in message.segments),
        attempt=_attempt(verdict.head),
    )
    if inspection.failure is not None:
        record.failure = _FAILURE[inspection.failure.kind]
        record.failure_detail = _name(inspection.failure.detail)
    if verdict.final:
        record.timings.total_us = verdict.verdict_us
        record.timings.finished_unix_us = verdict.started_unix_us + verdict.verdict_us
    # Masking reads the text as it was found; what is kept in full is what went to the provider.
    full = verdict.capture is ContentCapture.FULL
    segments = edited(message.segments, verdict.decision.edits) if full else message.segments
    _capture(record.content, "prompt", verdict.capture, segments, inspection.assessment)
    return record.SerializeToString()


def completion_bytes(completion: Completion, started_unix_us: int, digest: Digest) -> bytes:
    """Return the second half of a record, to be put behind the first."""
    reply = completion.reply
    record = pb.DecisionRecord(
        stage=pb.STAGE_COMPLETE,
        outcome=_OUTCOME[completion.outcome],
        applied=_ACTION[completion.applied] if completion.applied is not None else None,
        score=completion.score,
        level=_LEVEL[completion.assessment.level] if completion.assessment.score >= completion.score else None,
        threats=_threats(completion.assessment.threats, digest),
        reasons=_clean(completion.reasons),
        http_status=completion.http_status,
        response_flags=completion.response_flags,
        finish_reason=_name(reply.finish_reason),
        usage=_usage(reply.usage),
        timings=pb.Timings(
            verdict_us=completion.verdict_us,
            first_byte_us=completion.first_byte_us,
            total_us=completion.total_us,
            finished_unix_us=started_unix_us + completion.total_us,
        ),
        response_coverage=_coverage(completion.coverage),
        response_chars=sum(len(segment.text) for segment in reply.segments),
        tool_calls=reply.tool_calls,
        refusal=reply.refusal,
    )
    capture = completion.capture
    if capture is ContentCapture.FULL and completion.applied is Action.REDACT:
        capture = ContentCapture.REDACTED  # what was kept from the client is not kept here
    _capture(record.content, "response", capture, reply.segments, completion.assessment)
    return record.SerializeToString()


def incomplete_bytes() -> bytes:
    """Return the second half for an exchange whose completion never came."""
    return pb.DecisionRecord(stage=pb.STAGE_INCOMPLETE, outcome=pb.OUTCOME_UNKNOWN).SerializeToString()


def _threats(threats: Iterable[Threat], digest: Digest) -> list[pb.Threat]:
    return [_threat(threat, digest) for threat, _ in zip(threats, range(_MAX_THREATS), strict=False)]


def _threat(threat: Threat, digest: Digest) -> pb.Threat:
    finding, segment = threat.finding, threat.segment
    span = finding.span
    return pb.Threat(
        type=_THREAT[finding.type],
        detector=finding.detector,
        rule_id=finding.rule_id,
        surface=_SURFACE[segment.surface],
        message_index=segment.message_index,
        path=_mask(segment.path),
        score=threat.score,
        confidence=finding.confidence,
        span_start=span.start,
        span_end=span.end,
        match_chars=span.end - span.start,
        match_digest=digest(segment.text[span.start : span.end]),
        view=finding.view,
    )


def _attempt(head: Head) -> int:
    """Return which retry of its client this is: 0 for the first try, and for clients that do not say."""
    told = head.headers.get(RETRY_HEADER, "")
    return min(int(told), _MAX_ATTEMPT) if told.isascii() and told.isdecimal() and len(told) <= _ATTEMPT_DIGITS else 0


def _mask(path: str) -> str:
    """Keep a path's shape: keys of more than 32 characters may be content."""
    return "/".join(step if len(step) <= 32 else f"({len(step)} characters)" for step in path.split("/"))[:128]


def _name(text: str) -> str:
    """Bound a name, and replace what UTF-8 cannot carry."""
    return text[:_MAX_NAME].encode("utf-8", "replace").decode()


def _clean(reasons: Iterable[str]) -> list[str]:
    return [_name(reason) for reason in reasons]


def _coverage(coverage: Coverage) -> pb.Coverage:
    return pb.Coverage(
        body_bytes=coverage.body_bytes,
        scanned_bytes=coverage.scanned_bytes,
        unscanned=[pb.Unscanned(reason=_REASON[item.reason], bytes=item.bytes) for item in coverage.unscanned[:16]],
        complete=coverage.complete,
    )


def _usage(usage: Usage | None) -> pb.Usage | None:
    if usage is None:
        return None
    return pb.Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        total_tokens=usage.total_tokens,
        estimated=usage.estimated,
    )


def _capture(
    content: pb.Content, field: str, capture: ContentCapture, segments: tuple[Segment, ...], assessment: Assessment
) -> None:
    if capture is ContentCapture.NONE:
        content.capture = pb.CONTENT_CAPTURE_NONE
        return
    try:
        found: dict[Segment, list[Finding]] = {}
        every = (*assessment.found, *assessment.ignored)
        for segment, finding in every if capture is ContentCapture.REDACTED else ():
            found.setdefault(segment, []).append(finding)
        kept = (segment for segment in segments if segment.surface is not Surface.REASONING)
        parts = (redact(s.text, found[s]) if s in found else s.text for s in kept)
        text = "\n\n".join(parts)[:_MAX_TEXT].encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001 - whatever masking stumbles over, the content goes and the record stays
        content.capture = pb.CONTENT_CAPTURE_ERASED
        return
    content.capture = pb.CONTENT_CAPTURE_FULL if capture is ContentCapture.FULL else pb.CONTENT_CAPTURE_REDACTED
    setattr(content, field, text)
