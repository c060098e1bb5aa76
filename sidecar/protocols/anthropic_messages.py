"""Anthropic's Messages, token counting and message batches; on Vertex AI too.

In: request and response bodies, whole or streamed. Out: LlmMessage, LlmReply, Deltas.
Usage: prompt_tokens = input_tokens + cache_read_input_tokens + cache_creation_input_tokens, because Anthropic's input_tokens leave
cached ones out; cached_tokens = cache_read_input_tokens. Nobody tells a total.
Source: Anthropic API reference, "Messages", "Streaming messages", "Errors"; Vertex AI, "Claude models"; read 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sidecar.protocols.json_body import MalformedBody, leaves
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
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Usage

NAME = "anthropic_messages"
FRAMING = None

_PATHS = ("/messages", "/messages/count_tokens", "/messages/batches")
_VERTEX = re.compile(r"/publishers/anthropic/models/([^/:]+):(?:rawPredict|streamRawPredict)")

_ROLES = {"assistant": Surface.ASSISTANT, "system": Surface.SYSTEM, "user": Surface.USER}
_BLOCKS = {
    "thinking": Surface.REASONING,
    "redacted_thinking": Surface.REASONING,
    "document": Surface.DOCUMENT,
    "search_result": Surface.DOCUMENT,
}
_KEYS = {"system": Surface.SYSTEM, "tools": Surface.TOOL_DEFINITION}
_CALLS = frozenset(("tool_use", "server_tool_use", "mcp_tool_use"))


def _surface(key: str, item: Mapping[str, Any], around: Surface) -> Surface:  # noqa: ARG001 - the shape of every rule
    kind = text_of(item.get("type"))
    if kind in _CALLS:
        return Surface.TOOL_CALL
    if kind.endswith("tool_result"):
        return Surface.TOOL_RESULT
    return around if around is Surface.TOOL_RESULT else _BLOCKS.get(kind, around)


def _media(at: Holder) -> bool:
    return at.key == "data" and at.outer == "source" and at.item.get("type") == "base64"


_RULES = Rules(_surface, frozenset(("text", "content", "system", "thinking", "data", "title", "context")), _media)
# What an answer holds beside texts: ids, and what only Anthropic can read.
_REPLY_RULES = Rules(
    _surface,
    _RULES.texts,
    _media,
    frozenset(("id", "tool_use_id", "signature", "type", "encrypted_content", "encrypted_index", "file_id")),
)

_KINDS = {"permission_denied": "permission_error", "rate_limited": "rate_limit_error"}


def matches(head: Head) -> bool:
    """Return True for messages, wherever a host keeps them; OpenAI's threads have messages of their own."""
    endpoint = head.endpoint
    return (endpoint.endswith(_PATHS) and "/threads/" not in endpoint) or _VERTEX.search(endpoint) is not None


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the conversation of a request; of a batch, its conversations one after the other.

    Raises: MalformedBody when the body is not JSON, or has no list of messages.
    """
    body = read_object(data)
    vertex = _VERTEX.search(head.endpoint)
    if head.endpoint.endswith("/batches"):
        return _read_batch(body)
    return read_conversation(
        body, NAME, vertex[1] if vertex else "", streamed=head.endpoint.endswith(":streamRawPredict")
    )


def read_conversation(body: dict[str, Any], protocol: str, model: str = "", *, streamed: bool = False) -> LlmMessage:
    """Return the conversation of a body in Anthropic's shape; model and streamed are what the path says.

    Raises: MalformedBody when `messages` is not a list of objects.
    """
    found = Found()
    count = _read_body(body, "", 0, found)
    return LlmMessage(
        protocol=protocol,
        segments=tuple(found.segments),
        model=text_of(body.get("model")) or model,
        max_tokens=most_tokens(body),
        stream=streamed or body.get("stream") is True,
        messages=count,
        user=text_of(object_of(body.get("metadata")).get("user_id")),
        unscanned=tuple(found.unscanned),
    )


def _read_batch(body: dict[str, Any]) -> LlmMessage:
    requests = body.get("requests")
    if not isinstance(requests, list) or not all(isinstance(request, dict) for request in requests):
        raise MalformedBody("'requests' is not a list of objects")
    found, count = Found(), 0
    for number, request in enumerate(requests):
        at = f"/requests/{number}"
        params = request.get("params")
        if not isinstance(params, dict):
            raise MalformedBody("the 'params' of a request are not an object")
        found.leaves(
            {key: value for key, value in request.items() if key != "params"}, Segment("", Surface.USER, -1, at)
        )
        count += _read_body(params, f"{at}/params", count, found)
    found.leaves({key: value for key, value in body.items() if key != "requests"}, Segment("", Surface.USER))
    params = [object_of(request.get("params")) for request in requests]
    for more in params:  # a name that is not the record's model is text like any other
        if more.get("model") != params[0].get("model"):
            found.leaves(more.get("model"), Segment("", Surface.USER))
    return LlmMessage(
        protocol=NAME,
        segments=tuple(found.segments),
        model=text_of(params[0].get("model")) if params else "",
        messages=count,
        max_tokens=added(*(most_tokens(one) for one in params)) if params else None,
        user=next((user for p in params if (user := text_of(object_of(p.get("metadata")).get("user_id")))), ""),
        unscanned=tuple(found.unscanned),
    )


def _read_body(body: dict[str, Any], path: str, first: int, found: Found) -> int:
    """Read one conversation; return how many messages it has. first is the number of its first message."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MalformedBody("'messages' is not a list of objects")
    for key, value in body.items():
        if key == "messages":
            for number, message in enumerate(messages):
                surface = _ROLES.get(text_of(message.get("role")), Surface.USER)
                found.walk(message, Segment("", surface, first + number, f"{path}/messages/{number}"), _RULES)
        elif not (key == "model" and isinstance(value, str)):
            found.walk({key: value}, Segment("", _KEYS.get(key, Surface.USER), -1, path), _RULES)
    return len(messages)


def read_usage(usage: Any) -> Usage | None:
    """Return the tokens of a `usage` object, None when it is none; see above for what they are."""
    if not isinstance(usage, dict):
        return None
    cached = number_of(usage.get("cache_read_input_tokens"))
    created = number_of(usage.get("cache_creation_input_tokens"))
    return Usage(
        prompt_tokens=added(number_of(usage.get("input_tokens")), cached, created),
        completion_tokens=number_of(usage.get("output_tokens")),
        cached_tokens=cached,
    )


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; anything but a message is read leaf by leaf."""
    content = body.get("content") if isinstance(body, dict) else None
    if not isinstance(content, list):
        return read_error(body)
    found = walked(content, _REPLY_RULES, key="content")
    return LlmReply(
        segments=tuple(Segment(s.text, s.surface, 0, f"/content{s.path}") for s in found.segments),
        model=text_of(body.get("model")),
        finish_reason=text_of(body.get("stop_reason")),
        usage=read_usage(body.get("usage")),
        tool_calls=sum(_is_call(block) for block in objects_of(content)),
        refusal=body.get("stop_reason") == "refusal",
        unscanned=tuple(found.unscanned),
    )


def _is_call(block: Mapping[str, Any]) -> bool:
    return text_of(block.get("type")) in _CALLS


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one event of a stream says; an error, and what nobody has heard of, is read leaf by leaf."""
    match event.get("type"):
        case "message_start":
            message = object_of(event.get("message"))
            return Delta(_pieces(message.get("content"), "start"), text_of(message.get("model")), usage=_told(message))
        case "content_block_start":
            return _block(object_of(event.get("content_block")), index_of(event))
        case "content_block_delta":
            return Delta(_delta(object_of(event.get("delta")), index_of(event)))
        case "message_delta":
            finish = text_of(object_of(event.get("delta")).get("stop_reason"))
            return Delta(finish=finish, usage=_told(event), refusal=finish == "refusal")
        case "message_stop":
            return Delta(done=True)
        case "content_block_stop" | "ping":
            return Delta()
    return Delta(tuple(Piece(Surface.OUTPUT, text, ("error", path)) for path, text in leaves(dict(event))))


def _told(holder: Mapping[str, Any]) -> Usage | None:
    return read_usage(holder.get("usage"))


def _pieces(value: Any, *channel: str | int) -> tuple[Piece, ...]:
    found = walked(value, _REPLY_RULES)
    return tuple(Piece(s.surface, s.text, (*channel, s.path)) for s in found.segments)


def _block(block: dict[str, Any], index: int) -> Delta:
    """Return what a block begins with: mostly nothing, but results of the provider's own tools come whole."""
    found = walked(block, _REPLY_RULES)
    own = {"/text": ("block", index), "/thinking": ("block", index)}
    pieces = tuple(Piece(s.surface, s.text, own.get(s.path, ("block", index, s.path))) for s in found.segments)
    return Delta(pieces, calls=(index,) if _is_call(block) else (), unscanned=tuple(found.unscanned))


def _delta(delta: dict[str, Any], index: int) -> tuple[Piece, ...]:
    for name, surface in (
        ("text", Surface.OUTPUT),
        ("partial_json", Surface.TOOL_CALL),
        ("thinking", Surface.REASONING),
    ):
        if text := text_of(delta.get(name)):
            return (Piece(surface, text, ("block", index)),)
    found = walked(delta, _REPLY_RULES)  # citations: each is complete in itself
    return tuple(Piece(s.surface, s.text, ("beside", index, s.path, s.text)) for s in found.segments)


def refusal(refused: Refused) -> Mapping[str, Any]:
    """Return the body a refused client reads; SDKs choose their exception by the HTTP status."""
    said = {"type": _KINDS.get(refused.kind, "api_error"), "message": refused.message, "code": refused.code}
    decision = text_of(refused.details.get("decision_id"))
    return {"type": "error", "error": {**said, **refused.details}, "request_id": decision or None}


def stream_refusal(refused: Refused) -> tuple[StreamEvent, ...]:
    """Return the error event, at which SDKs raise; nothing follows it."""
    return (StreamEvent(msgspec.json.encode(refusal(refused)), "error"),)
