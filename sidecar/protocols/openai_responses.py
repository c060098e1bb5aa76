"""OpenAI's Responses API, whole and as its own event stream.

In: bodies of POST …/responses. Out: LlmMessage, LlmReply, Deltas; openai_items.py reads items and events.
Surfaces: instructions and system or developer messages are system; function_call and other calls tool_call; their outputs
tool_result; reasoning reasoning; tools and text formats tool_definition. Images, sounds and files inside are counted as unscanned.
Earlier turns that a previous_response_id or a conversation stands for are at the provider: they were inspected when they were sent.
Source: OpenAI API reference, "Responses", read 2026-11.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from sidecar.protocols import openai_errors, openai_items
from sidecar.protocols.json_body import MalformedBody, leaves
from sidecar.protocols.openai_items import holds_bytes, surface_of
from sidecar.protocols.values import binary, model_of, most_tokens, named_user, object_of, read_object, text_of
from sidecar.protocols.wire import Refused, StreamEvent
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned

NAME = "openai_responses"
FRAMING = None
# A new response, its history made shorter, and its tokens counted: all take the same body.
_PATHS = ("/responses", "/responses/compact", "/responses/input_tokens")

_ROLES = {
    "system": Surface.SYSTEM,
    "developer": Surface.SYSTEM,
    "user": Surface.USER,
    "assistant": Surface.ASSISTANT,
    "tool": Surface.TOOL_RESULT,
}
_DEFINITIONS = ("tools", "text", "tool_choice")


def matches(head: Head) -> bool:
    """Return True for what takes a response's input, wherever a host keeps it."""
    return head.endpoint.endswith(_PATHS) and head.method in ("POST", "")


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the conversation of a request.

    Raises: MalformedBody when the body is no JSON object, or its input is neither text nor a list.
    """
    body = read_object(data)
    given = body.get("input")
    if given is not None and not isinstance(given, str | list):
        raise MalformedBody("'input' is neither a string nor a list")
    segments: list[Segment] = []
    unscanned: list[Unscanned] = []
    items = given if isinstance(given, list) else []
    if isinstance(given, str) and given:
        segments.append(Segment(given, Surface.USER, 0, "/input"))
    for number, item in enumerate(items):
        _read_item(item, number, segments, unscanned)
    for key, value in body.items():
        if key == "input" or (key == "model" and isinstance(value, str)):
            continue
        found = [(path, text) for path, text in leaves({key: value})]
        segments.extend(Segment(t, _around(key, path), -1, path) for path, t in found if not holds_bytes(path, t))
        unscanned.extend(binary(len(text) for path, text in found if holds_bytes(path, text)))
    return LlmMessage(
        protocol=NAME,
        segments=tuple(segments),
        model=model_of(body, head),
        stream=body.get("stream") is True,
        messages=len(items) or int(bool(given)),  # a plain number: a DecisionRecord takes no bool
        user=named_user(body),
        max_tokens=most_tokens(body),
        unscanned=tuple(unscanned),
    )


def _around(key: str, path: str) -> Surface:
    """Return where a text beside the input stands. A prompt template's variables are filled in by whoever asks."""
    if key in _DEFINITIONS:
        return Surface.TOOL_DEFINITION
    kept = key == "instructions" or (key == "prompt" and not path.startswith("/prompt/variables/"))
    return Surface.SYSTEM if kept else Surface.USER


def _read_item(item: Any, number: int, segments: list[Segment], unscanned: list[Unscanned]) -> None:
    at = f"/input/{number}"
    if isinstance(item, str):
        segments.append(Segment(item, Surface.USER, number, at))
        return
    role = _ROLES.get(text_of(object_of(item).get("role")), Surface.USER)
    for path, text in _said(item, at):
        if not text:
            continue
        if holds_bytes(path, text):
            unscanned.extend(binary([len(text)]))
        else:
            segments.append(Segment(text, surface_of(object_of(item), path[len(at) :], role), number, path))


def _said(item: Any, at: str) -> Iterator[tuple[str, str]]:
    """Yield an item's texts; content and outputs count however short they are."""
    if not isinstance(item, dict):
        yield from leaves(item, at)
        return
    for key, value in item.items():
        if key not in ("content", "output") or not isinstance(value, str | list):
            yield from leaves({key: value}, at)
        elif isinstance(value, str):
            yield f"{at}/{key}", value
        else:
            for number, part in enumerate(value):
                yield from _said_in_part(part, f"{at}/{key}/{number}")


def _said_in_part(part: Any, at: str) -> Iterator[tuple[str, str]]:
    said = text_of(object_of(part).get("text"))
    if said:
        yield f"{at}/text", said
    yield from leaves(
        {k: v for k, v in part.items() if k != "text" or not said} if isinstance(part, dict) else part, at
    )


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; an error object is read leaf by leaf."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), list):
        found = tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body))
        return LlmReply(found, usage=openai_items.read_usage(object_of(body).get("usage")))
    delta = openai_items.read_response(body)
    return LlmReply(
        segments=tuple(Segment(piece.text, piece.surface, -1, "/output") for piece in delta.pieces),
        model=delta.model,
        finish_reason=delta.finish,
        usage=delta.usage,
        tool_calls=len(delta.calls),
        refusal=delta.refusal,
        unscanned=delta.unscanned,
    )


read_event = openai_items.read_event
refusal = openai_errors.refusal


def stream_refusal(refused: Refused) -> tuple[StreamEvent, ...]:
    """Return the API's own error event; its `error` member makes OpenAI's SDKs raise."""
    told = openai_errors.refusal(refused)["error"]
    event = {"type": "error", "code": refused.code, "message": refused.message, "param": None, "error": told}
    return (StreamEvent(msgspec.json.encode(event), "error"),)
