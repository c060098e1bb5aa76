"""Ollama: chat and generate, whole and as JSON lines; its own client reads our refusals."""

import json
from typing import Any

import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.protocols import ollama as wire
from sidecar.protocols.frames import LineFrames
from sidecar.protocols.json_body import MalformedBody
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage
from tests.sidecar.protocols.anything import (
    LONG,
    REFUSED,
    assert_nothing_is_lost,
    assert_reads_the_same_split_anywhere,
    reply,
    said,
    values,
)
from tests.sidecar.protocols.provider import provider


def read(body: Any, path: str = "/api/chat") -> LlmMessage:
    return wire.read_request(json.dumps(body).encode(), Head("POST", path))


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/ollama/api/chat", True),
        ("/api/generate", True),
        ("/api/embed", True),
        ("/api/embeddings", True),
        ("/api/tags", False),
    ],
)
def test_calls_to_models_are_read(path: str, ours: bool) -> None:
    assert wire.matches(Head("POST", path)) is ours


def test_chat_is_read_with_its_surfaces_and_places() -> None:
    call = {"function": {"name": "f", "arguments": {"city": "Paris, France"}}}
    found = read(
        {
            "model": "llama3.2",
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": "hi", "images": ["iVBORw0KGgo=", "no image at all"]},
                {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call]},
                {"role": "tool", "content": "sunny", "tool_name": "f"},
            ],
            "tools": [{"type": "function", "function": {"description": "tells the weather"}}],
        }
    )
    assert (found.protocol, found.model, found.stream, found.messages) == ("ollama", "llama3.2", True, 4)
    assert said(found) == [
        ("be kind", Surface.SYSTEM, 0, "/messages/0/content"),
        ("hi", Surface.USER, 1, "/messages/1/content"),
        ("no image at all", Surface.USER, 1, "/messages/1/images/1"),
        ("hm", Surface.REASONING, 2, "/messages/2/thinking"),
        ("Paris, France", Surface.TOOL_CALL, 2, "/messages/2/tool_calls/0/function/arguments/city"),
        ("sunny", Surface.TOOL_RESULT, 3, "/messages/3/content"),
        ("tells the weather", Surface.TOOL_DEFINITION, -1, "/tools/0/function/description"),
    ]
    assert found.unscanned == (Unscanned(UnscannedReason.BINARY, 12),)


def test_generate_and_embeddings_are_read() -> None:
    body = {"model": "m", "prompt": "hi", "system": "s", "suffix": "e", "images": ["QUJD"], "stream": False}
    found = read(body, "/api/generate")
    assert said(found) == [
        ("hi", Surface.USER, -1, "/prompt"),
        ("s", Surface.SYSTEM, -1, "/system"),
        ("e", Surface.USER, -1, "/suffix"),
    ]
    assert (found.stream, found.unscanned) == (False, (Unscanned(UnscannedReason.BINARY, 4),))
    found = read({"model": "m", "input": ["one", "two"]}, "/api/embed")
    assert ([s.text for s in found.segments], found.stream) == (["one", "two"], False)


@pytest.mark.parametrize("body", [[], "x", {"messages": {}}, {"messages": ["hi"]}])
def test_body_of_no_shape_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedBody):
        read(body)


KEYS = [
    "messages",
    "role",
    "content",
    "images",
    "tool_calls",
    "function",
    "arguments",
    "thinking",
    "prompt",
    "system",
    "response",
    "message",
    "model",
    "done",
    "done_reason",
    "eval_count",
    "input",
    "format",
    "error",
]
anything = values(KEYS, ("user", "tool", "assistant"))


@given(anything, st.lists(anything, max_size=3))
def test_wrong_types_are_malformed_or_scanned(body: Any, messages: Any) -> None:
    whole = {**body, "messages": messages} if isinstance(body, dict) else body
    model = whole.get("model") if isinstance(whole, dict) else None
    assert_nothing_is_lost(read, whole, [model] if isinstance(model, str) else [])


@given(anything)
def test_answer_of_any_types_is_read(value: Any) -> None:
    for body in (value, {"message": value}, {"response": value, "done": value}):
        assert isinstance(reply(wire, json.dumps(body).encode() + b"\n"), LlmReply)
    assert isinstance(wire.read_reply(value), LlmReply)


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

COUNTS = {"prompt_eval_count": 9, "eval_count": 12, "total_duration": 1}
ABOUT = {"model": "llama3.2", "created_at": "2026-11-25T08:00:00.000000Z"}


def lines(*values_: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({**ABOUT, **value}, ensure_ascii=False).encode() + b"\n" for value in values_)


def chat(done: bool = False, **fields: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": "", **fields}, "done": done}


CALL = {"function": {"name": "f", "arguments": {"city": "Paris, France"}}}
CHAT = lines(
    chat(thinking="let me "),
    chat(thinking="see"),
    chat(content="Un "),
    chat(content="été"),
    chat(tool_calls=[CALL]),
    {**chat(done=True), "done_reason": "stop", **COUNTS},
)


@pytest.mark.parametrize(
    "data", [CHAT, CHAT.removesuffix(b"\n"), CHAT.replace(b"\n", b"\r\n")], ids=["LF", "no last", "CRLF"]
)
def test_chat_stream_reads_the_same_split_at_every_byte(data: bytes) -> None:
    expected = LlmReply(
        (
            Segment("let me see", Surface.REASONING),
            Segment("Un été", Surface.OUTPUT),
            Segment("Paris, France", Surface.TOOL_CALL),
        ),
        "llama3.2",
        "stop",
        Usage(9, 12),
        tool_calls=1,
    )
    assert_reads_the_same_split_anywhere(wire, data, expected)


def test_generate_stream_reads_the_same_split_at_every_byte() -> None:
    data = lines({"response": "Un ", "done": False}, {"response": "été", "done": False})
    data += lines({"response": "", "done": True, "done_reason": "length", **COUNTS})
    expected = LlmReply((Segment("Un été", Surface.OUTPUT),), "llama3.2", "length", Usage(9, 12))
    assert_reads_the_same_split_anywhere(wire, data, expected)


def test_answer_that_comes_whole_is_its_only_line() -> None:
    whole = {**chat(done=True, content="Bonjour."), "done_reason": "stop", **COUNTS}
    expected = LlmReply((Segment("Bonjour.", Surface.OUTPUT),), "llama3.2", "stop", Usage(9, 12))
    assert_reads_the_same_split_anywhere(wire, lines(whole).rstrip(), expected)
    assert wire.read_reply({**ABOUT, **whole}).segments == (Segment("Bonjour.", Surface.OUTPUT, 0, "/message"),)


def test_errors_are_read_leaf_by_leaf() -> None:
    assert [s.text for s in reply(wire, CHAT + json.dumps({"error": LONG}).encode()).segments][-1] == LONG
    assert wire.read_reply([LONG]).segments == (Segment(LONG, Surface.OUTPUT, -1, "/0"),)


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.server
def test_client_raises_at_a_refusal() -> None:
    answer = provider(403, "application/json", json.dumps(wire.refusal(REFUSED)).encode())
    raises = pytest.raises(ollama.ResponseError)
    with answer as url, ollama.Client(host=url) as client, raises as raised:
        client.chat(model="m", messages=MESSAGES)
    assert (raised.value.status_code, raised.value.error) == (403, REFUSED.message)


@pytest.mark.server
def test_client_raises_at_the_error_in_a_stream() -> None:
    ending = LineFrames().closing([(e.name, e.data) for e in wire.stream_refusal(REFUSED)], begun=True)
    answer = provider(200, "application/x-ndjson", lines(chat(content="Un ")) + ending)
    raises = pytest.raises(ollama.ResponseError, match=r"Refused by Douane\.")
    with answer as url, ollama.Client(host=url) as client, raises:
        list(client.chat(model="m", messages=MESSAGES, stream=True))


@pytest.mark.server
def test_client_reads_the_fixtures() -> None:
    with provider(200, "application/x-ndjson", CHAT) as url, ollama.Client(host=url) as client:
        answer = list(client.chat(model="m", messages=MESSAGES, stream=True))
    assert "".join(part.message.content or "" for part in answer) == "Un été"
