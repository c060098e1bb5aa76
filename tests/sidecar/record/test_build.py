"""Records as bytes: two halves that merge when put one behind the other."""

from dataclasses import replace
from typing import Any

import pytest
from douane.v1 import decision_pb2 as pb

from sidecar.detectors.ruleset import DEFAULT
from sidecar.pipeline import Pipeline, uninspected
from sidecar.record.build import completion_bytes, incomplete_bytes, verdict_bytes
from sidecar.types import (
    Action,
    Assessment,
    Completion,
    ContentCapture,
    Coverage,
    Decision,
    Edit,
    FailureKind,
    Finding,
    Inspection,
    InspectionFailed,
    LlmMessage,
    LlmReply,
    Mode,
    Outcome,
    Segment,
    Span,
    Surface,
    Threat,
    ThreatType,
    Unscanned,
    UnscannedReason,
    Usage,
    Verdict,
)
from tests.sidecar.values import CHAT, DECISION_ID, IDENTIFIER, answer, chat

# Assembled, so that scanners of this repository stay quiet.
SECRETS = tuple("AKIA" + letters for letters in ("IOSFODNN7EXAMPL2", "Q7M2ZLX5WJRT3VBN"))
STARTED = 1_700_000_000_000_000
FOUND = Finding(ThreatType.SECRET_LEAK, "secrets", "secrets.x", Span(4, 10), 9.0, 0.75, "folded")
TEXT = Segment("key: é1234 end", Surface.TOOL_RESULT, 3, "/messages/3/content")
THREAT = Threat(FOUND, TEXT, 6.75)


def verdict(**changes: Any) -> Verdict:
    message = LlmMessage("openai_chat", (TEXT,), "gpt-4o", stream=True, messages=4, user="ada")
    inspection = Inspection(
        message,
        Assessment(6.75, (THREAT,), ("secrets.x adds 6.8",), ((TEXT, FOUND),)),
        Coverage(100, 60, (Unscanned(UnscannedReason.BINARY, 40),)),
    )
    made = Verdict(
        decision_id=DECISION_ID,
        head=CHAT,
        door="gateway",
        provider="openai",
        identity=replace(
            IDENTIFIER.identify(CHAT), tenant="t", session="s", pod="p", namespace="n", service_account="a"
        ),
        inspection=inspection,
        decision=Decision(Action.ALLOW_UNSCANNED, Action.DENY, Mode.OBSERVE, reasons=("observe mode lets it pass",)),
        outcome=Outcome.PENDING,
        policy_version="policy-1",
        ruleset_version="rules-1",
        capture=ContentCapture.NONE,
        started_unix_us=STARTED,
        inspect_us=400,
        verdict_us=500,
    )
    return replace(made, **changes)


def completion(**changes: Any) -> Completion:
    made = Completion(
        outcome=Outcome.ANSWERED,
        http_status=200,
        response_flags="",
        reply=LlmReply(
            (Segment("Bonjour", Surface.OUTPUT, 0, "/choices"),), "m", "stop", Usage(9, 0, None, 4, 21), 2, True
        ),
        assessment=Assessment(),
        coverage=Coverage(50, 50),
        capture=ContentCapture.NONE,
        score=6.75,
        verdict_us=650,
        first_byte_us=1000,
        total_us=3000,
    )
    return replace(made, **changes)


def digest(text: str) -> bytes:
    return IDENTIFIER.digest(text)


def parsed(*halves: bytes) -> pb.DecisionRecord:
    return pb.DecisionRecord.FromString(b"".join(halves))


def merged(before: Verdict, after: Completion) -> pb.DecisionRecord:
    return parsed(verdict_bytes(before, "host/0", digest), completion_bytes(after, STARTED, digest))


FIRST = pb.DecisionRecord(
    decision_id=DECISION_ID,
    stage=pb.STAGE_VERDICT,
    outcome=pb.OUTCOME_PENDING,
    applied=pb.ACTION_ALLOW_UNSCANNED,
    would_be=pb.ACTION_DENY,
    mode=pb.MODE_OBSERVE,
    score=6.75,
    level=pb.RISK_LEVEL_MEDIUM,
    threats=[
        pb.Threat(
            type=pb.THREAT_TYPE_SECRET_LEAK,
            detector="secrets",
            rule_id="secrets.x",
            surface=pb.SURFACE_TOOL_RESULT,
            message_index=3,
            path="/messages/3/content",
            score=6.75,
            confidence=0.75,
            span_start=4,
            span_end=10,
            match_chars=6,
            match_digest=digest(" é1234"),
            view="folded",
        )
    ],
    reasons=["secrets.x adds 6.8", "observe mode lets it pass"],
    identity=pb.Identity(
        user="ada",
        user_source="header",
        tenant="t",
        pod="p",
        namespace="n",
        service_account="a",
        source_address="10.0.0.7:4711",
    ),
    provider="openai",
    model="gpt-4o",
    endpoint="/v1/chat/completions",
    method="POST",
    host="api.test",
    protocol="openai_chat",
    stream=True,
    door="gateway",
    request_id="request-1",
    session="s",
    timings=pb.Timings(started_unix_us=STARTED, inspect_us=400, verdict_us=500),
    request_coverage=pb.Coverage(
        body_bytes=100,
        scanned_bytes=60,
        unscanned=[pb.Unscanned(reason=pb.UNSCANNED_REASON_BINARY, bytes=40)],
        complete=False,
    ),
    content=pb.Content(capture=pb.CONTENT_CAPTURE_NONE),
    policy_version="policy-1",
    ruleset_version="rules-1",
    sidecar="host/0",
    messages=4,
    prompt_chars=14,
)


def test_verdict_is_the_first_half() -> None:
    assert parsed(verdict_bytes(verdict(), "host/0", digest)) == FIRST


def test_halves_merge_into_the_whole_record() -> None:
    whole = pb.DecisionRecord()
    whole.CopyFrom(FIRST)
    whole.MergeFrom(
        pb.DecisionRecord(
            stage=pb.STAGE_COMPLETE,
            outcome=pb.OUTCOME_ANSWERED,
            http_status=200,
            finish_reason="stop",
            usage=pb.Usage(prompt_tokens=9, completion_tokens=0, reasoning_tokens=4, total_tokens=21),
            timings=pb.Timings(verdict_us=650, first_byte_us=1000, total_us=3000, finished_unix_us=STARTED + 3000),
            response_coverage=pb.Coverage(body_bytes=50, scanned_bytes=50, complete=True),
            response_chars=7,
            tool_calls=2,
            refusal=True,
        )
    )
    found = merged(verdict(), completion())
    assert found == whole
    assert (found.usage.HasField("completion_tokens"), found.usage.HasField("cached_tokens")) == (True, False)


def test_answer_that_scores_higher_raises_the_record() -> None:
    after = completion(score=20.0, assessment=Assessment(20.0, (replace(THREAT, score=20.0),), ("in the answer",)))
    found = merged(verdict(), after)
    assert (found.score, found.level, len(found.threats)) == (20.0, pb.RISK_LEVEL_CRITICAL, 2)


def test_answer_that_scores_lower_leaves_the_level() -> None:
    found = merged(verdict(), completion(assessment=Assessment(1.0)))
    assert (found.score, found.level) == (6.75, pb.RISK_LEVEL_MEDIUM)


def test_killed_exchange_is_incomplete() -> None:
    found = parsed(verdict_bytes(verdict(), "host/0", digest), incomplete_bytes())
    assert (found.stage, found.outcome, found.decision_id) == (pb.STAGE_INCOMPLETE, pb.OUTCOME_UNKNOWN, DECISION_ID)


def test_refused_exchange_is_whole_at_once() -> None:
    failed = uninspected(InspectionFailed(FailureKind.DEADLINE, "after detector x"), 7)
    before = verdict(outcome=Outcome.FAILED, http_status=503, inspection=failed)
    found = parsed(verdict_bytes(before, "host/0", digest))
    assert (found.stage, found.failure, found.failure_detail) == (
        pb.STAGE_COMPLETE,
        pb.FAILURE_KIND_DEADLINE,
        "after detector x",
    )
    assert (found.timings.total_us, found.timings.finished_unix_us, found.http_status) == (500, STARTED + 500, 503)


def test_names_are_bounded_and_carry_what_utf8_cannot() -> None:
    head = replace(CHAT, path="/" + "x" * 1000, host="\ud800", request_id="r" * 1000)
    found = parsed(verdict_bytes(verdict(head=head), "host/0", digest))
    assert (len(found.endpoint), found.host, len(found.request_id)) == (256, "?", 256)


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        ("/messages/0/content", "/messages/0/content"),
        ("/my password is hunter2 and nothing else/0", "/(39 characters)/0"),
        ("/" + "/".join("abc" for _ in range(100)), ("/" + "/".join("abc" for _ in range(100)))[:128]),
    ],
)
def test_path_keeps_its_shape_but_no_content(path: str, masked: str) -> None:
    threat = replace(THREAT, segment=replace(TEXT, path=path))
    inspection = replace(verdict().inspection, assessment=Assessment(1.0, (threat,)))
    found = parsed(verdict_bytes(verdict(inspection=inspection), "host/0", digest))
    assert [threat.path for threat in found.threats] == [masked]


def test_the_team_and_the_client_s_retry_are_told() -> None:
    head = replace(CHAT, headers={"x-stainless-retry-count": "2"})
    made = verdict(head=head, identity=replace(IDENTIFIER.identify(CHAT), team="red"))
    found = parsed(verdict_bytes(made, "host/0", digest))
    assert (found.attempt, found.identity.team) == (2, "red")


@pytest.mark.parametrize(
    ("told", "attempt"), [("", 0), ("x", 0), ("-1", 0), ("999999999", 1000), ("9" * 400, 0), ("\u00b2", 0)]
)
def test_what_is_no_count_of_retries_is_none(told: str, attempt: int) -> None:
    made = verdict(head=replace(CHAT, headers={"x-stainless-retry-count": told}))
    assert parsed(verdict_bytes(made, "host/0", digest)).attempt == attempt


def test_threats_are_bounded() -> None:
    inspection = replace(verdict().inspection, assessment=Assessment(99.0, (THREAT,) * 5000))
    assert len(parsed(verdict_bytes(verdict(inspection=inspection), "host/0", digest)).threats) == 64


# ── content ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def content(capture: ContentCapture, *segments: Segment, found: tuple[tuple[Segment, Finding], ...] = ()) -> pb.Content:
    message = LlmMessage("openai_chat", segments)
    threats = tuple(Threat(finding, segment, 1.0) for segment, finding in found)
    inspection = Inspection(message, Assessment(1.0, threats, (), found), Coverage(1, 1))
    return parsed(verdict_bytes(verdict(inspection=inspection, capture=capture), "host/0", digest)).content


def test_none_captures_nothing() -> None:
    assert content(ContentCapture.NONE, TEXT) == pb.Content(capture=pb.CONTENT_CAPTURE_NONE)


def test_full_captures_everything_but_reasoning() -> None:
    hidden = Segment("hidden", Surface.REASONING)
    assert content(
        ContentCapture.FULL, TEXT, hidden, Segment("hi", Surface.USER), found=((TEXT, FOUND),)
    ) == pb.Content(capture=pb.CONTENT_CAPTURE_FULL, prompt="key: é1234 end\n\nhi")


def test_full_keeps_what_went_to_the_provider() -> None:
    edits = (Edit(TEXT, Span(5, 10), "<secret-x-01234567>"),)
    decision = Decision(Action.REDACT, Action.REDACT, Mode.ENFORCE, edits=edits)
    record = parsed(verdict_bytes(verdict(capture=ContentCapture.FULL, decision=decision), "s", digest))
    assert (record.applied, record.content.prompt) == (pb.ACTION_REDACT, "key: <secret-x-01234567> end")


def test_an_answer_that_was_redacted_is_kept_redacted() -> None:
    reply = LlmReply(segments=(replace(TEXT, surface=Surface.OUTPUT),))
    found = ((reply.segments[0], FOUND),)
    done = completion(
        reply=reply, assessment=Assessment(9.0, found=found), capture=ContentCapture.FULL, applied=Action.REDACT
    )
    record = merged(verdict(), done)
    assert record.applied == pb.ACTION_REDACT
    assert record.content.response == "key:[REDACTED:secret_leak] end"
    assert record.content.capture == pb.CONTENT_CAPTURE_REDACTED


def test_redacted_masks_the_matches() -> None:
    assert content(ContentCapture.REDACTED, TEXT, found=((TEXT, FOUND),)) == pb.Content(
        capture=pb.CONTENT_CAPTURE_REDACTED, prompt="key:[REDACTED:secret_leak] end"
    )


def test_what_an_exception_ignored_is_masked_all_the_same() -> None:
    text = Segment(f"my key is {SECRETS[0]}", Surface.USER)
    ignored = ((text, Finding(ThreatType.SECRET_LEAK, "secrets", "secrets.x", Span(10, 30), 9.0)),)
    inspection = Inspection(LlmMessage("x", (text,)), Assessment(ignored=ignored), Coverage(1, 1))
    made = verdict(inspection=inspection, capture=ContentCapture.REDACTED)
    assert parsed(verdict_bytes(made, "host/0", digest)).content.prompt == "my key is [REDACTED:secret_leak]"


def test_redacted_masks_equal_texts_alike() -> None:
    """Scoring keeps one of two equal segments; both hold the secret."""
    twin = replace(TEXT)
    assert twin is not TEXT
    assert content(ContentCapture.REDACTED, twin, TEXT, found=((TEXT, FOUND),)).prompt.count("é1234") == 0


@pytest.mark.parametrize("text", [f"{SECRETS[0]} and {SECRETS[1]}", f"{SECRETS[0]} {'x ' * 2000}{SECRETS[0]}"])
def test_redacted_masks_every_match_of_a_rule(text: str) -> None:
    """Scoring counts a rule once per text; masking must not."""
    inspection = Pipeline(lambda: 0, DEFAULT).inspect(CHAT, chat(text), 1)
    before = verdict(inspection=inspection, capture=ContentCapture.REDACTED)
    prompt = parsed(verdict_bytes(before, "host/0", digest)).content.prompt
    assert prompt.count("[REDACTED:secret_leak]") == 2
    assert not any(secret in prompt for secret in SECRETS)


def test_redacted_masks_answers() -> None:
    pipeline = Pipeline(lambda: 0, DEFAULT)
    reply = LlmReply(tuple(Segment(f"{s} {s}", Surface.OUTPUT, 0, "/choices") for s in SECRETS))
    assessment, coverage = pipeline.inspect_reply(reply, len(answer()), 1)
    after = completion(reply=reply, assessment=assessment, coverage=coverage, capture=ContentCapture.REDACTED)
    response = parsed(completion_bytes(after, STARTED, digest)).content.response
    assert response == "\n\n".join(["[REDACTED:secret_leak] [REDACTED:secret_leak]"] * 2)


def test_content_is_bounded_and_carries_what_utf8_cannot() -> None:
    assert len(content(ContentCapture.FULL, Segment("x" * 100_000, Surface.USER)).prompt) == 65_536
    assert content(ContentCapture.FULL, Segment("a\ud800b", Surface.USER)).prompt == "a?b"


def test_content_that_cannot_be_masked_is_erased_and_the_record_kept() -> None:
    broken: Any = replace(FOUND, span=None)
    message = LlmMessage("openai_chat", (TEXT,))
    inspection = Inspection(message, Assessment(1.0, (), (), ((TEXT, broken),)), Coverage(1, 1))
    found = parsed(verdict_bytes(verdict(inspection=inspection, capture=ContentCapture.REDACTED), "host/0", digest))
    assert (found.content, found.decision_id) == (pb.Content(capture=pb.CONTENT_CAPTURE_ERASED), DECISION_ID)
