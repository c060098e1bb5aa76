"""Cohere's chat: both versions, whole and streamed; its SDK reads our refusals."""

import json
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError
from hypothesis import given
from hypothesis import strategies as st

from sidecar.protocols import cohere as wire
from sidecar.protocols.frames import SseFrames
from sidecar.protocols.json_body import MalformedBody
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage
from tests.sidecar.protocols.anything import (
    LONG,
    REFUSED,
    assert_nothing_is_lost,
    assert_reads_the_same_split_anywhere,
    reply,
    said,
    sse,
    values,
)
from tests.sidecar.protocols.provider import provider


def read(body: Any, path: str = "/v2/chat") -> LlmMessage:
    return wire.read_request(json.dumps(body).encode(), Head("POST", path))


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/cohere/v2/chat", True),
        ("/v1/chat", True),
        ("/v2/embed", False),
        ("/v2/rerank", False),
        ("/v1/chat/completions", False),
        ("/api/chat", False),
    ],
)
def test_chat_is_read(path: str, ours: bool) -> None:
    assert wire.matches(Head("POST", path)) is ours


def test_messages_have_their_surfaces_and_places() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    document = {"type": "document", "document": {"id": "d", "data": {"snippet": "sunny, they say"}}}
    found = read(
        {
            "model": "command-a-03-2025",
            "stream": True,
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": [{"type": "text", "text": "hi"}, image]},
                {"role": "assistant", "tool_plan": "I ask", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": [document]},
            ],
            "documents": ["a plain document", {"id": "d", "data": {"text": "doc"}}],
            "tools": [{"type": "function", "function": {"description": "tells the weather"}}],
        }
    )
    assert (found.protocol, found.model, found.stream, found.messages) == ("cohere", "command-a-03-2025", True, 4)
    assert said(found) == [
        ("be kind", Surface.SYSTEM, 0, "/messages/0/content"),
        ("hi", Surface.USER, 1, "/messages/1/content/0/text"),
        ("I ask", Surface.REASONING, 2, "/messages/2/tool_plan"),
        ('{"city": "Paris"}', Surface.TOOL_CALL, 2, "/messages/2/tool_calls/0/function/arguments"),
        ("sunny, they say", Surface.TOOL_RESULT, 3, "/messages/3/content/0/document/data/snippet"),
        ("a plain document", Surface.DOCUMENT, -1, "/documents/0"),
        ("doc", Surface.DOCUMENT, -1, "/documents/1/data/text"),
        ("tells the weather", Surface.TOOL_DEFINITION, -1, "/tools/0/function/description"),
    ]
    assert found.unscanned == (Unscanned(UnscannedReason.BINARY, 34),)


def test_version_1_is_read() -> None:
    body = {
        "message": "hi",
        "preamble": "s",
        "chat_history": [{"role": "USER", "message": "a"}, {"role": "CHATBOT", "message": "b"}],
        "tool_results": [{"call": {"name": "f"}, "outputs": [{"text": "sunny"}]}],
    }
    found = read(body, "/v1/chat")
    assert found.messages == 3
    assert said(found) == [
        ("hi", Surface.USER, 2, "/message"),
        ("s", Surface.SYSTEM, -1, "/preamble"),
        ("a", Surface.USER, 0, "/chat_history/0/message"),
        ("b", Surface.ASSISTANT, 1, "/chat_history/1/message"),
        ("sunny", Surface.TOOL_RESULT, -1, "/tool_results/0/outputs/0/text"),
    ]


@pytest.mark.parametrize(
    "body", [[], "x", {}, {"messages": {}}, {"messages": ["hi"]}, {"message": "a", "chat_history": 1}]
)
def test_body_of_no_shape_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedBody):
        read(body)


KEYS = [
    "messages",
    "message",
    "role",
    "content",
    "text",
    "type",
    "tool_calls",
    "tool_plan",
    "function",
    "arguments",
    "documents",
    "document",
    "data",
    "image_url",
    "url",
    "citations",
    "chat_history",
    "preamble",
    "model",
    "delta",
    "usage",
    "tokens",
    "input_tokens",
    "index",
    "error",
    "event_type",
    "response",
    "finish_reason",
    "meta",
]
WORDS = [
    "user",
    "tool",
    "assistant",
    "text",
    "image_url",
    "message-end",
    "content-delta",
    "tool-call-start",
    "citation-start",
    "text-generation",
    "stream-end",
]
anything = values(KEYS, WORDS)


@given(anything, st.lists(anything, max_size=3), st.sampled_from(("messages", "chat_history")))
def test_wrong_types_are_malformed_or_scanned(body: Any, messages: Any, name: str) -> None:
    whole = {**body, name: messages} if isinstance(body, dict) else body
    model = whole.get("model") if isinstance(whole, dict) else None
    assert_nothing_is_lost(read, whole, [model] if isinstance(model, str) else [])


@given(anything, st.booleans())
def test_answer_of_any_types_is_read(value: Any, streamed: bool) -> None:
    data = json.dumps(value).encode()
    assert isinstance(reply(wire, b"data: " + data + b"\n\n" if streamed else data), LlmReply)


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

COUNTS = {"tokens": {"input_tokens": 9, "output_tokens": 12}, "billed_units": {"input_tokens": 1, "output_tokens": 2}}


def delta(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    return {"type": kind, **({} if index is None else {"index": index}), "delta": {"message": message}}


CITATION = {
    "start": 0,
    "end": 2,
    "text": "Un été",
    "sources": [{"type": "document", "id": "d", "document": {"t": LONG}}],
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message-start", "id": "m", "delta": {"message": {"role": "assistant", "content": [], "tool_calls": []}}},
    delta("tool-plan-delta", tool_plan="I will "),
    delta("tool-plan-delta", tool_plan="ask"),
    delta("content-start", 0, content={"type": "text", "text": ""}),
    delta("content-delta", 0, content={"text": "Un "}),
    delta("content-delta", 0, content={"text": "été"}),
    delta("citation-start", 0, citations=CITATION),
    {"type": "citation-end", "index": 0},
    {"type": "content-end", "index": 0},
    delta(
        "tool-call-start", 0, tool_calls={"id": "f_01", "type": "function", "function": {"name": "f", "arguments": ""}}
    ),
    delta("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"a"'}}),
    delta("tool-call-delta", 0, tool_calls={"function": {"arguments": ":1}"}}),
    {"type": "tool-call-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": COUNTS}},
]


def test_stream_reads_the_same_split_at_every_byte() -> None:
    expected = LlmReply(
        (
            Segment("I will ask", Surface.REASONING),
            Segment("Un été", Surface.OUTPUT),
            Segment("Un été", Surface.DOCUMENT),
            Segment(LONG, Surface.DOCUMENT),
            Segment('{"a":1}', Surface.TOOL_CALL),
        ),
        "",
        "TOOL_CALL",
        Usage(9, 12),
        tool_calls=1,
    )
    assert_reads_the_same_split_anywhere(wire, sse(*EVENTS, named=True), expected)


def test_answer_that_comes_whole_is_read() -> None:
    call = {"id": "f_0123456789ab", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    message = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Bonjour."}],
    }
    body = {
        "id": "0123456789abcdef",
        "message": {**message, "tool_plan": "I ask", "tool_calls": [call]},
        "finish_reason": "COMPLETE",
        "usage": COUNTS,
    }
    expected = LlmReply(
        (
            Segment("hm", Surface.REASONING, 0, "/message/content/0/thinking"),
            Segment("Bonjour.", Surface.OUTPUT, 0, "/message/content/1/text"),
            Segment("I ask", Surface.REASONING, 0, "/message/tool_plan"),
            Segment('{"a":1}', Surface.TOOL_CALL, 0, "/message/tool_calls/0/function/arguments"),
        ),
        "",
        "COMPLETE",
        Usage(9, 12),
        tool_calls=1,
    )
    assert_reads_the_same_split_anywhere(wire, json.dumps(body).encode(), expected)


def test_version_1_answers_are_read() -> None:
    body = {"text": "Bonjour.", "finish_reason": "COMPLETE", "meta": COUNTS}
    assert reply(wire, json.dumps(body).encode()) == LlmReply(
        (Segment("Bonjour.", Surface.OUTPUT, -1, "/text"),), "", "COMPLETE", Usage(9, 12)
    )
    events: list[dict[str, Any]] = [
        {"event_type": "stream-start", "generation_id": "0123456789abcdef"},
        {"event_type": "text-generation", "text": "Bon"},
        {"event_type": "text-generation", "text": "jour."},
        {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": body},
    ]
    expected = LlmReply((Segment("Bonjour.", Surface.OUTPUT),), "", "COMPLETE", Usage(9, 12))
    assert_reads_the_same_split_anywhere(wire, sse(*events), expected)


def test_errors_are_read_leaf_by_leaf() -> None:
    for data in (
        json.dumps({"message": LONG}).encode(),
        sse({"message": LONG}),
        sse({"type": "message-end", "delta": {"error": LONG}}),
        json.dumps([LONG]).encode(),
    ):
        assert [s.text for s in reply(wire, data).segments] == [LONG]


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _client(url: str) -> cohere.ClientV2:
    return cohere.ClientV2(api_key="k", base_url=url, log_warning_experimental_features=False)


MESSAGES: Any = [{"role": "user", "content": "hi"}]


@pytest.mark.server
def test_sdk_raises_at_a_refusal() -> None:
    body = json.dumps(wire.refusal(REFUSED)).encode()
    with provider(403, "application/json", body) as url, pytest.raises(ApiError) as raised:
        _client(url).chat(model="m", messages=MESSAGES)
    assert (raised.value.status_code, raised.value.body) == (403, wire.refusal(REFUSED))


@pytest.mark.server
def test_sdk_reads_the_fixtures_and_why_a_stream_was_ended() -> None:
    ending = SseFrames().closing([(e.name, e.data) for e in wire.stream_refusal(REFUSED)], begun=True)
    with provider(200, "text/event-stream", sse(*EVENTS[:6], named=True) + ending) as url:
        events: Any = list(_client(url).chat_stream(model="m", messages=MESSAGES))
    texts = [event.delta.message.content.text for event in events if event.type == "content-delta"]
    assert "".join(texts) == "Un été"
    assert (events[-1].type, events[-1].delta.finish_reason, events[-1].delta.error) == (
        "message-end",
        "ERROR",
        REFUSED.message,
    )
