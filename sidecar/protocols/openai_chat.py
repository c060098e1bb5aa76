"""OpenAI chat completions, and every host that speaks them.

In: request and response bodies, whole or streamed. Out: LlmMessage, LlmReply.
Source: OpenAI API reference, "Chat" (chat completion object, chunk object), read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from sidecar.protocols import openai_errors
from sidecar.protocols.json_body import MalformedBody, leaves, load
from sidecar.protocols.wire import Delta, Piece
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage

NAME = "openai_chat"
FRAMING = None

_SURFACES = {
    "system": Surface.SYSTEM,
    "developer": Surface.SYSTEM,
    "user": Surface.USER,
    "assistant": Surface.ASSISTANT,
    "tool": Surface.TOOL_RESULT,
    "function": Surface.TOOL_RESULT,
}


def matches(head: Head) -> bool:
    """Return True for chat completions, wherever a host keeps them."""
    return head.endpoint.endswith("/chat/completions")


def read_request(data: bytes, head: Head) -> LlmMessage:  # noqa: ARG001 - the shape of every protocol's read_request
    """Return the conversation of a request.

    Raises: MalformedBody when the body is not JSON, or has no list of messages.
    """
    body = load(data)
    if not isinstance(body, dict):
        raise MalformedBody("the body is not a JSON object")
    return read_conversation(body, NAME)


def read_conversation(body: dict[str, Any], protocol: str) -> LlmMessage:
    """Return the conversation of a body with `messages` in OpenAI's shape; every other string is scanned too.

    Raises: MalformedBody when `messages` is not a list of objects.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MalformedBody("'messages' is not a list of objects")
    segments: list[Segment] = []
    unscanned: list[Unscanned] = []
    for index, message in enumerate(messages):
        _read_message(message, index, segments, unscanned)
    for key, value in body.items():
        if key != "messages" and not (key == "model" and isinstance(value, str)):
            surface = Surface.TOOL_DEFINITION if key in ("tools", "functions", "response_format") else Surface.USER
            segments.extend(Segment(text, surface, -1, path) for path, text in leaves({key: value}))
    return LlmMessage(
        protocol=protocol,
        segments=tuple(segments),
        model=_text(body.get("model")),
        stream=body.get("stream") is True,
        messages=len(messages),
        user=_user(body),
        unscanned=tuple(unscanned),
    )


def _user(body: dict[str, Any]) -> str:
    """Return who asks, as the body says (DESIGN 5)."""
    metadata = body.get("metadata")
    named = metadata.get("user_id") if isinstance(metadata, dict) else ""
    return _text(body.get("user")) or _text(body.get("safety_identifier")) or _text(named)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _read_message(message: dict[str, Any], index: int, segments: list[Segment], unscanned: list[Unscanned]) -> None:
    role = message.get("role")
    surface = _SURFACES.get(role, Surface.USER) if isinstance(role, str) else Surface.USER
    at = f"/messages/{index}"
    for key, value in message.items():
        if key == "content" and isinstance(value, str):
            if value:
                segments.append(Segment(value, surface, index, f"{at}/content"))
        elif key == "content" and isinstance(value, list):
            for number, part in enumerate(value):
                _read_part(part, Segment("", surface, index, f"{at}/content/{number}"), segments, unscanned)
        else:
            kind = Surface.TOOL_CALL if key in ("tool_calls", "function_call") else surface
            segments.extend(Segment(text, kind, index, at + path) for path, text in leaves({key: value}))


def _read_part(part: Any, at: Segment, segments: list[Segment], unscanned: list[Unscanned]) -> None:
    said = _text(part.get("text")) if isinstance(part, dict) else _text(part)
    if said:  # however short: it is the conversation, not an identifier
        path = "/text" if isinstance(part, dict) else ""
        segments.append(Segment(said, at.surface, at.message_index, at.path + path))
        part = {key: value for key, value in part.items() if key != "text"} if isinstance(part, dict) else None
    for path, text in leaves(part):
        if _is_media(path, text):
            unscanned.append(Unscanned(UnscannedReason.BINARY, len(text)))
        else:
            segments.append(Segment(text, at.surface, at.message_index, at.path + path))


def _is_media(path: str, text: str) -> bool:
    """An image, a sound or a file inside the body: bytes for the model's eyes and ears, not text."""
    if path in ("/input_audio/data", "/file/file_data"):
        return True
    return text.startswith("data:") and path in ("/image_url/url", "/image_url") and ";base64," in text[:100]


# The protocols whose streams tell their usage when stream_options asks for it.
_ASKS_USAGE = ("openai_chat", "openai_completions")


def asking_usage(data: bytes, protocol: str) -> bytes | None:
    """Return a streamed call's body with stream_options.include_usage; None where it has stream_options of its own.

    Bounds: linear; every byte of the body stays as it is. The body has been read by read_request.
    """
    body = load(data) if protocol in _ASKS_USAGE else None
    if not isinstance(body, dict) or not body or "stream_options" in body:
        return None
    end = data.rstrip()
    return end[:-1] + b',"stream_options":{"include_usage":true}}' + data[len(end) :]


def read_usage(usage: Any) -> Usage | None:
    """Return the tokens of a `usage` object, None when it is none. Negative, fractional or huge counts are dropped."""
    if not isinstance(usage, dict):
        return None
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(_detail(usage, "prompt_tokens_details", "cached_tokens")),
        reasoning_tokens=_count(_detail(usage, "completion_tokens_details", "reasoning_tokens")),
        total_tokens=_count(usage.get("total_tokens")),
    )


def _detail(usage: dict[str, Any], group: str, name: str) -> Any:
    details = usage.get(group)
    return details.get(name) if isinstance(details, dict) else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one chunk says; an error in the middle of a stream is read leaf by leaf."""
    choices = event.get("choices")
    if not isinstance(choices, list):
        pieces = tuple(Piece(Surface.OUTPUT, text, ("error", path)) for path, text in leaves(dict(event)))
        return Delta(pieces, _text(event.get("model")), usage=read_usage(event.get("usage")))
    deltas = [_choice(choice, number) for number, choice in enumerate(choices) if isinstance(choice, dict)]
    return Delta(
        pieces=tuple(piece for delta in deltas for piece in delta.pieces),
        model=_text(event.get("model")),
        finish=next((delta.finish for delta in deltas if delta.finish), ""),
        usage=read_usage(event.get("usage")),
        calls=tuple(call for delta in deltas for call in delta.calls),
        refusal=any(delta.refusal for delta in deltas),
    )


def _choice(choice: dict[str, Any], number: int) -> Delta:
    delta, index = choice.get("delta"), _index(choice, number)
    finish = _text(choice.get("finish_reason"))
    if not isinstance(delta, dict):
        return Delta(finish=finish)
    pieces = [Piece(surface, text, (kind, index)) for kind, surface, text in _texts(delta)]
    calls = [(index, _index(call, place)) for place, call in enumerate(_calls(delta))]
    for key, call in zip(calls, _calls(delta), strict=True):
        if text := _arguments(call):
            pieces.append(Piece(Surface.TOOL_CALL, text, ("call", *key)))
    return Delta(tuple(pieces), finish=finish, calls=tuple(calls), refusal=bool(_text(delta.get("refusal"))))


def _index(item: dict[str, Any], place: int) -> int:
    index = item.get("index")
    return index if type(index) is int else place


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _arguments(call: dict[str, Any]) -> str:
    function = call.get("function")
    return _text(function.get("arguments")) if isinstance(function, dict) else ""


def _texts(message: dict[str, Any]) -> list[tuple[str, Surface, str]]:
    """Return the texts of a message or a delta: content, refusal, reasoning (as DeepSeek and OpenRouter name it)."""
    found = [
        ("content", Surface.OUTPUT, _said(message.get("content"))),
        ("refusal", Surface.OUTPUT, _text(message.get("refusal"))),
        (
            "reasoning",
            Surface.REASONING,
            _text(message.get("reasoning_content")) or _text(message.get("reasoning")),
        ),
    ]
    return [item for item in found if item[2]]


def _said(content: Any) -> str:
    """Return the text of a content: a string, or the text parts of a list (as Mistral answers)."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) if isinstance(part, dict) else _text(part) for part in content)
    return _text(content)


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; an error object is read leaf by leaf."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list):
        return LlmReply(segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body)))
    segments: list[Segment] = []
    finish, calls, refusal = "", 0, False
    for number, choice in enumerate(choices):
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            continue
        finish = finish or _text(choice.get("finish_reason"))
        calls += len(_calls(message))
        refusal = refusal or bool(_text(message.get("refusal")))
        segments.extend(Segment(text, surface, number, "/choices") for _, surface, text in _texts(message))
        called = (_arguments(call) for call in _calls(message))
        segments.extend(Segment(text, Surface.TOOL_CALL, number, "/choices") for text in called if text)
    return LlmReply(
        segments=tuple(segments),
        model=_text(body.get("model")),
        finish_reason=finish,
        usage=read_usage(body.get("usage")),
        tool_calls=calls,
        refusal=refusal,
    )


refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
