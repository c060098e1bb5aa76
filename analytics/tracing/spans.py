"""One exchange as two spans: the call of the model, and under it our verdict.

In: a final DecisionRow. Out: OpenTelemetry spans with the exchange's own times; ids made of its decision_id, so that the same
exchange sent twice is one trace.
The call carries OpenTelemetry's names for generative AI (gen_ai.*), which every backend reads, and Langfuse's own beside them;
the verdict is a guardrail. Prompt and answer are there when the record holds them, which the policy's content_capture decides.
Never: content that the record does not hold; a clock.
Source: OpenTelemetry semantic conventions for GenAI, 1.38; Langfuse 5's OTLP attributes (langfuse.com, integrations/native/
opentelemetry, read 2026-11); both are tried in tests/analytics/tracing.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from analytics.types import REFUSING, DecisionRow

_SCOPE = InstrumentationScope("douane.analytics")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# What the semantic conventions call an operation, by the reader that understood the body; a chat is the rest.
_OPERATIONS = {
    "openai_embeddings": "embeddings",
    "openai_completions": "text_completion",
    "gemini": "generate_content",
}
# The conventions' names of providers where they are not ours.
_PROVIDERS = {"azure": "azure.ai.openai", "bedrock": "aws.bedrock", "gemini": "gcp.gemini", "vertex": "gcp.vertex_ai"}
_LEVELS = {"critical": "ERROR", "high": "WARNING", "medium": "WARNING"}

Attributes = dict[str, Any]


def spans(row: DecisionRow, environment: str) -> tuple[ReadableSpan, ReadableSpan]:
    """Return the call and, its child, the verdict."""
    resource = Resource({"service.name": "douane", "deployment.environment.name": environment})
    call, verdict = _context(row, "call"), _context(row, "verdict")
    start = row.started_unix_us * 1_000
    end = start + max(row.total_us, row.verdict_us) * 1_000
    operation = _OPERATIONS.get(row.protocol, "chat")
    return (
        ReadableSpan(
            name=f"{operation} {row.model}".strip(),
            context=call,
            resource=resource,
            attributes=_call(row, operation) | {"langfuse.environment": environment},
            kind=SpanKind.CLIENT,
            status=_status(row),
            start_time=start,
            end_time=end,
            instrumentation_scope=_SCOPE,
        ),
        ReadableSpan(
            name="douane verdict",
            context=verdict,
            parent=call,
            resource=resource,
            attributes=_verdict(row) | {"langfuse.environment": environment},
            start_time=start,
            end_time=start + row.verdict_us * 1_000,
            instrumentation_scope=_SCOPE,
        ),
    )


def _context(row: DecisionRow, part: str) -> SpanContext:
    span_id = int.from_bytes(blake2b(f"{row.decision_id}/{part}".encode(), digest_size=8).digest())
    return SpanContext(int(row.decision_id, 16), span_id or 1, is_remote=False, trace_flags=_SAMPLED)


def _status(row: DecisionRow) -> Status:
    failed = row.outcome in ("failed", "upstream_error")
    return Status(StatusCode.ERROR, row.outcome) if failed else Status(StatusCode.UNSET)


def _call(row: DecisionRow, operation: str) -> Attributes:
    detail = row.detail
    found: Attributes = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(row.provider, row.provider),
        "gen_ai.request.model": row.model,
        "gen_ai.conversation.id": row.session,
        "gen_ai.usage.input_tokens": row.prompt_tokens,
        "gen_ai.usage.output_tokens": row.completion_tokens,
        "gen_ai.response.finish_reasons": (row.finish_reason,) if row.finish_reason else None,
        "error.type": _error(row),
        "server.address": detail.get("host"),
        "url.path": row.endpoint,
        "http.response.status_code": row.http_status or None,
        "user.id": row.user,
        "session.id": row.session,
        "langfuse.trace.name": f"{operation} {row.model}".strip(),
        "langfuse.trace.tags": _tags(row),
        "langfuse.observation.type": "embedding" if operation == "embeddings" else "generation",
        "langfuse.observation.level": "ERROR" if row.outcome in ("failed", "upstream_error") else "DEFAULT",
        "langfuse.observation.model.name": row.model,
        "langfuse.observation.usage_details": _usage(row),
        "langfuse.observation.cost_details": _cost(row),
        "langfuse.observation.completion_start_time": _first_byte(row),
    }
    return _given(found | _content(detail.get("content") or {}))


def _error(row: DecisionRow) -> str | None:
    if row.outcome == "upstream_error":
        return str(row.http_status or "upstream_error")
    return row.failure if row.outcome == "failed" else None


def _tags(row: DecisionRow) -> tuple[str, ...]:
    """Return what traces are found by: tags and scores can be filtered in Langfuse, metadata hardly."""
    kinds = dict.fromkeys(threat.type for threat in row.threats)
    places = (f"tenant:{row.tenant}", f"team:{row.team}" if row.team else "", f"door:{row.door}" if row.door else "")
    tags = (f"verdict:{row.applied}", f"level:{row.level}", *(f"threat:{kind}" for kind in kinds), *places)
    return tuple(tag for tag in tags if tag)


def _usage(row: DecisionRow) -> str | None:
    counts = {"input": row.prompt_tokens, "output": row.completion_tokens, "total": row.total_tokens}
    known = {name: count for name, count in counts.items() if count is not None}
    return json.dumps(known) if known else None


def _cost(row: DecisionRow) -> str | None:
    return None if row.cost_nanousd is None else json.dumps({"total": row.cost_nanousd / 1e9})


def _first_byte(row: DecisionRow) -> str | None:
    """Return when the answer began, as Langfuse reads it: JSON of an ISO 8601 moment."""
    if not row.first_byte_us:
        return None
    moment = datetime.fromtimestamp((row.started_unix_us + row.first_byte_us) / 1e6, UTC)
    return json.dumps(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def _content(content: Mapping[str, str]) -> Attributes:
    texts = {"input": content.get("prompt"), "output": content.get("response")}
    return {f"langfuse.observation.{name}": text for name, text in texts.items() if text}


def _verdict(row: DecisionRow) -> Attributes:
    refused = row.applied in REFUSING
    return _given(
        {
            "langfuse.observation.type": "guardrail",
            "langfuse.observation.level": "ERROR" if refused else _LEVELS.get(row.level, "DEFAULT"),
            "langfuse.observation.status_message": "; ".join(row.detail.get("reasons") or ()) or None,
            "langfuse.observation.output": json.dumps({"action": row.applied, "score": row.score, "level": row.level}),
            "douane.decision_id": row.decision_id,
            "douane.action": row.applied,
            "douane.would_be": row.would_be,
            "douane.mode": row.mode,
            "douane.score": row.score,
            "douane.level": row.level,
            "douane.threats": tuple(dict.fromkeys(threat.type for threat in row.threats)),
            "douane.rules": tuple(dict.fromkeys(threat.rule_id for threat in row.threats)),
            "douane.complete": row.complete,
            "douane.failure": None if row.failure == "unspecified" else row.failure,
            "douane.policy_version": row.detail.get("policy_version"),
        }
    )


def _given(attributes: Mapping[str, Any]) -> Attributes:
    return {name: value for name, value in attributes.items() if value not in (None, "", ())}
