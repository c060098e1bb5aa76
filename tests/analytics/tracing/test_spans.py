import json
from dataclasses import replace

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from analytics.ingest.decode import decode
from analytics.tracing.spans import spans
from analytics.types import DecisionRow
from tests.analytics.tracing.backend import attributes
from tests.analytics.traffic import BEGAN_UNIX_US, record


def answered() -> DecisionRow:
    row = replace(decode(record(3, session="s-1", finish_reason="stop")), cost_nanousd=1_250_000, first_byte_us=400_000)
    return replace(row, detail=dict(row.detail) | {"content": {"capture": "full", "prompt": "hi", "response": "hello"}})


def test_the_call_carries_the_conventions_and_langfuses_names() -> None:
    row = answered()
    call, _ = spans(row, "test")
    given = dict(call.attributes or {})
    assert (call.name, call.start_time, call.end_time) == (
        "chat gpt-4o",
        row.started_unix_us * 1_000,
        (row.started_unix_us + row.total_us) * 1_000,
    )
    assert {name: value for name, value in given.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.conversation.id": "s-1",
        "gen_ai.usage.input_tokens": 103,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert (given["user.id"], given["session.id"]) == ("user-3", "s-1")
    assert given["langfuse.trace.tags"] == ("verdict:allow", "level:low", "tenant:default", "door:gateway")
    assert json.loads(given["langfuse.observation.usage_details"]) == {"input": 103, "output": 40, "total": 143}
    assert json.loads(given["langfuse.observation.cost_details"]) == {"total": 0.00125}
    assert (given["langfuse.observation.input"], given["langfuse.observation.output"]) == ("hi", "hello")
    assert json.loads(given["langfuse.observation.completion_start_time"]) == "2026-11-18T11:06:40.700000Z"


def test_the_verdict_is_a_guardrail_under_the_call() -> None:
    row = decode(record(9))
    call, verdict = spans(row, "test")
    given = dict(verdict.attributes or {})
    assert call.context is not None
    assert verdict.parent == call.context
    assert f"{call.context.trace_id:032x}" == row.decision_id
    assert verdict.end_time == (row.started_unix_us + row.verdict_us) * 1_000
    assert (given["langfuse.observation.type"], given["langfuse.observation.level"]) == ("guardrail", "ERROR")
    assert (given["douane.action"], given["douane.score"], given["douane.level"]) == ("deny", 17.5, "critical")
    assert given["douane.threats"] == ("prompt_injection", "jailbreak")


def test_what_the_record_does_not_hold_is_not_made_up() -> None:
    row = replace(decode(record(3)), prompt_tokens=None, completion_tokens=None, total_tokens=None, cost_nanousd=None)
    given = dict(spans(row, "test")[0].attributes or {})
    for name in ("input", "output", "usage_details", "cost_details", "completion_start_time"):
        assert f"langfuse.observation.{name}" not in given
    assert "gen_ai.usage.input_tokens" not in given


def test_a_failed_call_is_an_error() -> None:
    row = replace(decode(record(3)), outcome="upstream_error", http_status=503)
    call, _ = spans(row, "test")
    assert (call.status.is_ok, dict(call.attributes or {})["error.type"]) == (False, "503")


def test_the_same_exchange_is_the_same_trace_on_the_wire() -> None:
    one, two = (encode_spans(list(spans(answered(), "test"))) for _ in range(2))
    assert one == two
    wire = one.resource_spans[0].scope_spans[0].spans
    assert {span.name for span in wire} == {"chat gpt-4o", "douane verdict"}
    assert attributes(wire[0])["langfuse.environment"] == "test"
    assert wire[0].start_time_unix_nano == (BEGAN_UNIX_US + 300_000) * 1_000
