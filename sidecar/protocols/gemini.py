"""Google's Gemini: generateContent, whole or streamed, token counting and embeddings; on Vertex AI too.

In: request and response bodies in camelCase or snake_case, streams as a JSON array or as SSE. Out: LlmMessage, LlmReply, Deltas.
Usage: prompt_tokens = promptTokenCount (+ toolUsePromptTokenCount), which counts cached ones in; completion_tokens =
candidatesTokenCount + thoughtsTokenCount, because Gemini's candidates leave thoughts out. Each chunk repeats it: the last counts.
Source: Gemini API reference, "Generating content", "Counting tokens", "Embeddings"; google.rpc.Status; read 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sidecar.protocols.frames import ArrayFrames
from sidecar.protocols.parts import Found, Holder, Rules, read_error, walked
from sidecar.protocols.values import (
    added,
    index_of,
    most_tokens,
    number_of,
    object_of,
    objects_of,
    read_object,
    text_of,
)
from sidecar.protocols.wire import Delta, Piece, Refused, StreamEvent
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, Usage

NAME = "gemini"
FRAMING = ArrayFrames

_METHOD = re.compile(r":(?:generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)$")
_MODEL = re.compile(r"/models/([^/:]+):")

_ROLES = {
    "user": Surface.USER,
    "model": Surface.ASSISTANT,
    "function": Surface.TOOL_RESULT,
    "tool": Surface.TOOL_RESULT,
}
_KEYS = {
    "systemInstruction": Surface.SYSTEM,
    "system_instruction": Surface.SYSTEM,
    "tools": Surface.TOOL_DEFINITION,
    "responseSchema": Surface.TOOL_DEFINITION,
    "response_schema": Surface.TOOL_DEFINITION,
    "responseJsonSchema": Surface.TOOL_DEFINITION,
    "response_json_schema": Surface.TOOL_DEFINITION,
}
_PARTS = {
    "functionCall": Surface.TOOL_CALL,
    "function_call": Surface.TOOL_CALL,
    "executableCode": Surface.TOOL_CALL,
    "executable_code": Surface.TOOL_CALL,
    "functionResponse": Surface.TOOL_RESULT,
    "function_response": Surface.TOOL_RESULT,
    "codeExecutionResult": Surface.TOOL_RESULT,
    "code_execution_result": Surface.TOOL_RESULT,
    "fileData": Surface.DOCUMENT,
    "file_data": Surface.DOCUMENT,
}
# Why an answer ends that the model or a filter would not give. RECITATION is about copyright, not about what was asked.
_BLOCKED = frozenset(("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "IMAGE_SAFETY"))
_STATUS = {"permission_denied": "PERMISSION_DENIED", "rate_limited": "RESOURCE_EXHAUSTED"}


def _surface(key: str, item: Mapping[str, Any], around: Surface) -> Surface:
    if key in _PARTS or key in _KEYS:
        return _PARTS.get(key) or _KEYS[key]
    if around is Surface.TOOL_RESULT:
        return around
    if item.get("thought") is True:
        return Surface.REASONING
    role = text_of(item.get("role"))
    return _ROLES.get(role, around) if "parts" in item and around is not Surface.SYSTEM else around


def _media(at: Holder) -> bool:
    return at.key == "data" and at.outer in ("inlineData", "inline_data")


_RULES = Rules(_surface, frozenset(("text", "parts", "code", "output")), _media)
_REPLY_RULES = Rules(
    lambda key, item, around: (
        around if key == "content" else _surface(key, item, around)
    ),  # the model's role is no turn
    _RULES.texts,
    _media,
    frozenset(("thoughtSignature", "thought_signature", "id")),
    frozenset(("executableCode", "codeExecutionResult", "functionResponse", "groundingMetadata", "finishMessage")),
)


def matches(head: Head) -> bool:
    """Return True for the methods of a model, on any host and of any version."""
    return _METHOD.search(head.endpoint) is not None


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the contents of a request; the path says the model, and whether the answer is a stream.

    Raises: MalformedBody when the body is not a JSON object.
    """
    body = read_object(data)
    found = Found()
    contents = body.get("contents")
    turns = contents if isinstance(contents, list) else []
    for key, value in body.items():
        if key == "contents" and turns:
            for number, turn in enumerate(turns):
                found.walk(turn, Segment("", Surface.USER, number, f"/contents/{number}"), _RULES)
        else:
            found.walk({key: value}, Segment("", _KEYS.get(key, Surface.USER)), _RULES)
    named = _MODEL.search(head.endpoint)
    return LlmMessage(
        protocol=NAME,
        segments=tuple(found.segments),
        model=named[1] if named else "",
        max_tokens=most_tokens(body),
        stream=head.endpoint.endswith(":streamGenerateContent"),
        messages=len(turns),
        unscanned=tuple(found.unscanned),
    )


def read_usage(usage: Any) -> Usage | None:
    """Return the tokens of a `usageMetadata` object, None when it is none; see above for what they are."""
    if not isinstance(usage, dict):
        return None
    thoughts = number_of(usage.get("thoughtsTokenCount"))
    candidates = number_of(usage.get("candidatesTokenCount"))
    return Usage(
        prompt_tokens=added(number_of(usage.get("promptTokenCount")), number_of(usage.get("toolUsePromptTokenCount"))),
        completion_tokens=None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0),
        cached_tokens=number_of(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        total_tokens=number_of(usage.get("totalTokenCount")),
    )


def _is_answer(body: Any) -> bool:
    return isinstance(body, dict) and ("candidates" in body or "promptFeedback" in body or "usageMetadata" in body)


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one chunk says; an error in the middle of a stream is read leaf by leaf."""
    if not _is_answer(event):
        pieces = tuple(Piece(s.surface, s.text, ("error", s.path)) for s in read_error(dict(event)).segments)
        return Delta(pieces)
    blocked = text_of(object_of(event.get("promptFeedback")).get("blockReason"))
    pieces_, calls, unscanned, finishes = [], [], [], [blocked]
    for place, candidate in enumerate(objects_of(event.get("candidates"))):
        index = index_of(candidate, otherwise=place)
        finishes.append(text_of(candidate.get("finishReason")))
        for part in objects_of(object_of(candidate.get("content")).get("parts")):
            found = _part(part, index)
            pieces_ += found[0]
            calls += found[1]
            unscanned += found[2]
        pieces_ += _beside(candidate, index)
    return Delta(
        pieces=tuple(pieces_),
        model=text_of(event.get("modelVersion")),
        finish=next((finish for finish in finishes if finish), ""),
        usage=read_usage(event.get("usageMetadata")),
        calls=tuple(calls),
        refusal=bool(blocked) or not _BLOCKED.isdisjoint(finishes),
        unscanned=tuple(unscanned),
    )


def _part(part: dict[str, Any], index: int) -> tuple[list[Piece], list[Any], list[Unscanned]]:
    """Return the pieces, calls and media of a part. Text continues in the next chunk; everything else comes whole."""
    found = walked(part, _REPLY_RULES)
    encoded = b"" if "text" in part else msgspec.json.encode(part)
    pieces = [
        Piece(s.surface, s.text, ("text", index) if s.path == "/text" else ("part", index, encoded, s.path))
        for s in found.segments
    ]
    called = [(index, encoded)] if object_of(part.get("functionCall")) else []
    return pieces, called, found.unscanned


def _beside(candidate: dict[str, Any], index: int) -> list[Piece]:
    """Return what a candidate says beside its parts: why it ends, in words, and where it was found (titles, queries)."""
    kept = {key: candidate[key] for key in ("finishMessage", "groundingMetadata") if key in candidate}
    found = walked(kept, _REPLY_RULES)
    return [Piece(s.surface, s.text, ("beside", index, s.path, s.text)) for s in found.segments]


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; anything else is read leaf by leaf."""
    if not _is_answer(body):
        return read_error(body)
    said = read_event(body)
    return LlmReply(
        segments=tuple(Segment(piece.text, piece.surface, 0, "/candidates") for piece in said.pieces),
        model=said.model,
        finish_reason=said.finish,
        usage=said.usage,
        tool_calls=len(said.calls),
        refusal=said.refusal,
        unscanned=said.unscanned,
    )


def refusal(refused: Refused) -> Mapping[str, Any]:
    """Return the body a refused client reads: a google.rpc.Status with an ErrorInfo, whose metadata are strings."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": refused.code.upper(),
        "domain": "douane",
        "metadata": {key: _word(value) for key, value in refused.details.items()},
    }
    details: list[dict[str, Any]] = [info]
    if (
        wait_s := refused.details.get("retry_after_s")
    ) is not None:  # where Google's clients look (google/rpc/error_details.proto)
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait_s}s"})
    status = _STATUS.get(refused.kind, "UNAVAILABLE")
    return {"error": {"code": refused.status, "message": refused.message, "status": status, "details": details}}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def stream_refusal(refused: Refused) -> tuple[StreamEvent, ...]:
    """Return the error as one more chunk, at which SDKs raise; nothing follows it."""
    return (StreamEvent(msgspec.json.encode(refusal(refused))),)
