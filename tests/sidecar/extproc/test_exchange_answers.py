"""Exchanges whose answers are held: what the client and the record see. Dialogues as in test_exchange."""

import json
from typing import Any

import pytest

from sidecar.extproc.events import (
    AnswerHead,
    Ended,
    Phase,
    Proceed,
    Refuse,
    ResponseBody,
    ResponseHeaders,
    Step,
)
from sidecar.policy import OnOutputLeak, OnResponse, OutputLeaks, Policy, StreamUsage
from sidecar.types import Action, Mode, Outcome
from tests.sidecar.extproc.test_exchange import AT, FROM_PROVIDER, Dialogue
from tests.sidecar.values import ATTACK, GENERATE, LEAK, answer, around, chat, generate, stream

HOLD = Policy(response=OnResponse.ENFORCE, leak_budget=64)
EVENTS = AnswerHead(200, "via_upstream", "text/event-stream; charset=utf-8")
JSON = AnswerHead(200, "via_upstream", "application/json")
SEA = "a calm sea lies under a wide grey sky, "
WORDS = [SEA] * 40


def asked(policy: Policy = HOLD, **more: Any) -> Dialogue:
    dialogue = Dialogue(policy)
    assert isinstance(dialogue.ask(chat("hello", **more)).answer, Proceed)
    return dialogue


def headed(dialogue: Dialogue, head: AnswerHead) -> Proceed:
    step = dialogue.say(ResponseHeaders(AT + 900, head, end=False))
    assert isinstance(step.answer, Proceed)
    return step.answer


def said(dialogue: Dialogue, *chunks: bytes) -> bytes:
    """Return what the client gets of a stream."""
    pieces = []
    for number, chunk in enumerate(chunks):
        step = dialogue.say(ResponseBody(AT + 1000 + number, chunk, number == len(chunks) - 1))
        assert isinstance(step.answer, Proceed)
        pieces.append(chunk if step.answer.body is None else step.answer.body)
    return b"".join(pieces)


def last(dialogue: Dialogue, data: bytes, head: AnswerHead = JSON) -> Step:
    headed(dialogue, head)
    return dialogue.say(ResponseBody(AT + 1000, data, end=True))


def test_what_is_no_stream_is_collected_and_what_is_one_is_not() -> None:
    assert headed(asked(), JSON).collect is True
    assert headed(asked(), EVENTS).collect is False
    assert headed(asked(stream=True), JSON).collect is False
    assert headed(asked(stream=True), AnswerHead(429, "via_upstream", "application/json")).collect is True
    assert headed(asked(), AnswerHead(503, "upstream_reset")).collect is False


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(response=OnResponse.ENFORCE, mode=Mode.OBSERVE)], ids=["observe", "mode: observe"]
)
def test_without_enforcement_no_byte_waits(policy: Policy) -> None:
    dialogue = asked(policy, stream=True)
    assert headed(dialogue, JSON).collect is False
    for chunk in (stream(ATTACK, done=False), b"data: [DONE]\n\n"):
        assert dialogue.say(ResponseBody(AT + 1000, chunk, end=False)).answer == Proceed(Phase.RESPONSE_BODY)
    assert (dialogue.completion.applied, dialogue.completion.outcome) == (None, Outcome.ANSWERED)
    assert dialogue.completion.score == 20.0


def test_a_harmless_answer_goes_on_byte_for_byte() -> None:
    assert last(asked(), answer("Bonjour.")).answer == Proceed(Phase.RESPONSE_BODY)
    dialogue = asked(stream=True)
    headed(dialogue, EVENTS)
    data = stream(*WORDS)
    assert said(dialogue, *(data[i : i + 100] for i in range(0, len(data), 100))) == data
    assert dialogue.completion.outcome is Outcome.ANSWERED


def test_a_whole_answer_is_refused_in_its_provider_s_words() -> None:
    dialogue = asked()
    step = last(dialogue, answer(f"so {ATTACK} it is"))
    assert isinstance(step.answer, Refuse)
    assert step.answer.status == 403
    error = json.loads(step.answer.body)["error"]
    assert (error["code"], error["risk_score"]) == ("douane_denied", 20.0)
    found = dialogue.completion
    assert (found.applied, found.outcome, found.http_status) == (Action.DENY, Outcome.DENIED, 403)
    assert found.leaked_chars is None
    assert dialogue.say(ResponseHeaders(AT + 2000, AnswerHead(403, "douane_refused"), end=False)).save is None


def test_a_stream_is_cut_recorded_and_silent_afterwards() -> None:
    dialogue = asked(stream=True)
    headed(dialogue, EVENTS)
    data = stream(*WORDS, f"so {ATTACK} it is", *WORDS)
    out = said(dialogue, *(data[i : i + 200] for i in range(0, len(data), 200)))
    assert ATTACK.encode() not in out
    assert out.count(SEA.encode()) > 20
    assert out.endswith(b"data: [DONE]\n\n")
    assert out.count(b"douane_denied") == 1
    found = dialogue.completion
    assert (found.applied, found.outcome, found.http_status, found.leaked_chars) == (
        Action.DENY,
        Outcome.DENIED,
        200,
        0,
    )
    assert len(dialogue.saved) == 2


def test_a_stream_that_comes_as_one_object_is_held_until_it_ends() -> None:
    dialogue = asked(stream=True)
    headed(dialogue, JSON)
    data = answer(ATTACK)
    assert json.loads(said(dialogue, data[:20], data[20:], b""))["error"]["code"] == "douane_denied"
    dialogue = asked(stream=True)
    headed(dialogue, JSON)
    assert said(dialogue, answer()[:20], answer()[20:], b"") == answer()


def test_a_secret_that_is_taken_out_does_not_refuse_the_answer() -> None:
    policy = Policy(
        response=OnResponse.ENFORCE, deny_score=8.0, output_leaks=OutputLeaks(secret_leak=OnOutputLeak.REDACT)
    )
    step = last(asked(policy), answer(f"it is {LEAK}"))
    assert isinstance(step.answer, Proceed)
    assert b"[REDACTED:secret_leak]" in (step.answer.body or b"")
    assert isinstance(last(asked(Policy(response=OnResponse.ENFORCE, deny_score=8.0)), answer(LEAK)).answer, Refuse)


def test_an_answer_that_could_not_be_inspected_is_refused() -> None:
    times = iter(range(0, 10**9, 10**6))
    late = around(now_us=lambda: next(times))
    dialogue = asked()
    dialogue.exchange._around = late
    step = last(dialogue, answer("hello"))
    assert isinstance(step.answer, Refuse)
    assert (step.answer.status, dialogue.completion.outcome) == (503, Outcome.FAILED)


def test_generate_is_refused_too() -> None:
    dialogue = Dialogue(HOLD)
    dialogue.ask(generate("hello"), GENERATE, "generate")
    step = last(dialogue, answer(ATTACK))
    assert isinstance(step.answer, Refuse)
    assert dialogue.completion.applied is Action.DENY


def test_a_client_that_hears_nothing_is_told_that_somebody_is_there() -> None:
    dialogue = asked(stream=True)
    headed(dialogue, EVENTS)
    head, rest = stream("some words").split(b"data: ", 1)
    data = b"data: " + rest
    half = len(data) // 2
    first = dialogue.say(ResponseBody(AT, head + data[:half], end=False)).answer
    silent = dialogue.say(ResponseBody(AT + 4_000_000, b"", end=False)).answer
    told = dialogue.say(ResponseBody(AT + 6_000_000, b"", end=False)).answer
    assert isinstance(first, Proceed)
    assert isinstance(silent, Proceed)
    assert isinstance(told, Proceed)
    assert silent.body in (None, b"")
    assert (told.body or b"").startswith(b": ")
    assert (told.body or b"").endswith(b"\n\n")


def test_usage_is_asked_for_and_kept_from_a_client_that_did_not_ask() -> None:
    dialogue = Dialogue(Policy(stream_usage=StreamUsage.ASK))
    step = dialogue.ask(chat("hello", stream=True))
    assert isinstance(step.answer, Proceed)
    assert json.loads(step.answer.body or b"")["stream_options"] == {"include_usage": True}
    assert ("content-length", str(len(step.answer.body or b""))) in step.answer.headers
    dialogue.say(ResponseHeaders(AT + 900, FROM_PROVIDER, end=False))
    out = said(dialogue, stream("a", "b"))
    assert b"total_tokens" not in out
    assert out.endswith(b"data: [DONE]\n\n")
    assert dialogue.completion.reply.usage is not None
    assert dialogue.completion.reply.usage.estimated is False


@pytest.mark.parametrize(
    "more", [{}, {"stream": True, "stream_options": {"include_usage": True}}, {"stream": True, "stream_options": None}]
)
def test_a_call_that_says_what_it_wants_is_left_alone(more: dict[str, Any]) -> None:
    dialogue = Dialogue(Policy(stream_usage=StreamUsage.ASK))
    assert dialogue.ask(chat("hello", **more)).answer == Proceed(Phase.REQUEST_BODY)


def test_a_stream_without_usage_is_estimated() -> None:
    dialogue = asked(Policy(), stream=True)
    dialogue.say(ResponseHeaders(AT + 900, FROM_PROVIDER, end=False))
    said(dialogue, b'data: {"choices": [{"delta": {"content": "twelve chars"}}]}\n\n')
    usage = dialogue.completion.reply.usage
    assert usage is not None
    assert (usage.completion_tokens, usage.estimated) == (3, True)


def test_an_answer_that_was_held_and_never_came_says_what_that_may_mean() -> None:
    """Envoy answers 500 to what is larger than it collects, and tells the sidecar nothing but that the stream is over."""
    dialogue = asked()
    assert headed(dialogue, JSON).collect is True
    dialogue.say(Ended(AT + 2000))
    assert dialogue.completion.outcome is Outcome.CLIENT_ABORTED
    assert "larger than the gateway takes" in dialogue.completion.reasons[-1]
