"""Cohere's chat, version 2, and version 1 as far as programs still use it.

In: request and response bodies, whole or as server-sent events. Out: LlmMessage, LlmReply, Deltas.
Version 1 streamed as JSON lines is not told apart from text: it is read as one text, whole.
Usage: usage.tokens count what the model read and wrote, billed_units what is paid for: the first are taken where they are told.
Source: Cohere API reference, "Chat v2", "Chat v1", "Streaming", "Errors"; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from sidecar.protocols.json_body import MalformedBody, leaves
from sidecar.protocols.parts import Found, Holder, Rules, read_error, walked
from sidecar.protocols.values import index_of, most_tokens, number_of, object_of, objects_of, read_object, text_of
from sidecar.protocols.wire import Delta, Piece, Refused, StreamEvent
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Usage

NAME = "cohere"
FRAMING = None

_V1, _V2 = "/v1/chat", "/v2/chat"

_ROLES = {
    "system": Surface.SYSTEM,
    "developer": Surface.SYSTEM,
    "user": Surface.USER,
    "assistant": Surface.ASSISTANT,
    "chatbot": Surface.ASSISTANT,
    "tool": Surface.TOOL_RESULT,
}
_KEYS = {
    "preamble": Surface.SYSTEM,
    "documents": Surface.DOCUMENT,
    "tools": Surface.TOOL_DEFINITION,
    "response_format": Surface.TOOL_DEFINITION,
    "tool_results": Surface.TOOL_RESULT,
}
# A tool's result is told as documents: it stays a result.
_BLOCKS = {"document": Surface.DOCUMENT, "tool_calls": Surface.TOOL_CALL, "citations": Surface.DOCUMENT}


def _surface(key: str, item: Mapping[str, Any], around: Surface) -> Surface:
    if around is Surface.TOOL_RESULT:
        return around
    return Surface.REASONING if item.get("type") == "thinking" else _BLOCKS.get(key, around)


def _media(at: Holder) -> bool:
    return at.key in ("url", "image_url") and (at.outer == "image_url" or at.item.get("type") == "image_url")


_RULES = Rules(_surface, frozenset(("text", "content", "message", "preamble", "thinking", "tool_plan")), _media)
_REPLY_RULES = Rules(_surface, _RULES.texts, _media, frozenset(("id", "type", "tool_call_id", "generation_id")))


def matches(head: Head) -> bool:
    """Return True for chat, of both versions."""
    return head.endpoint.endswith((_V1, _V2))


def read_request(data: bytes, head: Head) -> LlmMessage:  # noqa: ARG001 - the shape of every protocol's read_request
    """Return the conversation of a request.

    Raises: MalformedBody when the body is not JSON, or holds neither a message nor a list of messages.
    """
    body = read_object(data)
    name = "messages" if "messages" in body or "message" not in body else "chat_history"
    messages = body.get(name, [] if name == "chat_history" else None)
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MalformedBody(f"'{name}' is not a list of objects")
    found = Found()
    for key, value in body.items():
        if key == name:
            for number, message in enumerate(messages):
                _read_message(message, number, f"/{name}/{number}", found)
        elif not (key == "model" and isinstance(value, str)):
            index = len(messages) if key == "message" and name == "chat_history" else -1
            found.walk({key: value}, Segment("", _KEYS.get(key, Surface.USER), index), _RULES)
    return LlmMessage(
        protocol=NAME,
        segments=tuple(found.segments),
        model=text_of(body.get("model")),
        max_tokens=most_tokens(body),
        stream=body.get("stream") is True,
        messages=len(messages) + (name == "chat_history"),
        unscanned=tuple(found.unscanned),
    )


def _read_message(message: dict[str, Any], number: int, at: str, found: Found) -> None:
    surface = _ROLES.get(text_of(message.get("role")).lower(), Surface.USER)
    for key, value in message.items():
        kind = Surface.REASONING if key == "tool_plan" else surface
        found.walk({key: value}, Segment("", kind, number, at), _RULES)


def read_usage(usage: Any) -> Usage | None:
    """Return the tokens of a `usage` object, None when it is none."""
    if not isinstance(usage, dict):
        return None
    read, billed = object_of(usage.get("tokens")), object_of(usage.get("billed_units"))
    counted = read if "input_tokens" in read else billed
    return Usage(
        prompt_tokens=number_of(counted.get("input_tokens")),
        completion_tokens=number_of(counted.get("output_tokens")),
        cached_tokens=number_of(usage.get("cached_tokens")),
    )


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; anything else is read leaf by leaf."""
    if not isinstance(body, dict):
        return read_error(body)
    message = body.get("message")
    if not isinstance(message, dict):
        return _read_v1(body) if "text" in body else read_error(body)
    found = Found()
    for key, value in message.items():
        kind = Surface.REASONING if key == "tool_plan" else Surface.OUTPUT
        if key != "role":
            found.walk({key: value}, Segment("", kind, 0, "/message"), _REPLY_RULES)
    return LlmReply(
        segments=tuple(found.segments),
        finish_reason=text_of(body.get("finish_reason")),
        usage=read_usage(body.get("usage")),
        tool_calls=len(objects_of(message.get("tool_calls"))),
        unscanned=tuple(found.unscanned),
    )


def _read_v1(body: dict[str, Any]) -> LlmReply:
    told = ("text", "tool_calls", "citations", "documents")
    found = walked({key: body[key] for key in told if key in body}, _REPLY_RULES)
    return LlmReply(
        segments=tuple(found.segments),
        finish_reason=text_of(body.get("finish_reason")),
        usage=read_usage(body.get("meta")),
        tool_calls=len(objects_of(body.get("tool_calls"))),
    )


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one event says; an event of no known type, such as an error, is read leaf by leaf."""
    kind, index, delta = text_of(event.get("type")), index_of(event), object_of(event.get("delta"))
    if kind == "message-end":
        finish = text_of(delta.get("finish_reason"))
        pieces = tuple(Piece(Surface.OUTPUT, text, ("error",)) for _, text in leaves(delta.get("error")))
        return Delta(pieces, finish=finish, usage=read_usage(delta.get("usage")), done=True)
    if kind.startswith(("message-", "content-", "tool-", "citation-")):
        return _delta(object_of(delta.get("message")), kind, index)
    if "event_type" in event:
        return _v1_event(event)
    return Delta(tuple(Piece(Surface.OUTPUT, text, ("error", path)) for path, text in leaves(dict(event))))


def _delta(message: dict[str, Any], kind: str, index: int) -> Delta:
    content, calls = object_of(message.get("content")), object_of(message.get("tool_calls"))
    said = (
        (Surface.OUTPUT, "content", content.get("text")),
        (Surface.REASONING, "thinking", content.get("thinking")),
        (Surface.REASONING, "plan", message.get("tool_plan")),
        (Surface.TOOL_CALL, "call", object_of(calls.get("function")).get("arguments")),
    )
    pieces = [Piece(surface, text_of(text), (name, index)) for surface, name, text in said if text_of(text)]
    if kind == "citation-start":
        found = walked(message.get("citations"), _REPLY_RULES, key="citations")
        pieces += [Piece(s.surface, s.text, ("citation", index, s.path)) for s in found.segments]
    return Delta(tuple(pieces), calls=(index,) if calls else ())


def _v1_event(event: Mapping[str, Any]) -> Delta:
    """Return what an event of version 1 says. The last one repeats the whole answer."""
    if event.get("event_type") == "text-generation":
        text = text_of(event.get("text"))
        return Delta((Piece(Surface.OUTPUT, text, ("content", 0)),) if text else ())
    if event.get("event_type") == "stream-end":
        answer = _read_v1(object_of(event.get("response")))
        pieces = tuple(
            Piece(s.surface, s.text, ("content", 0) if s.path == "/text" else ("end", s.path), whole=True)
            for s in answer.segments
        )
        finish = text_of(event.get("finish_reason"))
        return Delta(pieces, finish=finish, usage=answer.usage, calls=tuple(range(answer.tool_calls)), done=True)
    found = walked({key: value for key, value in event.items() if key != "event_type"}, _REPLY_RULES)
    return Delta(tuple(Piece(s.surface, s.text, ("beside", s.path, s.text)) for s in found.segments))


def refusal(refused: Refused) -> Mapping[str, Any]:
    """Return the body a refused client reads; SDKs choose their exception by the HTTP status."""
    return {"message": refused.message, "type": refused.kind, "code": refused.code, **refused.details}


def stream_refusal(refused: Refused) -> tuple[StreamEvent, ...]:
    """Return the usual end of a stream, with the finish reason ERROR and the words of the refusal.

    Cohere documents no other error in a stream, and its SDKs raise at none: a program sees the reason.
    """
    delta = {"finish_reason": "ERROR", "error": refused.message, "douane": refusal(refused)}
    return (StreamEvent(msgspec.json.encode({"type": "message-end", "delta": delta}), "message-end"),)
