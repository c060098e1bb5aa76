"""Ollama's own API: chat, generate and embeddings; streams are JSON lines.

In: request and response bodies, whole or streamed. Out: LlmMessage, LlmReply, Deltas.
Usage: prompt_tokens = prompt_eval_count, completion_tokens = eval_count; nobody tells more.
Source: Ollama API reference (docs/api.md), read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from sidecar.protocols.frames import LineFrames
from sidecar.protocols.json_body import MalformedBody
from sidecar.protocols.parts import Found, Holder, Rules, read_error, walked
from sidecar.protocols.values import most_tokens, number_of, object_of, objects_of, read_object, text_of
from sidecar.protocols.wire import Delta, Piece, Refused, StreamEvent
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Usage

NAME = "ollama"
FRAMING = LineFrames

_STREAMED = ("/api/chat", "/api/generate")
_EMBEDDED = ("/api/embed", "/api/embeddings")

_ROLES = {"system": Surface.SYSTEM, "user": Surface.USER, "assistant": Surface.ASSISTANT, "tool": Surface.TOOL_RESULT}
_KEYS = {
    "system": Surface.SYSTEM,
    "template": Surface.SYSTEM,
    "tools": Surface.TOOL_DEFINITION,
    "format": Surface.TOOL_DEFINITION,
}


def _surface(key: str, item: Mapping[str, Any], around: Surface) -> Surface:  # noqa: ARG001 - the shape of every rule
    return Surface.TOOL_CALL if key == "tool_calls" else around


def _media(at: Holder) -> bool:
    return at.key == "images"


_TEXTS = frozenset(("content", "prompt", "suffix", "system", "response", "input", "thinking"))
_RULES = Rules(_surface, _TEXTS, _media)


def matches(head: Head) -> bool:
    """Return True for Ollama's calls to a model."""
    return head.endpoint.endswith((*_STREAMED, *_EMBEDDED))


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the conversation of a request. Its answer is a stream unless the body says otherwise.

    Raises: MalformedBody when the body is not JSON, or a chat has no list of messages.
    """
    body = read_object(data)
    messages = body.get("messages", [])
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MalformedBody("'messages' is not a list of objects")
    found = Found()
    for key, value in body.items():
        if key == "messages":
            for number, message in enumerate(messages):
                _read_message(message, number, found)
        elif not (key == "model" and isinstance(value, str)):
            found.walk({key: value}, Segment("", _KEYS.get(key, Surface.USER)), _RULES)
    return LlmMessage(
        protocol=NAME,
        segments=tuple(found.segments),
        model=text_of(body.get("model")),
        max_tokens=most_tokens(body),
        stream=head.endpoint.endswith(_STREAMED) and body.get("stream") is not False,
        messages=len(messages),
        unscanned=tuple(found.unscanned),
    )


def _read_message(message: dict[str, Any], number: int, found: Found) -> None:
    surface = _ROLES.get(text_of(message.get("role")), Surface.USER)
    for key, value in message.items():
        kind = Surface.REASONING if key == "thinking" else surface
        found.walk({key: value}, Segment("", kind, number, f"/messages/{number}"), _RULES)


def _usage(body: Mapping[str, Any]) -> Usage | None:
    prompt, completion = number_of(body.get("prompt_eval_count")), number_of(body.get("eval_count"))
    return None if prompt is None and completion is None else Usage(prompt, completion)


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one line says; a line of another shape, such as an error, is read leaf by leaf."""
    if not isinstance(event.get("message"), dict) and "response" not in event:
        pieces = tuple(Piece(s.surface, s.text, ("error", s.path)) for s in read_error(_unnamed(event)).segments)
        return Delta(pieces, _model(event), text_of(event.get("done_reason")), _usage(event), done=_done(event))
    message = object_of(event.get("message"))
    calls = objects_of(message.get("tool_calls"))
    images = walked({"images": message.get("images")}, _RULES)
    return Delta(
        pieces=(*_texts(event, message), *_calls(calls)),
        model=_model(event),
        finish=text_of(event.get("done_reason")),
        usage=_usage(event),
        calls=tuple(msgspec.json.encode(call) for call in calls),
        done=_done(event),
        unscanned=tuple(images.unscanned),
    )


def _unnamed(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("model", "created_at")}


def _model(event: Mapping[str, Any]) -> str:
    return text_of(event.get("model"))


def _done(event: Mapping[str, Any]) -> bool:
    return event.get("done") is True


def _texts(event: Mapping[str, Any], message: Mapping[str, Any]) -> list[Piece]:
    said = (
        (Surface.REASONING, "thinking", message.get("thinking") or event.get("thinking")),
        (Surface.OUTPUT, "content", message.get("content")),
        (Surface.OUTPUT, "response", event.get("response")),
    )
    return [Piece(surface, text_of(text), name) for surface, name, text in said if text_of(text)]


def _calls(calls: list[dict[str, Any]]) -> list[Piece]:
    """Return the texts of calls. Each comes whole, its arguments an object."""
    found = walked([call.get("function") for call in calls], _RULES, Surface.TOOL_CALL)
    return [Piece(s.surface, s.text, ("call", s.path, s.text)) for s in found.segments]


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole."""
    if not isinstance(body, dict):
        return read_error(body)
    said = read_event(body)
    return LlmReply(
        segments=tuple(Segment(piece.text, piece.surface, 0, "/message") for piece in said.pieces),
        model=said.model,
        finish_reason=said.finish,
        usage=said.usage,
        tool_calls=len(said.calls),
        unscanned=said.unscanned,
    )


def refusal(refused: Refused) -> Mapping[str, Any]:
    """Return the body a refused client reads: its `error` is a text."""
    return {"error": refused.message, "type": refused.kind, "code": refused.code, **refused.details}


def stream_refusal(refused: Refused) -> tuple[StreamEvent, ...]:
    """Return the error as the last line, at which SDKs raise."""
    return (StreamEvent(msgspec.json.encode(refusal(refused))),)
