from typing import Any

import pytest
from douane.v1 import decision_pb2 as pb
from sqlalchemy import Engine

from analytics.ingest import decode as module
from analytics.ingest.decode import RecordError, decode
from analytics.store import database, records
from analytics.types import DecisionRow, ThreatRow
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record

HUGE = 2**64 - 1


def test_a_whole_record() -> None:
    one = record(
        9,
        identity={
            "user": "eve",
            "user_source": "header",
            "tenant": "acme",
            "pod": "web-1",
            "namespace": "shop",
            "service_account": "web",
            "source_address": "10.0.0.7",
            "key_fingerprint": "0123456789abcdef",
        },
        usage={
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "cached_tokens": 4,
            "reasoning_tokens": 3,
            "estimated": True,
        },
        failure=pb.FAILURE_KIND_DEADLINE,
        failure_detail="250 ms",
        request_coverage={
            "body_bytes": 9,
            "scanned_bytes": 5,
            "unscanned": [{"reason": pb.UNSCANNED_REASON_BINARY, "bytes": 4}],
        },
        content={"capture": pb.CONTENT_CAPTURE_REDACTED, "prompt": "hi [REDACTED:pii_leak]"},
        stream=True,
        refusal=True,
        session="s1",
        attempt=2,
    )
    one.identity.team = "shop"
    del one.threats[1]
    assert decode(one) == DecisionRow(
        decision_id=decision_id(9, BEGAN_UNIX_US + 900_000),
        stage="complete",
        outcome="denied",
        applied="deny",
        would_be="deny",
        mode="enforce",
        score=17.5,
        level="critical",
        failure="deadline",
        tenant="acme",
        user="eve",
        team="shop",
        session="s1",
        provider="openai",
        model="gpt-4o",
        endpoint="/v1/chat/completions",
        protocol="openai_chat",
        door="gateway",
        stream=True,
        complete=False,
        refusal=True,
        http_status=403,
        attempt=2,
        finish_reason="stop",
        prompt_chars=800,
        response_chars=600,
        prompt_tokens=10,
        completion_tokens=5,
        total_tokens=15,
        cost_nanousd=None,
        started_unix_us=BEGAN_UNIX_US + 900_000,
        verdict_us=700,
        first_byte_us=0,
        total_us=0,
        detail={
            "cached_tokens": 4,
            "reasoning_tokens": 3,
            "estimated": True,
            "method": "POST",
            "host": "api.openai.com",
            "request_id": "req-9",
            "policy_version": "1",
            "ruleset_version": "2026.11",
            "sidecar": "web-1/0",
            "messages": 3,
            "user_source": "header",
            "pod": "web-1",
            "namespace": "shop",
            "service_account": "web",
            "source_address": "10.0.0.7",
            "key_fingerprint": "0123456789abcdef",
            "inspect_us": 300,
            "failure_detail": "250 ms",
            "reasons": ["prompt_injection.ignore_instructions +10.0", "jailbreak.dan +7.5"],
            "request_coverage": {
                "body_bytes": 9,
                "scanned_bytes": 5,
                "complete": False,
                "unscanned": [{"reason": "binary", "bytes": 4}],
            },
            "content": {"capture": "redacted", "prompt": "hi [REDACTED:pii_leak]", "response": ""},
        },
        threats=(
            ThreatRow(
                position=0,
                type="prompt_injection",
                detector="prompt_injection",
                rule_id="prompt_injection.some_rule",
                surface="user",
                message_index=0,
                path="/messages/0/content",
                score=10.0,
                confidence=0.9,
                span_start=0,
                span_end=23,
                match_chars=23,
                match_digest="9f" * 16,
                view="as_sent",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"decision_id": ""}, "decision_id is not 32 lower-case hex digits"),
        ({"decision_id": "x" * 32}, "decision_id is not 32 lower-case hex digits"),
        ({"decision_id": decision_id(1).upper()}, "decision_id is not 32 lower-case hex digits"),
        ({"stage": 0}, "stage 0 is not known"),
        ({"stage": 77}, "stage 77 is not known"),
        ({"score": float("nan")}, "score is not a finite number"),
        ({"threats": [{"score": float("inf")}]}, "a threat's score is not a finite number"),
        (
            {"decision_id": "f" * 32, "timings": {"started_unix_us": HUGE}},
            "neither started_unix_us nor decision_id holds a time between 2020 and 2100",
        ),
    ],
)
def test_what_can_never_be_stored_is_refused_with_a_reason(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode(record(1, **fields))
    assert str(caught.value) == reason


@pytest.mark.parametrize("started", [0, 1, HUGE])
def test_a_clock_never_set_is_replaced_by_the_time_in_the_id(started: int) -> None:
    row = decode(record(1, decision_id=decision_id(1), timings={"started_unix_us": started}))
    assert row.started_unix_us == BEGAN_UNIX_US


def test_enum_values_of_a_newer_sidecar_are_unspecified() -> None:
    row = decode(
        record(1, applied=99, outcome=99, level=99, mode=99, failure=99, threats=[{"type": 99, "surface": 99}])
    )
    words = (row.applied, row.outcome, row.level, row.mode, row.failure, row.threats[0].type, row.threats[0].surface)
    assert words == ("unspecified",) * 7


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        ({}, None),
        ({"completion_tokens": 3}, None),
        ({"prompt_tokens": 2, "completion_tokens": 3}, 5),
        ({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 9}, 9),
        ({"prompt_tokens": HUGE, "completion_tokens": HUGE}, 2**63 - 1),
    ],
)
def test_total_tokens(usage: dict[str, int], total: int | None) -> None:
    assert decode(record(1, usage=usage)).total_tokens == total


def test_a_direction_that_never_came_leaves_nothing_unscanned() -> None:
    assert decode(record(1, response_coverage=None)).complete
    assert not decode(record(1, response_coverage={"body_bytes": 1})).complete


def hostile() -> pb.DecisionRecord:
    """Return a record with everything a database or a page might stumble over."""
    text = "\x00<script>alert('x')</script>\u202e{{7*7}}'; DROP TABLE records; --" + "é😀" * 60_000
    one = record(
        1,
        model=text,
        endpoint=text,
        provider=text,
        request_id=text,
        identity={"user": text, "tenant": text, "pod": text},
        reasons=[text] * 1_000,
        failure_detail=text,
        content={"prompt": text * 20, "response": text},
        http_status=2**32 - 1,
        usage={"prompt_tokens": HUGE, "completion_tokens": HUGE, "cached_tokens": HUGE, "total_tokens": HUGE},
        request_coverage={"body_bytes": HUGE, "unscanned": [{"bytes": HUGE}] * 1_000},
        messages=2**32 - 1,
        prompt_chars=HUGE,
    )
    one.threats.extend(
        pb.Threat(
            rule_id=text, path=text, view=text, span_end=2**32 - 1, message_index=-(2**31), match_digest=b"x" * 999
        )
        for _ in range(1_000)
    )
    one.timings.total_us = HUGE
    one.timings.finished_unix_us = HUGE
    return one


def test_hostile_text_and_numbers_are_stored(engine: Engine) -> None:
    row = decode(hostile())
    with database.writing(engine) as connection:
        records.store(connection, [row])
    with engine.connect() as connection:
        assert records.read(connection, [row.decision_id]) == {row.decision_id: row}
    assert len(row.model) == module.NAME_CHARS
    assert row.model.startswith("\ufffd<script>")
    assert row.model.endswith("…")
    assert (len(row.threats), row.detail["threats_left_out"]) == (module.MAX_THREATS, 1_000 - module.MAX_THREATS)
    assert len(row.detail["content"]["prompt"]) == module.CONTENT_CHARS
