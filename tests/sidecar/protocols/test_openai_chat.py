"""Chat completions: requests of every shape, answers whole and streamed, split anywhere."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.protocols import openai_chat
from sidecar.protocols.json_body import MalformedBody
from sidecar.protocols.reading import MAX_CHARS, Reader
from sidecar.protocols.text_body import MAX_TEXT_BYTES
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage
from tests.sidecar.values import USAGE, answer, stream

COUNTED = Usage(9, 12, 3, 4, 21)
LONG = "a text that is long enough"


def read(body: Any) -> LlmMessage:
    return openai_chat.read_request(json.dumps(body).encode(), Head())


def segments(*messages: Any, **more: Any) -> list[tuple[str, Surface, int, str]]:
    found = read({"messages": list(messages), **more}).segments
    return [(s.text, s.surface, s.message_index, s.path) for s in found]


@pytest.mark.parametrize(
    ("role", "surface"),
    [
        ("system", Surface.SYSTEM),
        ("developer", Surface.SYSTEM),
        ("user", Surface.USER),
        ("assistant", Surface.ASSISTANT),
        ("tool", Surface.TOOL_RESULT),
        ("function", Surface.TOOL_RESULT),
        ("another", Surface.USER),
        (None, Surface.USER),
        (["user"], Surface.USER),
    ],
)
def test_role_says_the_surface(role: Any, surface: Surface) -> None:
    assert segments({"role": role, "content": "hi"}) == [("hi", surface, 0, "/messages/0/content")]


def test_missing_role_is_the_user_s() -> None:
    assert segments({"content": "hi"}) == [("hi", Surface.USER, 0, "/messages/0/content")]


def test_conversation_is_read_with_its_places() -> None:
    found = read(
        {
            "model": "gpt-4o",
            "stream": True,
            "user": "ada",
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": ""}]},
                {"role": "user", "content": ""},
            ],
        }
    )
    assert found == LlmMessage(
        protocol="openai_chat",
        segments=(
            Segment("be kind", Surface.SYSTEM, 0, "/messages/0/content"),
            Segment("hi", Surface.USER, 1, "/messages/1/content/0/text"),
        ),
        model="gpt-4o",
        stream=True,
        messages=3,
        user="ada",
    )


def test_parts_of_any_shape_are_scanned() -> None:
    parts = ["short", {"type": "text", "text": {"value": LONG}}, [LONG], {"type": "x", "unknown": LONG}, 7, None]
    assert segments({"role": "user", "content": parts}) == [
        ("short", Surface.USER, 0, "/messages/0/content/0"),
        (LONG, Surface.USER, 0, "/messages/0/content/1/text/value"),
        (LONG, Surface.USER, 0, "/messages/0/content/2/0"),
        (LONG, Surface.USER, 0, "/messages/0/content/3/unknown"),
    ]


def test_media_are_counted_as_unscanned() -> None:
    image = "data:image/png;base64," + "A" * 100
    parts = [
        {"type": "image_url", "image_url": {"url": image}},
        {"type": "image_url", "image_url": image},
        {"type": "input_audio", "input_audio": {"data": "B" * 50, "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a file name.pdf"}},
        {"type": "image_url", "image_url": {"url": "https://images.test/x.png"}},
    ]
    found = read({"messages": [{"role": "user", "content": parts}]})
    assert [(u.reason, u.bytes) for u in found.unscanned] == [
        (UnscannedReason.BINARY, size) for size in (122, 122, 50, 32)
    ]
    assert [s.text for s in found.segments] == ["a file name.pdf", "https://images.test/x.png"]


def test_text_dressed_as_media_elsewhere_is_scanned() -> None:
    """Only where a model would see an image is a data URL one."""
    url = "data:text/plain;base64,QUJD"
    assert [text for text, *_ in segments({"role": "user", "content": [{"type": "text", "text": url}]})] == [url]


def test_tools_and_calls_have_their_surfaces() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
    tool = {"type": "function", "function": {"name": "f", "description": "tells the weather"}}
    assert segments(
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "function_call": {"name": "f", "arguments": '{"x": 1}'}},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
        tools=[tool],
        functions=[{"description": "old style, long"}],
        response_format={"schema": {"description": "of the answer"}},
    ) == [
        ('{"city": "Paris"}', Surface.TOOL_CALL, 0, "/messages/0/tool_calls/0/function/arguments"),
        ("function_call", Surface.TOOL_CALL, 1, "/messages/1"),
        ('{"x": 1}', Surface.TOOL_CALL, 1, "/messages/1/function_call/arguments"),
        ("sunny", Surface.TOOL_RESULT, 2, "/messages/2/content"),
        ("tells the weather", Surface.TOOL_DEFINITION, -1, "/tools/0/function/description"),
        ("old style, long", Surface.TOOL_DEFINITION, -1, "/functions/0/description"),
        ("response_format", Surface.TOOL_DEFINITION, -1, ""),
        ("of the answer", Surface.TOOL_DEFINITION, -1, "/response_format/schema/description"),
    ]


def test_unknown_fields_are_scanned() -> None:
    assert segments({"role": "user", "content": "hi", "surprise": LONG}, extra={"deep": [LONG]}) == [
        ("hi", Surface.USER, 0, "/messages/0/content"),
        (LONG, Surface.USER, 0, "/messages/0/surprise"),
        (LONG, Surface.USER, -1, "/extra/deep/0"),
    ]


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"user": "ada", "safety_identifier": "bob"}, "ada"),
        ({"safety_identifier": "bob", "metadata": {"user_id": "eve"}}, "bob"),
        ({"metadata": {"user_id": "eve"}}, "eve"),
        ({"user": 7, "metadata": ["x"]}, ""),
        ({}, ""),
    ],
)
def test_user_is_who_the_body_says(fields: dict[str, Any], user: str) -> None:
    assert read({"messages": [], **fields}).user == user


@pytest.mark.parametrize("body", [[], "x", None, {}, {"messages": None}, {"messages": {}}, {"messages": ["hi"]}])
def test_body_without_a_list_of_messages_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedBody):
        read(body)


@pytest.mark.parametrize("stream_", [1, "true", None, []])
def test_only_true_asks_for_a_stream(stream_: Any) -> None:
    assert read({"messages": [], "stream": stream_}).stream is False


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(("user", "tool", "text", "image_url", "data:image/png;base64,QQ==", "a long text to be scanned")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ("role", "content", "type", "text", "image_url", "url", "tool_calls", "function", "arguments", "x",
             "input_audio", "data", "file", "file_data", "model", "user", "metadata", "user_id", "messages", "name",
             "choices", "message", "delta", "usage", "prompt_tokens", "prompt_tokens_details", "index", "refusal",
             "finish_reason", "reasoning", "completion_tokens_details", "a key longer than any")
        ),
        inner,
        max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@given(anything, st.lists(anything, max_size=3), anything)
def test_wrong_types_are_malformed_or_scanned(body: Any, messages: Any, model: Any) -> None:
    """No long string is lost: scanned, counted as unscanned, or the model's name."""
    if isinstance(body, dict):
        body = {**body, "messages": messages, "model": model}
    try:
        found = read(body)
    except MalformedBody:
        return

    def strings(item: Any) -> list[str]:
        if isinstance(item, str):
            return [item]
        if isinstance(item, dict):
            return [text for key, inner in item.items() for text in (key, *strings(inner))]
        return [text for inner in item for text in strings(inner)] if isinstance(item, list) else []

    assert isinstance(body, dict)
    expected = strings({key: value for key, value in body.items() if key not in ("messages", "model")})
    expected += strings(messages) + (strings(model) if not isinstance(model, str) else [])
    scanned = [s.text for s in found.segments]
    expected_long = [text for text in expected if len(text) > 12]
    assert len([t for t in scanned if len(t) > 12]) + len(found.unscanned) >= len(expected_long)


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def reply(*chunks: bytes) -> LlmReply:
    reader = Reader(openai_chat)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


WHOLE = LlmReply((Segment("Bonjour.", Surface.OUTPUT, 0, "/choices"),), "gpt-4o-2024", "stop", COUNTED)
STREAMED = LlmReply((Segment("Un été à Paris", Surface.OUTPUT),), "gpt-4o-2024", "stop", COUNTED)
EVENTS = stream("Un ", "été ", "à ", "Paris")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(answer(), WHOLE, id="json"),
        pytest.param(json.dumps(json.loads(answer()), indent=1).encode() + b"\n", WHOLE, id="json, indented"),
        pytest.param(b"\n \r\n" + answer(), WHOLE, id="json after keep-alive"),
        pytest.param(b"\xef\xbb\xbf" + answer(), WHOLE, id="json with a byte order mark"),
        pytest.param(EVENTS, STREAMED, id="events"),
        pytest.param(EVENTS.replace(b"\n", b"\r\n"), STREAMED, id="events, CRLF"),
        pytest.param(b": OPENROUTER PROCESSING\n\n" + EVENTS, STREAMED, id="events after a comment"),
        pytest.param(EVENTS.replace(b"data: {", b"event: x\ndata:{"), STREAMED, id="events with names"),
        pytest.param(EVENTS.removesuffix(b"\n\n"), STREAMED, id="events without the last blank line"),
        pytest.param(stream("Un ", "été ", "à ", "Paris", done=False), STREAMED, id="events without DONE"),
        pytest.param(b"\xef\xbb\xbf" + EVENTS, STREAMED, id="events with a byte order mark"),
    ],
)
def test_answer_reads_the_same_split_at_every_byte(data: bytes, expected: LlmReply) -> None:
    assert reply(data) == expected
    for cut in range(len(data)):
        assert reply(data[:cut], data[cut:]) == expected
    assert reply(*(data[i : i + 1] for i in range(len(data)))) == expected
    assert reply(*(data[i : i + 7] for i in range(0, len(data), 7))) == expected


def test_json_cut_often_at_closing_braces_is_read_whole() -> None:
    """Trying to read at every brace would be quadratic; giving up must not lose the usage."""
    data = answer(extra=[{"n": {"n": {}}} for _ in range(20)])
    parts = [part + b"}" for part in data.split(b"}")[:-1]]
    assert b"".join(parts) == data
    assert reply(*parts) == WHOLE


@pytest.mark.parametrize("data", [answer(), EVENTS], ids=["json", "events"])
def test_reader_is_complete_with_the_last_byte(data: bytes) -> None:
    reader = Reader(openai_chat)
    reader.feed(data[:-1])
    assert reader.complete is False
    reader.feed(data[-1:])
    assert reader.complete is True


def test_stream_without_done_is_not_complete_by_itself() -> None:
    reader = Reader(openai_chat)
    reader.feed(stream("x", done=False))
    assert reader.complete is False


def test_tool_calls_refusals_and_reasoning_are_told_apart() -> None:
    message = {
        "content": None,
        "refusal": "I will not.",
        "reasoning_content": "hm",
        "tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}, "garbage"],
    }
    found = reply(json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode())
    assert found == LlmReply(
        segments=(
            Segment("I will not.", Surface.OUTPUT, 0, "/choices"),
            Segment("hm", Surface.REASONING, 0, "/choices"),
            Segment('{"a":1}', Surface.TOOL_CALL, 0, "/choices"),
        ),
        finish_reason="tool_calls",
        tool_calls=1,
        refusal=True,
    )


def events(*values: Any) -> bytes:
    return "".join(f"data: {json.dumps(value)}\n\n" for value in values).encode()


def delta(index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": fields}]}


def test_streamed_tool_calls_are_counted_and_joined() -> None:
    call = [{"index": 0, "function": {"arguments": '{"a"'}}], [{"index": 0, "function": {"arguments": ":1}"}}]
    found = reply(events(delta(tool_calls=call[0]), delta(tool_calls=call[1]), delta(tool_calls=[{"index": 1}])))
    assert found == LlmReply((Segment('{"a":1}', Surface.TOOL_CALL),), tool_calls=2)


def test_content_in_parts_is_text_too() -> None:
    parts = [{"type": "text", "text": "Bon"}, {"type": "thinking"}, "jour"]
    assert [s.text for s in reply(events(delta(content=parts))).segments] == ["Bonjour"]
    whole = json.dumps({"choices": [{"message": {"content": parts}}]}).encode()
    assert [s.text for s in reply(whole).segments] == ["Bonjour"]


def test_garbage_events_are_counted_as_unscanned() -> None:
    found = reply(b"data: {oops\n\ndata: [1]\n\n" + events(delta(content="hi")))
    assert found == LlmReply(
        (Segment("hi", Surface.OUTPUT),), unscanned=(Unscanned(UnscannedReason.FAILURE, len("{oops") + len("[1]")),)
    )


def test_error_in_the_middle_of_a_stream_is_scanned() -> None:
    found = reply(events(delta(content="hi "), {"error": {"message": "the upstream model is gone"}}))
    assert [s.text for s in found.segments] == ["hi ", "the upstream model is gone"]


def test_error_object_is_read_leaf_by_leaf() -> None:
    found = reply(b'{"error": {"message": "no such model here", "type": "x"}}')
    assert found == LlmReply((Segment("no such model here", Surface.OUTPUT, -1, "/error/message"),))


@pytest.mark.parametrize(
    "data", [b"<html>Bad Gateway</html>", b"upstream connect error", b"date: no field of SSE", b"dat"]
)
def test_text_is_neither_json_nor_events_and_is_scanned(data: bytes) -> None:
    for cut in range(len(data)):
        assert reply(data[:cut], data[cut:]) == LlmReply((Segment(data.decode(), Surface.OUTPUT),))


def test_text_beyond_the_limit_is_counted() -> None:
    limit = MAX_CHARS
    found = reply(*(events(delta(content="x" * 1000)) for _ in range(limit // 1000 + 2)))
    assert (sum(len(s.text) for s in found.segments), found.unscanned) == (
        limit,
        (Unscanned(UnscannedReason.LIMIT, (limit // 1000 + 2) * 1000 - limit),),
    )


def test_json_beyond_the_limit_is_counted() -> None:
    data = json.dumps({"choices": [{"message": {"content": "x" * 1000}}] * 9000}).encode()
    found = reply(data[:5_000_000], data[5_000_000:])
    assert found.unscanned == (Unscanned(UnscannedReason.LIMIT, len(data) - MAX_TEXT_BYTES),)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USAGE, COUNTED),
        (None, None),
        ([], None),
        ({}, Usage()),
        ({"prompt_tokens": -1, "completion_tokens": 1.5, "total_tokens": 2**60}, Usage()),
        ({"prompt_tokens": True, "prompt_tokens_details": [], "completion_tokens": "7"}, Usage()),
    ],
)
def test_usage_is_what_the_provider_counted(usage: Any, expected: Usage | None) -> None:
    assert openai_chat.read_usage(usage) == expected


@given(anything, st.booleans())
def test_answer_of_any_types_is_read(value: Any, streamed: bool) -> None:
    found = reply(events(value) if streamed else json.dumps(value).encode())
    assert isinstance(found, LlmReply)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_answer_of_any_bytes_reads_the_same_split_anywhere(data: bytes, cut: int) -> None:
    assert reply(data[:cut], data[cut:]) == reply(data)
