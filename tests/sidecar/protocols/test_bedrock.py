"""Bedrock: Converse and InvokeModel, whole and as AWS event streams; botocore reads our refusals."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.protocols import bedrock as wire
from sidecar.protocols.aws_frames import AwsFrames, event
from sidecar.protocols.json_body import MalformedBody
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage
from tests.sidecar.protocols.anything import (
    LONG,
    REFUSED,
    assert_nothing_is_lost,
    assert_reads_the_same_split_anywhere,
    at,
    reply,
    said,
    values,
)
from tests.sidecar.protocols.provider import provider

MODEL = "anthropic.claude-sonnet-4-5-v1:0"
ARN = "arn:aws:bedrock:eu-west-3:1:application-inference-profile/abc"
STREAM_TYPE = "application/vnd.amazon.eventstream"


def read(body: Any, call: str = "converse", model: str = MODEL) -> LlmMessage:
    return wire.read_request(json.dumps(body).encode(), Head("POST", f"/model/{quote(model, safe='')}/{call}"))


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        (f"/model/{MODEL}/converse", True),
        (f"/bedrock/model/{quote(ARN, safe='')}/converse-stream", True),
        (f"/model/{ARN}/invoke", True),
        ("/model/m/invoke-with-response-stream", True),
        ("/model/m/async-invoke", False),
        ("/model/converse", False),
    ],
)
def test_calls_to_models_are_read(path: str, ours: bool) -> None:
    assert wire.matches(Head("POST", path)) is ours


BODY = {
    "system": [{"text": "be kind"}, {"guardContent": {"text": {"text": "ground"}}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "hi"},
                {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
                {"document": {"format": "pdf", "name": "d", "source": {"bytes": "JVBERi0="}}},
                {"document": {"format": "txt", "name": "d", "source": {"text": "doc"}}},
                {"video": {"format": "mp4", "source": {"bytes": "QUJDRA=="}}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                {"toolUse": {"toolUseId": "t", "name": "f", "input": {"city": "Paris, France"}}},
            ],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "sunny"}, {"json": {"a": LONG}}]}}],
        },
    ],
    "toolConfig": {"tools": [{"toolSpec": {"name": "f", "description": "tells the weather"}}]},
}


def test_blocks_have_their_surfaces_and_places() -> None:
    found = read(BODY, "converse-stream", ARN)
    assert (found.protocol, found.model, found.stream, found.messages) == ("bedrock", ARN, True, 3)
    assert [item for item in said(found) if not (item[0].isidentifier() and len(item[0]) > 12)] == [
        ("be kind", Surface.SYSTEM, -1, "/system/0/text"),
        ("ground", Surface.SYSTEM, -1, "/system/1/guardContent/text/text"),
        ("hi", Surface.USER, 0, "/messages/0/content/0/text"),
        ("doc", Surface.DOCUMENT, 0, "/messages/0/content/3/document/source/text"),
        ("hm", Surface.REASONING, 1, "/messages/1/content/0/reasoningContent/reasoningText/text"),
        ("Paris, France", Surface.TOOL_CALL, 1, "/messages/1/content/1/toolUse/input/city"),
        ("sunny", Surface.TOOL_RESULT, 2, "/messages/2/content/0/toolResult/content/0/text"),
        (LONG, Surface.TOOL_RESULT, 2, "/messages/2/content/0/toolResult/content/1/json/a"),
        ("tells the weather", Surface.TOOL_DEFINITION, -1, "/toolConfig/tools/0/toolSpec/description"),
    ]
    assert found.unscanned == tuple(Unscanned(UnscannedReason.BINARY, n) for n in (12, 8, 8))
    for segment in found.segments:
        place = at(BODY, segment)
        assert segment.text == place or segment.text in place


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"inputText": "hi"}, [("hi", Surface.USER, -1, "/inputText")]),
        ({"prompt": "hi", "max_gen_len": 9}, [("hi", Surface.USER, -1, "/prompt")]),
        (
            {"message": "hi", "chat_history": [{"role": "CHATBOT", "message": "so"}], "preamble": "s"},
            [
                ("hi", Surface.USER, -1, "/message"),
                ("so", Surface.ASSISTANT, -1, "/chat_history/0/message"),
                ("s", Surface.SYSTEM, -1, "/preamble"),
            ],
        ),
        (
            {"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "hi"}]}]},
            [("schemaVersion", Surface.USER, -1, ""), ("hi", Surface.USER, 0, "/messages/0/content/0/text")],
        ),
        (
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]},
            [("s", Surface.SYSTEM, 0, "/messages/0/content"), ("hi", Surface.USER, 1, "/messages/1/content")],
        ),
        (
            {"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "hi"}]},
            [
                ("anthropic_version", Surface.USER, -1, ""),
                ("bedrock-2023-05-31", Surface.USER, -1, "/anthropic_version"),
                ("hi", Surface.USER, 0, "/messages/0/content"),
            ],
        ),
        ({"unheard_of": {"deep": [LONG]}}, [(LONG, Surface.USER, -1, "/unheard_of/deep/0")]),
    ],
    ids=["Titan", "Llama", "Cohere", "Nova", "Mistral", "Anthropic", "another"],
)
def test_bodies_of_models_are_read_by_their_shape(body: Any, expected: list[Any]) -> None:
    assert said(read(body, "invoke")) == expected


@pytest.mark.parametrize("body", [[], "x", None, {"anthropic_version": "v", "messages": 1}])
def test_body_of_no_shape_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedBody):
        read(body, "invoke")


KEYS = [
    "messages",
    "role",
    "content",
    "text",
    "toolUse",
    "input",
    "toolResult",
    "document",
    "source",
    "bytes",
    "image",
    "reasoningContent",
    "system",
    "prompt",
    "inputText",
    "message",
    "chat_history",
    "output",
    "usage",
    "inputTokens",
    "stopReason",
    "delta",
    "contentBlockIndex",
    "start",
    "results",
    "outputs",
    "outputText",
    "generation",
    "choices",
    "type",
]
anything = values(KEYS, ("user", "assistant", "message_start", "end_turn", "content_filtered"))


@given(anything, st.sampled_from(("converse", "invoke")))
def test_wrong_types_are_malformed_or_scanned(body: Any, call: str) -> None:
    assert_nothing_is_lost(lambda value: read(value, call), body)


@given(anything)
def test_answer_of_any_types_is_read(value: Any) -> None:
    data = json.dumps(value).encode()
    assert isinstance(reply(wire, data), LlmReply)
    assert isinstance(reply(wire, event("x", data), chunk(value)), LlmReply)


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def chunk(value: Any) -> bytes:
    inner = base64.b64encode(json.dumps(value).encode()).decode()
    return event("chunk", json.dumps({"bytes": inner, "p": "abcdefgh"}).encode())


def converse(*events: tuple[str, Any]) -> bytes:
    return b"".join(event(name, json.dumps({**value, "p": "abcdefghijklmnopqrst"}).encode()) for name, value in events)


COUNTS = {
    "inputTokens": 5,
    "outputTokens": 9,
    "totalTokens": 46,
    "cacheReadInputTokens": 30,
    "cacheWriteInputTokens": 2,
}
COUNTED = Usage(37, 9, 30, None, 46)
STREAM = converse(
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "let me see"}}}),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "c2lnbmVkLWJ5LXdob20="}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Un "}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "été"}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    (
        "contentBlockStart",
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "tooluse_0123456789", "name": "f"}}},
    ),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"a"'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": ":1}"}}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": COUNTS, "metrics": {"latencyMs": 7}}),
)
STREAMED = LlmReply(
    (
        Segment("let me see", Surface.REASONING),
        Segment("Un été", Surface.OUTPUT),
        Segment('{"a":1}', Surface.TOOL_CALL),
    ),
    "",
    "tool_use",
    COUNTED,
    tool_calls=1,
)


def test_converse_stream_reads_the_same_split_at_every_byte() -> None:
    assert_reads_the_same_split_anywhere(wire, STREAM, STREAMED)


def test_converse_answer_that_comes_whole_is_read() -> None:
    content = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2lnbmVkLWJ5LXdob20="}}},
        {"text": "Bonjour."},
        {"toolUse": {"toolUseId": "tooluse_0123456789", "name": "f", "input": {"city": "Paris, France"}}},
    ]
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use", "usage": COUNTS}
    found = reply(wire, json.dumps(body).encode())
    assert [
        (s.text, s.surface) for s in found.segments if s.text != "reasoningContent" and s.text != "reasoningText"
    ] == [
        ("hm", Surface.REASONING),
        ("Bonjour.", Surface.OUTPUT),
        ("Paris, France", Surface.TOOL_CALL),
    ]
    assert (found.finish_reason, found.usage, found.tool_calls, found.refusal) == ("tool_use", COUNTED, 1, False)
    assert reply(wire, json.dumps({**body, "stopReason": "guardrail_intervened"}).encode()).refusal


def test_a_message_with_a_wrong_checksum_is_counted() -> None:
    data = bytearray(STREAM)
    data[20] ^= 1
    found = reply(wire, bytes(data))
    assert found.segments == STREAMED.segments
    assert [u.reason for u in found.unscanned] == [UnscannedReason.LIMIT]


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 4, "outputTokenCount": 5}}


@pytest.mark.parametrize(
    ("events", "finish", "usage", "calls"),
    [
        (
            [
                {"type": "message_start", "message": {"usage": {"input_tokens": 4, "cache_read_input_tokens": 6}}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Un "}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "été"}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
                {"type": "message_stop", **METRICS},
            ],
            "end_turn",
            Usage(10, 5, 6),
            0,
        ),
        (
            [{"outputText": "Un ", "index": 0}, {"outputText": "été", "index": 0, "completionReason": "FINISH", **METRICS}],
            "FINISH",
            Usage(4, 5),
            0,
        ),
        (
            [{"generation": "Un ", "stop_reason": None}, {"generation": "été", "stop_reason": "stop", **METRICS}],
            "stop",
            Usage(4, 5),
            0,
        ),
        (
            [{"outputs": [{"text": "Un ", "stop_reason": None}]}, {"outputs": [{"text": "été", "stop_reason": "stop"}], **METRICS}],
            "stop",
            Usage(4, 5),
            0,
        ),
        (
            [{"text": "Un ", "is_finished": False}, {"text": "été", "is_finished": False},
             {"is_finished": True, "finish_reason": "COMPLETE", **METRICS}],
            "COMPLETE",
            Usage(4, 5),
            0,
        ),
        (
            [{"contentBlockDelta": {"delta": {"text": "Un "}, "contentBlockIndex": 0}},
             {"contentBlockDelta": {"delta": {"text": "été"}, "contentBlockIndex": 0}},
             {"messageStop": {"stopReason": "end_turn"}},
             {"metadata": {"usage": {"inputTokens": 4, "outputTokens": 5}}, **METRICS}],
            "end_turn",
            Usage(4, 5),
            0,
        ),
        (
            [{"choices": [{"index": 0, "delta": {"content": "Un "}}]},
             {"choices": [{"index": 0, "delta": {"content": "été"}, "finish_reason": "stop"}], **METRICS}],
            "stop",
            Usage(4, 5),
            0,
        ),
    ],
    ids=["Anthropic", "Titan", "Llama", "Mistral", "Cohere", "Nova", "OpenAI"],
)  # fmt: skip
def test_streams_of_models_read_the_same_split_anywhere(
    events: list[Any], finish: str, usage: Usage, calls: int
) -> None:
    data = b"".join(chunk(value) for value in events)
    expected = LlmReply((Segment("Un été", Surface.OUTPUT),), "", finish, usage, calls)
    assert_reads_the_same_split_anywhere(wire, data, expected)


def test_an_exception_in_a_stream_is_scanned() -> None:
    assert [s.text for s in reply(wire, event("x", json.dumps({"message": LONG}).encode())).segments] == [LONG]


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _client(url: str) -> Any:
    """Return the real SDK. It is not locked: it asks for an older python-dateutil than Envoy's configuration does."""
    config = pytest.importorskip("botocore.config").Config(retries={"max_attempts": 0}, proxies={})
    return pytest.importorskip("boto3").client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="eu-west-3",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


MESSAGES = [{"role": "user", "content": [{"text": "hi"}]}]


@pytest.mark.server
def test_sdk_raises_access_denied() -> None:
    body = json.dumps(wire.refusal(REFUSED)).encode()
    errors = pytest.importorskip("botocore.exceptions")
    with provider(403, "application/json", body) as url, pytest.raises(errors.ClientError) as raised:
        _client(url).converse(modelId=MODEL, messages=MESSAGES)
    assert raised.value.response["Error"] == {"Code": "AccessDeniedException", "Message": REFUSED.message}


@pytest.mark.server
def test_sdk_raises_at_the_exception_in_a_stream() -> None:
    body = converse(("messageStart", {"role": "assistant"}))
    body += AwsFrames().closing([(e.name, e.data) for e in wire.stream_refusal(REFUSED)], begun=True)
    with provider(200, STREAM_TYPE, body) as url:
        stream = _client(url).converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
        with pytest.raises(
            pytest.importorskip("botocore.exceptions").EventStreamError, match=r"validationException.*Refused by Douane"
        ):
            list(stream)


@pytest.mark.server
def test_sdk_reads_the_fixtures() -> None:
    with provider(200, STREAM_TYPE, STREAM) as url:
        stream = _client(url).converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
        events = list(stream)
    texts = [e["contentBlockDelta"]["delta"].get("text", "") for e in events if "contentBlockDelta" in e]
    assert "".join(texts) == "Un été"
