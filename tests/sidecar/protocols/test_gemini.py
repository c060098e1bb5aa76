"""Gemini: requests of every part, answers whole and streamed in both framings, refusals as its SDK reads them."""

import json
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from hypothesis import given

from sidecar.protocols import gemini as wire
from sidecar.protocols.frames import ArrayFrames, Framing, SseFrames
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
    sse,
    values,
)
from tests.sidecar.protocols.provider import provider

PATH = "/v1beta/models/gemini-2.5-flash:generateContent"


def read(body: Any, path: str = PATH) -> LlmMessage:
    return wire.read_request(json.dumps(body).encode(), Head("POST", path))


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        (PATH, True),
        ("/gemini" + PATH + "?key=k", True),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", True),
        ("/v1/projects/p/locations/l/publishers/google/models/m:countTokens", True),
        ("/v1beta/models/m:embedContent", True),
        ("/v1beta/models/m:batchEmbedContents", True),
        ("/v1beta/models/m", False),
        ("/v1beta/models/m:predict", False),
    ],
)
def test_methods_of_models_are_read(path: str, ours: bool) -> None:
    assert wire.matches(Head("POST", path)) is ours


BODY = {
    "systemInstruction": {"parts": [{"text": "be kind"}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "hi"},
                {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
                {"fileData": {"mimeType": "text/plain", "fileUri": "https://files.test/a.txt"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True, "thoughtSignature": "c2lnbmVkLWJ5LWdvb2dsZQ=="},
                {"functionCall": {"name": "f", "args": {"city": "Paris, France"}}},
                {"executableCode": {"language": "PYTHON", "code": "1+1"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
                {"text": "so"},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "sunny, they say"}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "description": "tells the weather"}]}],
    "generationConfig": {"responseSchema": {"description": "of the answer"}},
}


def test_parts_have_their_surfaces_and_places() -> None:
    found = read(BODY)
    assert (found.model, found.stream, found.messages) == ("gemini-2.5-flash", False, 3)
    texts = [item for item in said(found) if not item[0].isidentifier() or len(item[0]) == 2]
    mime = [item for item in texts if item[3].endswith("/mimeType")]
    assert [item for item in texts if item not in mime] == [
        ("be kind", Surface.SYSTEM, -1, "/systemInstruction/parts/0/text"),
        ("hi", Surface.USER, 0, "/contents/0/parts/0/text"),
        ("https://files.test/a.txt", Surface.DOCUMENT, 0, "/contents/0/parts/2/fileData/fileUri"),
        ("hm", Surface.REASONING, 1, "/contents/1/parts/0/text"),
        ("c2lnbmVkLWJ5LWdvb2dsZQ==", Surface.REASONING, 1, "/contents/1/parts/0/thoughtSignature"),
        ("Paris, France", Surface.TOOL_CALL, 1, "/contents/1/parts/1/functionCall/args/city"),
        ("1+1", Surface.TOOL_CALL, 1, "/contents/1/parts/2/executableCode/code"),
        ("2", Surface.TOOL_RESULT, 1, "/contents/1/parts/3/codeExecutionResult/output"),
        ("so", Surface.ASSISTANT, 1, "/contents/1/parts/4/text"),
        ("sunny, they say", Surface.TOOL_RESULT, 2, "/contents/2/parts/0/functionResponse/response/result"),
        ("tells the weather", Surface.TOOL_DEFINITION, -1, "/tools/0/functionDeclarations/0/description"),
        ("of the answer", Surface.TOOL_DEFINITION, -1, "/generationConfig/responseSchema/description"),
    ]
    assert found.unscanned == (Unscanned(UnscannedReason.BINARY, 12),)
    for segment in found.segments:
        place = at(BODY, segment)
        assert segment.text == place or segment.text in place


def test_snake_case_is_read_alike() -> None:
    found = read(
        {
            "system_instruction": {"parts": {"text": "be kind"}},
            "contents": [
                {"parts": [{"inline_data": {"mime_type": "image/png", "data": "QUJD"}}]},
                {"role": "model", "parts": [{"function_call": {"args": {"a": LONG}}}]},
                {"role": "function", "parts": [{"function_response": {"response": {"a": LONG}}}]},
            ],
        },
        "/v1beta/models/m:streamGenerateContent",
    )
    assert found.stream
    assert [(s.text, s.surface) for s in found.segments if s.text in (LONG, "be kind")] == [
        ("be kind", Surface.SYSTEM),
        (LONG, Surface.TOOL_CALL),
        (LONG, Surface.TOOL_RESULT),
    ]
    assert found.unscanned == (Unscanned(UnscannedReason.BINARY, 4),)


def test_embeddings_and_counting_are_read() -> None:
    content = {"parts": [{"text": "one"}]}
    assert said(read({"content": content}, "/v1beta/models/m:embedContent")) == [
        ("one", Surface.USER, -1, "/content/parts/0/text")
    ]
    batch = {"requests": [{"model": "models/embedding-001", "content": content}]}
    assert [s.text for s in read(batch, "/v1beta/models/m:batchEmbedContents").segments] == [
        "models/embedding-001",
        "one",
    ]
    counted = {"generateContentRequest": {"contents": [{"role": "model", "parts": [{"text": "two"}]}]}}
    found = read(counted, "/v1beta/models/m:countTokens")
    assert ("two", Surface.ASSISTANT) in [(s.text, s.surface) for s in found.segments]


@pytest.mark.parametrize("body", [[], "x", None])
def test_body_that_is_no_object_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedBody):
        read(body)


KEYS = [
    "contents",
    "role",
    "parts",
    "text",
    "inlineData",
    "inline_data",
    "data",
    "thought",
    "functionCall",
    "functionResponse",
    "args",
    "response",
    "content",
    "candidates",
    "finishReason",
    "usageMetadata",
    "promptFeedback",
    "blockReason",
    "promptTokenCount",
    "index",
    "error",
    "groundingMetadata",
    "tools",
    "systemInstruction",
]
anything = values(KEYS, ("user", "model", "STOP", "SAFETY"))


@given(anything)
def test_wrong_types_are_malformed_or_scanned(body: Any) -> None:
    assert_nothing_is_lost(read, body)


@given(anything, anything)
def test_answer_of_any_types_is_read(value: Any, candidates: Any) -> None:
    for body in (
        value,
        {"candidates": candidates, "usageMetadata": value},
        {"candidates": [{"content": {"parts": [value]}}]},
    ):
        data = json.dumps(body).encode()
        for answer in (data, b"data: " + data + b"\n\n", b"[" + data + b"]"):
            assert isinstance(reply(wire, answer), LlmReply)


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def chunk(*parts: dict[str, Any], finish: str = "", usage: dict[str, int] | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    told = {"promptTokenCount": 9, "totalTokenCount": 9, **(usage or {})}
    return {"candidates": [candidate], "usageMetadata": told, "modelVersion": "gemini-2.5-flash", "responseId": "r"}


LAST = {"candidatesTokenCount": 3, "thoughtsTokenCount": 4, "cachedContentTokenCount": 5, "totalTokenCount": 16}
CHUNKS = [
    chunk({"text": "let me ", "thought": True}),
    chunk({"text": "see", "thought": True}),
    chunk({"text": "Un "}),
    chunk({"text": "été"}),
    chunk(
        {
            "functionCall": {"name": "f", "args": {"city": "Paris, France"}},
            "thoughtSignature": "c2lnbmVkLWJ5LWdvb2dsZQ==",
        }
    ),
    chunk(finish="STOP", usage=LAST),
]
STREAMED = LlmReply(
    (
        Segment("let me see", Surface.REASONING),
        Segment("Un été", Surface.OUTPUT),
        Segment("Paris, France", Surface.TOOL_CALL),
    ),
    "gemini-2.5-flash",
    "STOP",
    Usage(9, 7, 5, 4, 16),
    tool_calls=1,
)


@pytest.mark.parametrize(
    "data",
    [
        sse(*CHUNKS),
        sse(*CHUNKS).replace(b"\n", b"\r\n"),
        json.dumps(CHUNKS).encode(),
        json.dumps(CHUNKS, indent=1, ensure_ascii=False).encode(),
        b"[" + b"\n,\r\n".join(json.dumps(value, indent=1).encode() for value in CHUNKS) + b"\n]\n",
    ],
    ids=["events", "events, CRLF", "array", "array, indented", "array as Google writes it"],
)
def test_stream_reads_the_same_split_at_every_byte(data: bytes) -> None:
    assert_reads_the_same_split_anywhere(wire, data, STREAMED)


def test_answer_that_comes_whole_is_read() -> None:
    data = json.dumps(chunk({"text": "hm", "thought": True}, {"text": "Bonjour."}, finish="STOP", usage=LAST)).encode()
    expected = LlmReply(
        (Segment("hm", Surface.REASONING, 0, "/candidates"), Segment("Bonjour.", Surface.OUTPUT, 0, "/candidates")),
        "gemini-2.5-flash",
        "STOP",
        Usage(9, 7, 5, 4, 16),
    )
    assert_reads_the_same_split_anywhere(wire, data, expected)


def test_media_of_an_answer_are_counted() -> None:
    data = json.dumps(chunk({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}})).encode()
    assert reply(wire, data).unscanned == (Unscanned(UnscannedReason.BINARY, 12),)


@pytest.mark.parametrize(
    ("body", "finish", "refusal"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY", True),
        ({"candidates": [{"finishReason": "PROHIBITED_CONTENT"}]}, "PROHIBITED_CONTENT", True),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "MAX_TOKENS", False),
    ],
)
def test_refusals_of_the_model_are_told(body: dict[str, Any], finish: str, refusal: bool) -> None:
    found = reply(wire, json.dumps(body).encode())
    assert (found.finish_reason, found.refusal) == (finish, refusal)


def test_errors_are_read_leaf_by_leaf() -> None:
    error = {"error": {"code": 429, "message": LONG, "status": "RESOURCE_EXHAUSTED"}}
    for data in (json.dumps(error).encode(), sse(error), json.dumps([error]).encode()):
        assert LONG in [s.text for s in reply(wire, data).segments]


def test_what_a_candidate_says_beside_its_parts_is_read() -> None:
    body = {"candidates": [{"finishMessage": LONG, "groundingMetadata": {"webSearchQueries": ["what is douane"]}}]}
    found = [s.text for s in reply(wire, json.dumps(body).encode()).segments]
    assert LONG in found
    assert "what is douane" in found


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _client(url: str) -> genai.Client:
    return genai.Client(api_key="k", http_options=types.HttpOptions(base_url=url))


@pytest.mark.server
def test_sdk_raises_permission_denied() -> None:
    body = json.dumps(wire.refusal(REFUSED)).encode()
    with (
        provider(403, "application/json", body) as url,
        _client(url) as client,
        pytest.raises(errors.ClientError) as raised,
    ):
        client.models.generate_content(model="m", contents="hi")
    assert (raised.value.code, raised.value.status, raised.value.message) == (403, "PERMISSION_DENIED", REFUSED.message)
    info = wire.refusal(REFUSED)["error"]["details"][0]
    assert info["reason"] == "DOUANE_DENIED"
    assert all(isinstance(value, str) for value in info["metadata"].values())


@pytest.mark.server
def test_sdk_raises_at_the_error_in_a_stream() -> None:
    body = sse(*CHUNKS[:3]) + _closing(SseFrames(), begun=True)
    with provider(200, "text/event-stream", body) as url, _client(url) as client:
        stream = client.models.generate_content_stream(model="m", contents="hi")
        with pytest.raises(errors.APIError) as raised:
            list(stream)
    assert raised.value.code == 403


def _closing(framing: Framing, *, begun: bool) -> bytes:
    return framing.closing([(event.name, event.data) for event in wire.stream_refusal(REFUSED)], begun=begun)


@pytest.mark.parametrize("begun", [False, True])
def test_an_array_that_ends_with_an_error_is_json(begun: bool) -> None:
    opened = b"[" + json.dumps(CHUNKS[0]).encode() if begun else b""
    value = json.loads(opened + _closing(ArrayFrames(), begun=begun))
    assert value == ([CHUNKS[0]] if begun else []) + [wire.refusal(REFUSED)]


@pytest.mark.server
def test_sdk_reads_the_fixtures() -> None:
    with provider(200, "text/event-stream", sse(*CHUNKS)) as url, _client(url) as client:
        texts = [c.text for c in client.models.generate_content_stream(model="m", contents="hi")]
    assert "".join(text for text in texts if text) == "Un été"
