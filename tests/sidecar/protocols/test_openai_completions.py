"""Completions of a prompt."""

import json
from typing import Any

import pytest
from hypothesis import given

from sidecar.protocols import openai_completions as wire
from sidecar.protocols.json_body import MalformedBody
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage
from tests.sidecar.protocols.replay import any_answer_is_read, anything, every_split, nothing_is_lost, reply, sse

LONG = "a text that is long enough"


def read(body: Any) -> LlmMessage:
    return wire.read_request(json.dumps(body).encode(), Head())


def test_prompts_are_the_user_s() -> None:
    found = read({"model": "m", "prompt": ["hi", "there"], "suffix": LONG, "stream": True, "user": "ada"})
    assert found == LlmMessage(
        "openai_completions",
        (
            Segment("hi", Surface.USER, 0, "/prompt/0"),
            Segment("there", Surface.USER, 1, "/prompt/1"),
            Segment(LONG, Surface.USER, -1, "/suffix"),
        ),
        "m",
        True,
        2,
        "ada",
    )
    assert [s.path for s in read({"prompt": "hi"}).segments] == ["/prompt"]


@pytest.mark.parametrize(("prompt", "numbers"), [([1, 2, 3], 3), ([[1, 2], [3]], 3), (["hi", [4]], 1)])
def test_token_numbers_are_counted_as_unscanned(prompt: Any, numbers: int) -> None:
    assert read({"prompt": prompt}).unscanned == (Unscanned(UnscannedReason.BINARY, 4 * numbers),)


def test_messages_are_a_conversation() -> None:
    """Mistral's agents/completions."""
    found = read({"agent_id": "a", "messages": [{"role": "system", "content": "be kind"}]})
    assert [(s.text, s.surface) for s in found.segments] == [("be kind", Surface.SYSTEM)]


@pytest.mark.parametrize("body", [[], "x", None])
def test_another_shape_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedBody):
        read(body)


def chunk(text: str, number: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"text": text, "index": number, "logprobs": None, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], **more}


USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


def test_a_stream_reads_the_same_split_at_every_byte() -> None:
    data = (
        sse(chunk("Bon"), chunk("other", 1), chunk("jour é"), chunk("", 0, "stop", usage=USAGE)) + b"data: [DONE]\n\n"
    )
    expected = LlmReply(
        (Segment("Bonjour é", Surface.OUTPUT), Segment("other", Surface.OUTPUT)),
        "m",
        "stop",
        Usage(2, 3, None, None, 5),
    )
    every_split(wire, data, expected)


def test_an_answer_that_comes_whole_is_read() -> None:
    found = reply(wire, json.dumps(chunk("Bonjour", finish="length", usage=USAGE)).encode())
    assert found == LlmReply(
        (Segment("Bonjour", Surface.OUTPUT, 0, "/choices"),), "m", "length", Usage(2, 3, None, None, 5)
    )
    message = {"choices": [{"message": {"content": "as Mistral answers"}}]}
    assert [s.text for s in reply(wire, json.dumps(message).encode()).segments] == ["as Mistral answers"]
    assert [s.text for s in reply(wire, b'{"error": {"message": "no such model here"}}').segments] == [
        "no such model here"
    ]


KEYS = ("prompt", "suffix", "choices", "text", "message", "delta", "content", "usage", "model", "index", "messages")


@given(anything(KEYS))
def test_wrong_types_lose_nothing(body: Any) -> None:
    nothing_is_lost(lambda data: wire.read_request(data, Head()), body)
    any_answer_is_read(wire, body)
