"""The state table as dialogues: events in, steps out. No sockets, no clock."""

import gzip
import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.detectors.ruleset import Ruleset
from sidecar.extproc.events import (
    AnswerHead,
    Ended,
    Event,
    Inspect,
    Inspected,
    Phase,
    Proceed,
    Refuse,
    RequestBody,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
    Step,
    Unwritten,
)
from sidecar.extproc.exchange import _TABLE, Exchange, State
from sidecar.extproc.surroundings import Surroundings
from sidecar.pipeline import Pipeline
from sidecar.policy import Leaks, OnLeak, Policy, PolicySet, SpoolFull
from sidecar.types import (
    Action,
    Assessment,
    Completion,
    ContentCapture,
    Coverage,
    FailureKind,
    Head,
    InspectionFailed,
    LlmReply,
    Mode,
    Outcome,
    RiskLevel,
    Segment,
    Surface,
    Unscanned,
    UnscannedReason,
    Usage,
    Verdict,
)
from tests.sidecar.values import (
    ATTACK,
    CHAT,
    DECISION_ID,
    GENERATE,
    LEAK,
    OTHER,
    WARNING,
    Broken,
    answer,
    around,
    chat,
    generate,
    stream,
)

AT = 1_000_000  # when every dialogue begins, in microseconds
OBSERVE = Policy(mode=Mode.OBSERVE)
PSEUDONYMISE = Policy(leaks=Leaks(OnLeak.PSEUDONYMISE, OnLeak.PSEUDONYMISE))
FROM_PROVIDER = AnswerHead(200, "via_upstream")
ROUTE = "gateway/openai"


class Dialogue:
    """Speaks to an exchange, and does what the server does with an Inspect."""

    def __init__(self, policy: Policy | None = None, surroundings: Surroundings | None = None) -> None:
        self.around = surroundings or around()
        self.exchange = Exchange(DECISION_ID, PolicySet.one(policy or Policy()), self.around)
        self.saved: list[Verdict | Completion] = []

    def say(self, event: Event) -> Step:
        step = self.exchange.receive(event)
        if step.inspect is not None:
            assert (step.save, step.answer) == (None, None)
            asked = step.inspect
            inspection = self.around.pipeline.inspect(asked.head, asked.data, asked.deadline_us, asked.canaries)
            step = self.exchange.receive(Inspected(event.at_us + 500, inspection))
        if step.save is not None:
            self.saved.append(step.save)
        return step

    def ask(self, data: bytes, head: Head = CHAT, route: str = ROUTE) -> Step:
        return self.say(RequestBody(AT, data, head, route))

    @property
    def verdict(self) -> Verdict:
        found = self.saved[0]
        assert isinstance(found, Verdict)
        return found

    @property
    def completion(self) -> Completion:
        found = self.saved[-1]
        assert isinstance(found, Completion)
        return found


def allowed(data: bytes = chat("hello"), **more: Any) -> Dialogue:
    """Return a dialogue whose request has been forwarded."""
    dialogue = Dialogue(**more)
    assert dialogue.ask(data).answer == Proceed(Phase.REQUEST_BODY)
    dialogue.exchange.sent_us = AT + 700
    return dialogue


def inspected(data: bytes, **more: Any) -> Inspected:
    surroundings = around(**more)
    return Inspected(AT + 500, surroundings.pipeline.inspect(CHAT, data, AT + 250_000))


def error_of(step: Step) -> dict[str, Any]:
    assert isinstance(step.answer, Refuse)
    found: dict[str, Any] = json.loads(step.answer.body)["error"]
    return found


# ── one test per row ────────────────────────────────────────────────────────────────────────────────────────────────


def test_open_request_headers_wait_for_the_body() -> None:
    dialogue = Dialogue()
    assert dialogue.say(RequestHeaders(AT, CHAT, ROUTE, end=False)) == Step(answer=Proceed(Phase.REQUEST_HEADERS))
    assert dialogue.exchange.state is State.HEADED


def test_open_request_headers_without_a_body_are_inspected_at_once() -> None:
    exchange = Dialogue().exchange
    head = replace(CHAT, method="GET", path="/v1/models?after=x")
    step = exchange.receive(RequestHeaders(AT, head, ROUTE, end=True))
    assert step == Step(inspect=Inspect(head, b"", AT + 250_000))
    assert exchange.state is State.INSPECTING


def test_request_without_a_body_is_answered_in_the_headers_phase() -> None:
    dialogue = Dialogue()
    step = dialogue.say(RequestHeaders(AT, replace(OTHER, method="GET"), ROUTE, end=True))
    assert step.answer == Proceed(Phase.REQUEST_HEADERS)
    assert dialogue.exchange.state is State.FORWARDED


def test_open_request_body_is_inspected_with_its_head() -> None:
    exchange = Dialogue().exchange
    step = exchange.receive(RequestBody(AT, chat("hello"), CHAT, ROUTE))
    assert step == Step(inspect=Inspect(CHAT, chat("hello"), AT + 250_000))
    assert exchange.state is State.INSPECTING


def test_open_response_headers_are_recorded_as_not_inspected() -> None:
    dialogue = Dialogue()
    step = dialogue.say(ResponseHeaders(AT, FROM_PROVIDER, end=False, head=CHAT, route=ROUTE))
    assert step.answer == Proceed(Phase.RESPONSE_HEADERS)
    verdict = dialogue.verdict
    assert (verdict.outcome, verdict.http_status, verdict.head) == (Outcome.ANSWERED, 200, CHAT)
    assert verdict.inspection.failure == InspectionFailed(FailureKind.NOT_INSPECTED, "via_upstream")
    assert verdict.inspection.coverage.complete is False
    assert dialogue.exchange.state is State.CLOSED


def test_open_response_body_is_recorded_as_not_inspected() -> None:
    dialogue = Dialogue()
    step = dialogue.say(ResponseBody(AT, b"{}", True, FROM_PROVIDER, CHAT, ROUTE))
    assert step.answer == Proceed(Phase.RESPONSE_BODY)
    assert (dialogue.verdict.door, dialogue.verdict.provider) == ("gateway", "openai")


def test_what_went_by_us_is_recorded_as_passed_and_what_envoy_refused_as_denied() -> None:
    passed, refused = Dialogue(), Dialogue(OBSERVE)
    passed.say(ResponseBody(AT, b"{}", True, FROM_PROVIDER, CHAT, ROUTE))
    refused.say(ResponseBody(AT, b"{}", True, AnswerHead(413, "request_payload_too_large"), CHAT, ROUTE))
    decisions = [(d.verdict.decision.applied, d.verdict.decision.would_be) for d in (passed, refused)]
    assert decisions == [(Action.ALLOW_UNSCANNED, Action.DENY), (Action.DENY, Action.DENY)]


def test_provider_error_on_a_request_that_went_by_us_is_an_upstream_error() -> None:
    dialogue = Dialogue()
    dialogue.say(ResponseBody(AT, b"{}", True, AnswerHead(500, "via_upstream"), CHAT, ROUTE))
    assert dialogue.verdict.outcome is Outcome.UPSTREAM_ERROR


def test_open_end_leaves_no_record_of_a_stream_that_said_nothing() -> None:
    dialogue = Dialogue()
    assert dialogue.say(Ended(AT)) == Step()
    assert dialogue.exchange.state is State.CLOSED


def test_headed_body_is_inspected_with_the_head_sent_before() -> None:
    exchange = Dialogue().exchange
    exchange.receive(RequestHeaders(AT, CHAT, ROUTE, end=False))
    step = exchange.receive(RequestBody(AT + 10, chat("hello")))
    assert step.inspect is not None
    assert (step.inspect.head, step.inspect.data) == (CHAT, chat("hello"))


def test_deadline_counts_from_the_whole_request_not_from_its_headers() -> None:
    """An upload that takes seconds is not an inspection that takes seconds."""
    exchange = Dialogue().exchange
    exchange.receive(RequestHeaders(AT, CHAT, ROUTE, end=False))
    step = exchange.receive(RequestBody(AT + 5_000_000, chat("hello")))
    assert step.inspect is not None
    assert step.inspect.deadline_us == AT + 5_000_000 + 250_000


def test_headed_end_is_recorded_as_a_client_that_left() -> None:
    dialogue = Dialogue()
    dialogue.say(RequestHeaders(AT, CHAT, ROUTE, end=False))
    assert dialogue.say(Ended(AT + 9)).answer is None
    assert (dialogue.verdict.outcome, dialogue.verdict.http_status) == (Outcome.CLIENT_ABORTED, 0)


@pytest.mark.parametrize("phase", [Phase.RESPONSE_HEADERS, Phase.RESPONSE_BODY])
def test_headed_response_is_envoys_own_413_and_keeps_the_head(phase: Phase) -> None:
    """Chunked uploads over the limit: headers came, the body never does."""
    dialogue = Dialogue()
    dialogue.say(RequestHeaders(AT, CHAT, "gateway/openai/careful", end=False))
    too_large = AnswerHead(413, "request_payload_too_large")
    event = (
        ResponseHeaders(AT + 9, too_large, end=False)
        if phase is Phase.RESPONSE_HEADERS
        else ResponseBody(AT + 9, b"{}", True, too_large)
    )
    assert dialogue.say(event).answer == Proceed(phase)
    verdict = dialogue.verdict
    assert (verdict.outcome, verdict.http_status, verdict.head) == (Outcome.FAILED, 413, CHAT)
    assert verdict.inspection.failure == InspectionFailed(FailureKind.TOO_LARGE, "request_payload_too_large")
    assert (verdict.door, verdict.provider, verdict.started_unix_us) == (
        "gateway",
        "openai",
        AT + dialogue.around.wall_offset_us,
    )


def test_inspecting_result_forwards_and_saves_the_verdict_first() -> None:
    dialogue = allowed()
    assert dialogue.saved == [
        Verdict(
            decision_id=DECISION_ID,
            head=CHAT,
            door="gateway",
            provider="openai",
            identity=dialogue.around.identifier.identify(CHAT, ""),
            inspection=inspected(chat("hello")).inspection,
            decision=dialogue.verdict.decision,
            outcome=Outcome.PENDING,
            policy_version="built-in",
            ruleset_version="rules-1",
            capture=ContentCapture.NONE,
            started_unix_us=AT + dialogue.around.wall_offset_us,
            inspect_us=500,
            verdict_us=500,
            http_status=0,
        )
    ]
    assert dialogue.exchange.state is State.FORWARDED


def test_inspecting_end_is_recorded_as_a_client_that_left() -> None:
    exchange = Dialogue().exchange
    exchange.receive(RequestBody(AT, chat("hello"), CHAT, ROUTE))
    step = exchange.receive(Ended(AT + 100))
    assert isinstance(step.save, Verdict)
    assert (step.answer, step.save.outcome, step.save.head) == (None, Outcome.CLIENT_ABORTED, CHAT)
    assert step.save.inspection.coverage == Coverage(
        len(chat("hello")), 0, (Unscanned(UnscannedReason.FAILURE, len(chat("hello"))),)
    )


def test_forwarded_unwritten_refuses() -> None:
    dialogue = allowed()
    step = dialogue.say(Unwritten(AT + 600, "the spool is full"))
    assert isinstance(step.answer, Refuse)
    assert (step.answer.status, step.save, error_of(step)["code"]) == (503, None, "douane_spool_full")
    assert dialogue.exchange.state is State.CLOSED


@pytest.mark.parametrize("policy", [Policy(spool_full=SpoolFull.LOSE), OBSERVE])
def test_forwarded_unwritten_passes_when_policy_loses_records(policy: Policy) -> None:
    dialogue = allowed(policy=policy)
    assert dialogue.say(Unwritten(AT + 600, "the spool is full")) == Step()
    assert dialogue.exchange.state is State.FORWARDED


def test_forwarded_response_headers_start_the_answer() -> None:
    dialogue = allowed()
    step = dialogue.say(ResponseHeaders(AT + 900, FROM_PROVIDER, end=False))
    assert step == Step(answer=Proceed(Phase.RESPONSE_HEADERS))
    assert dialogue.exchange.state is State.ANSWERING


def test_forwarded_response_headers_without_a_body_complete_the_record() -> None:
    dialogue = allowed()
    step = dialogue.say(ResponseHeaders(AT + 900, AnswerHead(204, "via_upstream"), end=True))
    assert step.answer == Proceed(Phase.RESPONSE_HEADERS)
    done = dialogue.completion
    assert (done.outcome, done.http_status, done.reply, done.coverage) == (
        Outcome.ANSWERED,
        204,
        LlmReply(),
        Coverage(),
    )


def test_forwarded_response_body_completes_the_record_with_the_json_s_last_byte() -> None:
    """Envoy sends the end of stream in an empty chunk of its own; the record must be written before that."""
    dialogue = allowed()
    first, last = answer()[:-1], answer()[-1:]
    assert dialogue.say(ResponseBody(AT + 1000, first, False, FROM_PROVIDER)).save is None
    assert dialogue.say(ResponseBody(AT + 2000, last, end=False)).answer == Proceed(Phase.RESPONSE_BODY)
    assert dialogue.saved[1:] == [
        Completion(
            outcome=Outcome.ANSWERED,
            http_status=200,
            response_flags="",
            reply=LlmReply(
                (Segment("Bonjour.", Surface.OUTPUT, 0, "/choices"),),
                "gpt-4o-2024",
                "stop",
                Usage(9, 12, 3, 4, 21),
            ),
            assessment=Assessment(),
            coverage=Coverage(len(answer()), len(answer())),
            capture=ContentCapture.NONE,
            score=0.0,
            verdict_us=700,
            first_byte_us=1000,
            total_us=2000,
        )
    ]
    assert dialogue.say(ResponseBody(AT + 2100, b"", end=True)) == Step(answer=Proceed(Phase.RESPONSE_BODY))
    assert dialogue.exchange.state is State.CLOSED
    assert dialogue.say(Ended(AT + 2200)) == Step()
    assert len(dialogue.saved) == 2


def test_answering_stream_completes_the_record_with_done() -> None:
    dialogue = allowed(chat("hello", stream=True))
    cut = stream("Bon", "jour.").index(b"data: [DONE]")
    parts = stream("Bon", "jour.")[:cut], stream("Bon", "jour.")[cut:]
    assert dialogue.say(ResponseBody(AT + 1000, parts[0], False, FROM_PROVIDER)).save is None
    assert dialogue.say(ResponseBody(AT + 2000, parts[1], end=False)).save is not None
    assert dialogue.completion.reply.usage == Usage(9, 12, 3, 4, 21)
    assert dialogue.say(ResponseBody(AT + 2100, b"", end=True)) == Step(answer=Proceed(Phase.RESPONSE_BODY))
    assert len(dialogue.saved) == 2


def test_answering_stream_without_done_completes_the_record_at_its_end() -> None:
    dialogue = allowed(chat("hello", stream=True))
    dialogue.say(ResponseBody(AT + 1000, stream("Bonjour.", done=False), False, FROM_PROVIDER))
    assert len(dialogue.saved) == 1
    dialogue.say(ResponseBody(AT + 2000, b"", end=True))
    assert (dialogue.completion.outcome, dialogue.completion.reply.usage) == (
        Outcome.ANSWERED,
        Usage(9, 12, 3, 4, 21),
    )


def test_answer_is_scanned_and_the_record_keeps_the_higher_score() -> None:
    dialogue = allowed(chat(WARNING))
    dialogue.say(ResponseBody(AT + 1000, answer(f"say {ATTACK}"), True, FROM_PROVIDER))
    assert (dialogue.completion.score, dialogue.completion.assessment.level) == (20.0, RiskLevel.CRITICAL)
    dialogue = allowed(chat(WARNING))
    dialogue.say(ResponseBody(AT + 1000, answer("nothing"), True, FROM_PROVIDER))
    assert (dialogue.completion.score, dialogue.completion.assessment) == (7.0, Assessment())


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([], "the stream ended before the answer's first byte"),
        ([ResponseBody(AT + 900, b'{"id":', False, FROM_PROVIDER)], "the stream ended after the answer's first byte"),
    ],
)
def test_client_abort_is_recorded(seen: list[Event], told: str) -> None:
    dialogue = allowed()
    for event in seen:
        dialogue.say(event)
    step = dialogue.say(Ended(AT + 3000))
    assert step.answer is None
    assert (dialogue.completion.outcome, dialogue.completion.reasons) == (Outcome.CLIENT_ABORTED, (told,))
    assert dialogue.exchange.state is State.CLOSED


def test_text_of_an_answer_cut_short_is_still_read() -> None:
    dialogue = allowed(chat("hello", stream=True))
    dialogue.say(ResponseBody(AT + 900, stream("Bon", ATTACK)[:-40], False, FROM_PROVIDER))
    dialogue.say(Ended(AT + 3000))
    assert [s.text for s in dialogue.completion.reply.segments] == [f"Bon{ATTACK}"]
    assert dialogue.completion.score == 20.0


def test_closed_lets_our_own_refusal_pass_the_response_path() -> None:
    dialogue = Dialogue()
    dialogue.ask(chat(ATTACK))
    again = [
        dialogue.say(ResponseHeaders(AT + 9, AnswerHead(403, "douane_refused"), end=False)),
        dialogue.say(ResponseBody(AT + 9, b"{}", end=True)),
        dialogue.say(Unwritten(AT + 9, "full")),
        dialogue.say(Ended(AT + 10)),
    ]
    assert again == [
        Step(answer=Proceed(Phase.RESPONSE_HEADERS)),
        Step(answer=Proceed(Phase.RESPONSE_BODY)),
        Step(),
        Step(),
    ]
    assert len(dialogue.saved) == 1


def test_every_row_of_the_table_has_been_thought_of() -> None:
    """Whoever adds a row adds its dialogue above."""
    assert sorted((state.value, event.__name__) for state, event in _TABLE) == sorted(
        [
            ("open", "RequestHeaders"),
            ("open", "RequestBody"),
            ("open", "ResponseHeaders"),
            ("open", "ResponseBody"),
            ("open", "Ended"),
            ("headed", "RequestBody"),
            ("headed", "ResponseHeaders"),
            ("headed", "ResponseBody"),
            ("headed", "Ended"),
            ("inspecting", "Inspected"),
            ("inspecting", "Ended"),
            ("forwarded", "Unwritten"),
            ("forwarded", "ResponseHeaders"),
            ("forwarded", "ResponseBody"),
            ("forwarded", "Ended"),
            ("forwarded", "RequestBody"),
            ("answering", "RequestBody"),
            ("answering", "ResponseBody"),
            ("answering", "Ended"),
            ("closed", "Unwritten"),
            ("closed", "ResponseHeaders"),
            ("closed", "ResponseBody"),
            ("closed", "Ended"),
        ]
    )


# ── compressed bodies ───────────────────────────────────────────────────────────────────────────────────────────────

PACKED = replace(CHAT, headers={"content-encoding": "gzip"})


def test_what_goes_on_is_what_was_read() -> None:
    dialogue = Dialogue()
    plain = chat("hello")
    step = dialogue.ask(gzip.compress(plain), PACKED)
    size = (("content-length", str(len(plain))),)
    assert step.answer == Proceed(Phase.REQUEST_BODY, plain, size, without=("content-encoding",))
    assert dialogue.verdict.inspection.plain is None
    assert dialogue.verdict.inspection.coverage == Coverage(len(plain), len(plain))


def test_observe_mode_passes_a_broken_body_as_it_came() -> None:
    dialogue = Dialogue(OBSERVE)
    step = dialogue.ask(gzip.compress(chat("hello"))[:-1], PACKED)
    assert step.answer == Proceed(Phase.REQUEST_BODY)
    assert dialogue.verdict.decision.applied is Action.ALLOW_UNSCANNED


def test_a_compressed_answer_goes_on_plain() -> None:
    dialogue = allowed()
    head, body = AnswerHead(200, "via_upstream", coding="gzip"), gzip.compress(answer("hello"))
    first = dialogue.say(ResponseBody(AT + 800, body[:30], False, head)).answer
    rest = dialogue.say(ResponseBody(AT + 900, body[30:], True)).answer
    assert isinstance(first, Proceed)
    assert isinstance(rest, Proceed)
    assert (first.body or b"") + (rest.body or b"") == answer("hello")
    assert dialogue.completion.reply.model == "gpt-4o-2024"
    assert dialogue.completion.coverage.complete


def test_an_answer_that_cannot_be_read_is_cut_and_recorded() -> None:
    dialogue = allowed()
    step = dialogue.say(ResponseBody(AT + 800, b"no gzip", False, AnswerHead(200, "via_upstream", coding="gzip")))
    assert step.answer is None
    assert dialogue.completion.outcome is Outcome.UPSTREAM_ERROR
    assert dialogue.completion.reasons[-1] == "answer: the body is not valid gzip"
    assert dialogue.say(Ended(AT + 900)) == Step()


def test_an_answer_that_was_complete_is_recorded_once_though_its_coding_is_not() -> None:
    dialogue = allowed()
    head, body = AnswerHead(200, "via_upstream", coding="gzip"), gzip.compress(answer("hello"))
    dialogue.say(ResponseBody(AT + 800, body[:-4], False, head))
    assert dialogue.completion.outcome is Outcome.ANSWERED
    assert dialogue.say(ResponseBody(AT + 900, b"", True)) == Step()


def test_generate_tells_a_provider_s_compressed_error_in_its_own_words() -> None:
    dialogue, _ = ask_generate(generate("hello", "llama3"))
    head = AnswerHead(429, "via_upstream", coding="gzip")
    step = dialogue.say(ResponseBody(AT + 800, gzip.compress(b"slow down"), True, head))
    assert step.answer == Proceed(Phase.RESPONSE_BODY, b"slow down", (("content-length", "9"),))


# ── WebSockets ──────────────────────────────────────────────────────────────────────────────────────────────────────

SOCKET = Head("GET", "/v1/realtime", headers={"upgrade": "websocket"})


def test_a_websocket_is_denied_with_the_setting_that_allows_it() -> None:
    dialogue = Dialogue()
    step = dialogue.say(RequestHeaders(AT, SOCKET, ROUTE, False))
    assert isinstance(step.answer, Refuse)
    assert step.answer.status == 403
    assert "websocket: allow_unscanned" in error_of(step)["message"]
    assert (dialogue.verdict.outcome, dialogue.verdict.inspection.message.protocol) == (Outcome.DENIED, "websocket")


def test_a_websocket_that_may_begin_is_counted_until_it_ends() -> None:
    dialogue = Dialogue(Policy(websocket=Action.ALLOW_UNSCANNED))
    assert dialogue.say(RequestHeaders(AT, SOCKET, ROUTE, False)).answer == Proceed(Phase.REQUEST_HEADERS)
    assert dialogue.say(RequestBody(AT + 1, b"early")).answer == Proceed(Phase.REQUEST_BODY)
    head = AnswerHead(101, "via_upstream")
    assert dialogue.say(ResponseHeaders(AT + 2, head, False)).answer == Proceed(Phase.RESPONSE_HEADERS)
    assert dialogue.say(RequestBody(AT + 3, b"frame")).answer == Proceed(Phase.REQUEST_BODY)
    assert dialogue.say(ResponseBody(AT + 4, b"frames", False)).answer == Proceed(Phase.RESPONSE_BODY)
    dialogue.say(Ended(AT + 5))
    assert (dialogue.completion.outcome, dialogue.completion.http_status) == (Outcome.ANSWERED, 101)
    assert dialogue.completion.coverage == Coverage(6, 0, (Unscanned(UnscannedReason.UPGRADE, 6),))
    assert "10 bytes of frames from the client were not scanned" in dialogue.completion.reasons


# ── verdicts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_denial_answers_with_why_and_ends_the_record() -> None:
    dialogue = Dialogue()
    step = dialogue.ask(chat(ATTACK))
    assert isinstance(step.answer, Refuse)
    assert (step.answer.status, step.answer.decision_id) == (403, DECISION_ID)
    assert error_of(step) == {
        "message": f"Douane: request refused: prompt_injection (decision {DECISION_ID})",
        "type": "permission_denied",
        "param": None,
        "code": "douane_denied",
        "decision_id": DECISION_ID,
        "risk_score": 20.0,
        "risk_level": "CRITICAL",
        "threats": [
            {
                "type": "prompt_injection",
                "rule_id": "words.attack",
                "detector": "words",
                "surface": "user",
                "message_index": 0,
                "score": 20.0,
            }
        ],
    }
    verdict = dialogue.verdict
    assert (verdict.outcome, verdict.http_status, verdict.final) == (Outcome.DENIED, 403, True)
    assert (verdict.decision.applied, verdict.decision.would_be) == (Action.DENY, Action.DENY)
    assert dialogue.exchange.state is State.CLOSED


def test_observe_mode_passes_what_it_would_have_denied() -> None:
    dialogue = Dialogue(OBSERVE)
    assert dialogue.ask(chat(ATTACK)).answer == Proceed(Phase.REQUEST_BODY)
    decision = dialogue.verdict.decision
    assert (decision.applied, decision.would_be, decision.mode) == (Action.ALLOW, Action.DENY, Mode.OBSERVE)
    assert (dialogue.verdict.outcome, dialogue.verdict.inspection.assessment.score) == (Outcome.PENDING, 20.0)


@pytest.mark.parametrize(
    ("data", "head", "status", "kind"),
    [
        (b"{", CHAT, 400, FailureKind.MALFORMED_BODY),
        (b"", CHAT, 400, FailureKind.MALFORMED_BODY),
        (
            chat("hello"),
            replace(CHAT, headers={"content-encoding": "deflate"}),
            415,
            FailureKind.UNSUPPORTED_ENCODING,
        ),
    ],
)
def test_failed_inspection_refuses_in_enforce_and_passes_in_observe(
    data: bytes, head: Head, status: int, kind: FailureKind
) -> None:
    enforced, observed = Dialogue(), Dialogue(OBSERVE)
    answers = enforced.ask(data, head).answer, observed.ask(data, head).answer
    assert isinstance(answers[0], Refuse)
    assert (answers[0].status, answers[1]) == (status, Proceed(Phase.REQUEST_BODY))
    for dialogue, outcome in ((enforced, Outcome.FAILED), (observed, Outcome.PENDING)):
        failure = dialogue.verdict.inspection.failure
        assert failure is not None
        assert (failure.kind, dialogue.verdict.outcome) == (kind, outcome)
        assert dialogue.verdict.decision.would_be is Action.DENY


def test_detector_that_raises_is_a_failed_inspection() -> None:
    dialogue = Dialogue(surroundings=around(pipeline=Pipeline(lambda: 0, Ruleset((Broken(),), "rules-1"))))
    step = dialogue.ask(chat("hello"))
    assert error_of(step)["code"] == "douane_detector_error"
    assert dialogue.verdict.inspection.failure == InspectionFailed(FailureKind.DETECTOR_ERROR, "broken: KeyError")


def test_deadline_overrun_is_a_failed_inspection() -> None:
    dialogue = Dialogue(surroundings=around(lambda: AT + 250_001))
    step = dialogue.ask(chat("hello"))
    assert error_of(step)["code"] == "douane_deadline"


@pytest.mark.parametrize(
    ("head", "local", "outcome", "flags"),
    [
        (
            AnswerHead(503, "upstream_reset_before_response_started{connection_failure}"),
            True,
            Outcome.UPSTREAM_ERROR,
            1,
        ),
        (AnswerHead(429, "via_upstream"), False, Outcome.UPSTREAM_ERROR, 0),
        (AnswerHead(399, "via_upstream"), False, Outcome.ANSWERED, 0),
    ],
)
def test_error_answers_are_recorded_as_what_they_are(
    head: AnswerHead, local: bool, outcome: Outcome, flags: int
) -> None:
    dialogue = allowed()
    dialogue.say(ResponseBody(AT + 900, b'{"error": {"message": "no"}}', True, head))
    done = dialogue.completion
    assert (done.outcome, done.http_status) == (outcome, head.status)
    assert done.response_flags == (head.details if flags else "")
    assert head.local is local


def test_envoys_own_413_is_recorded_as_too_large() -> None:
    dialogue = Dialogue()
    dialogue.say(ResponseBody(AT, b"{}", True, AnswerHead(413, "request_payload_too_large"), CHAT, ROUTE))
    verdict = dialogue.verdict
    assert verdict.inspection.failure == InspectionFailed(FailureKind.TOO_LARGE, "request_payload_too_large")
    assert (verdict.outcome, verdict.http_status, verdict.final) == (Outcome.FAILED, 413, True)


# ── /generate ───────────────────────────────────────────────────────────────────────────────────────────────────────


def ask_generate(
    data: bytes, policy: Policy | None = None, head: Head = GENERATE, **more: Any
) -> tuple[Dialogue, Step]:
    dialogue = Dialogue(policy, around(**more))
    dialogue.say(RequestHeaders(AT, head, "generate", end=False))
    return dialogue, dialogue.say(RequestBody(AT + 10, data))


def test_generate_becomes_the_provider_s_own_call() -> None:
    dialogue, step = ask_generate(generate("hello", "llama3", temperature=0.5, seed=7, unknown="kept out"))
    assert isinstance(step.answer, Proceed)
    body = step.answer.body
    assert body is not None
    assert json.loads(body) == {
        "model": "meta/llama-3",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "temperature": 0.5,
        "seed": 7,
    }
    assert step.answer == Proceed(
        Phase.REQUEST_BODY,
        body,
        (
            (":path", "/api/v1/chat/completions"),
            ("x-douane-provider", "openrouter"),
            ("authorization", "Bearer "),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
        ),
        without=("content-encoding",),
        reroute=True,
    )
    assert (dialogue.verdict.door, dialogue.verdict.provider) == ("generate", "openrouter")
    assert dialogue.verdict.inspection.message.model == "llama3"


@pytest.mark.parametrize(
    ("headers", "expected"), [({}, "Bearer our-key"), ({"authorization": "Bearer theirs"}, "Bearer theirs")]
)
def test_generate_sends_the_caller_s_key_before_ours(headers: dict[str, str], expected: str) -> None:
    _, step = ask_generate(generate("hello"), head=replace(GENERATE, headers=headers))
    assert isinstance(step.answer, Proceed)
    assert dict(step.answer.headers)["authorization"] == expected


def test_generate_answer_becomes_the_mission_s() -> None:
    dialogue, _ = ask_generate(generate("hello"))
    dialogue.say(ResponseHeaders(AT + 900, FROM_PROVIDER, end=False))
    step = dialogue.say(ResponseBody(AT + 1_500_010, answer(), end=True))
    assert isinstance(step.answer, Proceed)
    assert step.answer.body is not None
    assert json.loads(step.answer.body) == {
        "result": "Bonjour.",
        "latency": 1.5,
        "model": "gpt-4o-2024",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
        "decision_id": DECISION_ID,
    }
    assert step.answer.headers == (
        ("content-length", str(len(step.answer.body))),
        ("content-type", "application/json"),
    )
    assert dialogue.completion.outcome is Outcome.ANSWERED


@pytest.mark.parametrize("head", [AnswerHead(401, "via_upstream"), AnswerHead(200, "no_healthy_upstream")])
def test_generate_keeps_errors_in_the_provider_s_words(head: AnswerHead) -> None:
    dialogue, _ = ask_generate(generate("hello"))
    dialogue.say(ResponseHeaders(AT + 900, head, end=False))
    step = dialogue.say(ResponseBody(AT + 1000, b'{"error": {"message": "no such key"}}', end=True))
    assert step.answer == Proceed(Phase.RESPONSE_BODY)
    assert (dialogue.completion.outcome, dialogue.completion.http_status) == (Outcome.UPSTREAM_ERROR, head.status)


def test_generate_completes_once_even_if_the_end_comes_twice() -> None:
    dialogue, _ = ask_generate(generate("hello"))
    dialogue.say(ResponseHeaders(AT + 900, FROM_PROVIDER, end=False))
    dialogue.say(ResponseBody(AT + 1000, answer(), end=True))
    assert dialogue.say(ResponseBody(AT + 1001, b"", end=True)) == Step(answer=Proceed(Phase.RESPONSE_BODY))
    assert len(dialogue.saved) == 2


def test_unknown_model_is_a_400_that_lists_the_known_ones() -> None:
    dialogue, step = ask_generate(generate("hello", "gpt5"))
    assert isinstance(step.answer, Refuse)
    assert (step.answer.status, error_of(step)["code"]) == (400, "douane_unknown_model")
    assert error_of(step)["message"] == (f"Douane: unknown model_name; known: gpt4, llama3 (decision {DECISION_ID})")
    assert dialogue.verdict.outcome is Outcome.FAILED


def test_generate_denied_by_policy_is_refused() -> None:
    _, step = ask_generate(generate(ATTACK))
    assert isinstance(step.answer, Refuse)
    assert step.answer.status == 403


def test_observe_mode_translates_what_it_would_have_denied() -> None:
    dialogue, step = ask_generate(generate(ATTACK), OBSERVE)
    assert isinstance(step.answer, Proceed)
    assert dialogue.verdict.decision.would_be is Action.DENY


@pytest.mark.parametrize(
    ("data", "status", "told"),
    [
        (generate("hello", "gpt5"), 400, "unknown model_name; known: gpt4, llama3"),
        (b"[]", 400, "the body is not a JSON object"),
    ],
)
def test_observe_mode_refuses_a_generate_call_that_leads_nowhere(data: bytes, status: int, told: str) -> None:
    """It cannot be passed on untranslated. The record says what happened, and the client is not told that it passed."""
    dialogue, step = ask_generate(data, OBSERVE)
    assert isinstance(step.answer, Refuse)
    assert (step.answer.status, error_of(step)["message"]) == (status, f"Douane: {told} (decision {DECISION_ID})")
    decision = dialogue.verdict.decision
    assert (decision.applied, decision.would_be, decision.mode) == (Action.DENY, Action.DENY, Mode.OBSERVE)
    assert (dialogue.verdict.outcome, dialogue.verdict.http_status) == (Outcome.FAILED, status)


def test_observe_mode_translates_a_generate_call_whose_inspection_failed() -> None:
    """Fail open: the body was read, only a detector broke."""
    dialogue, step = ask_generate(
        generate("hello"), OBSERVE, pipeline=Pipeline(lambda: 0, Ruleset((Broken(),), "rules-1"))
    )
    assert isinstance(step.answer, Proceed)
    assert (dialogue.verdict.decision.applied, dialogue.verdict.provider) == (Action.ALLOW_UNSCANNED, "openai")


# ── orders that cannot be ───────────────────────────────────────────────────────────────────────────────────────────

SAMPLES: tuple[Event, ...] = (
    RequestHeaders(AT, CHAT, ROUTE, end=False),
    RequestBody(AT, chat("hello"), CHAT, ROUTE),
    inspected(chat("hello")),
    Unwritten(AT, "full"),
    ResponseHeaders(AT, FROM_PROVIDER, end=False),
    ResponseBody(AT, b"{", end=False),
    Ended(AT),
)
WAYS: dict[State, tuple[Event, ...]] = {
    State.OPEN: (),
    State.HEADED: SAMPLES[:1],
    State.INSPECTING: SAMPLES[1:2],
    State.FORWARDED: SAMPLES[1:3],
    State.ANSWERING: (*SAMPLES[1:3], SAMPLES[4]),
    State.CLOSED: (*SAMPLES[1:3], SAMPLES[6]),
}
ILLEGAL = [(state, event) for state, event in product(State, SAMPLES) if (state, type(event)) not in _TABLE]
BEFORE = (State.OPEN, State.HEADED, State.INSPECTING)


def at(state: State, policy: Policy | None = None) -> Exchange:
    exchange = Exchange(DECISION_ID, PolicySet.one(policy or Policy()), around())
    for event in WAYS[state]:
        exchange.receive(event)
    assert exchange.state is state
    return exchange


@pytest.mark.parametrize(
    ("state", "event"), ILLEGAL, ids=[f"{state}-{type(event).__name__}" for state, event in ILLEGAL]
)
def test_event_out_of_order_is_a_failure_before_the_verdict_and_goes_on_after_it(state: State, event: Event) -> None:
    step = at(state).receive(event)
    phases = {RequestHeaders: Phase.REQUEST_HEADERS, RequestBody: Phase.REQUEST_BODY}
    phases |= {ResponseHeaders: Phase.RESPONSE_HEADERS, ResponseBody: Phase.RESPONSE_BODY}
    if state not in BEFORE:
        phase = phases.get(type(event))
        assert step == Step(answer=Proceed(phase) if phase else None)
        return
    assert isinstance(step.save, Verdict)
    assert error_of(step)["code"] == "douane_illegal_event"
    assert step.save.inspection.failure == InspectionFailed(
        FailureKind.ILLEGAL_EVENT, f"{type(event).__name__} in state {state}"
    )
    observed = at(state, OBSERVE).receive(event)
    assert isinstance(observed.answer, Proceed)
    assert observed.answer.phase is phases.get(type(event), observed.answer.phase)


# ── what holds for every order ──────────────────────────────────────────────────────────────────────────────────────

BODIES = (
    chat("hello"),
    chat(ATTACK),
    chat(LEAK),
    LEAK.encode(),
    generate("hello"),
    generate("x", "unknown"),
    b"{",
    b"",
)
HEADS = (CHAT, GENERATE, OTHER)
from_envoy = st.one_of(
    st.builds(
        RequestHeaders, st.just(AT), st.sampled_from(HEADS), st.sampled_from((ROUTE, "generate", "")), st.booleans()
    ),
    st.builds(RequestBody, st.just(AT), st.sampled_from(BODIES), st.sampled_from((*HEADS, None)), st.just(ROUTE)),
    st.builds(
        ResponseHeaders,
        st.just(AT + 1),
        st.builds(AnswerHead, st.sampled_from((0, 200, 413, 503)), st.sampled_from(("", "via_upstream", "local"))),
        st.booleans(),
    ),
    st.builds(
        ResponseBody,
        st.just(AT + 2),
        st.sampled_from((answer(), stream("hi"), answer()[:20], b"", b"\xff")),
        st.booleans(),
        st.sampled_from((FROM_PROVIDER, AnswerHead(413, "local"), None)),
    ),
)


@given(st.lists(from_envoy, max_size=8), st.sampled_from((Policy(), OBSERVE, PSEUDONYMISE)), st.booleans())
def test_every_message_gets_exactly_one_answer_and_every_exchange_one_record(
    events: list[Event], policy: Policy, full: bool
) -> None:
    """Whatever Envoy sends in whatever order: one answer each, at most one verdict and then at most one completion."""
    dialogue = Dialogue(policy)
    phases = {RequestHeaders: Phase.REQUEST_HEADERS, RequestBody: Phase.REQUEST_BODY}
    phases |= {ResponseHeaders: Phase.RESPONSE_HEADERS, ResponseBody: Phase.RESPONSE_BODY}
    for event in events:
        step = dialogue.say(event)
        given_answer = step.answer
        if full and step.save is not None:
            given_answer = dialogue.say(Unwritten(AT, "full")).answer or step.answer
        assert isinstance(given_answer, Refuse | Proceed)
        if isinstance(given_answer, Proceed):
            assert given_answer.phase is phases[type(event)]
    assert dialogue.say(Ended(AT + 9)).answer is None
    assert dialogue.exchange.state is State.CLOSED
    kinds = [type(entry) for entry in dialogue.saved]
    assert kinds in ([], [Verdict], [Verdict, Completion])
    if events:
        assert kinds
    if kinds == [Verdict]:
        assert dialogue.verdict.final or full
