"""OpenAI chat completions, and every host that speaks them.

In: request and response bodies, whole or streamed. Out: LlmMessage, LlmReply.
Source: OpenAI API reference, "Chat" (chat completion object, chunk object), read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from sidecar.protocols import openai_errors
from sidecar.protocols.json_body import MalformedBody, leaves, load
from sidecar.protocols.values import (
    binary,
    index_of,
    is_data_url,
    named_user,
    number_of,
    object_of,
    objects_of,
    read_object,
    text_of,
)
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
    return read_conversation(read_object(data), NAME)


def read_conversation(body: dict[str, Any], protocol: str) -> LlmMessage:
    """Return the conversation of a body with `messages` in OpenAI's shape; every other string is scanned too.

    Raises: MalformedBody when `messages` is not a list of objects.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MalformedBody("'messages' is not a list of objects")
    segments: list[Segment] = []
    unscanned: list[Unscanned] = []
    for place, message in enumerate(messages):
        _read_message(message, place, segments, unscanned)
    for key, value in body.items():
        if key != "messages" and not (key == "model" and isinstance(value, str)):
            surface = Surface.TOOL_DEFINITION if key in ("tools", "functions", "response_format") else Surface.USER
            segments.extend(Segment(text, surface, -1, path) for path, text in leaves({key: value}))
    return LlmMessage(
        protocol=protocol,
        segments=tuple(segments),
        model=text_of(body.get("model")),
        stream=body.get("stream") is True,
        messages=len(messages),
        user=named_user(body),
        unscanned=tuple(unscanned),
    )


def _read_message(message: dict[str, Any], place: int, segments: list[Segment], unscanned: list[Unscanned]) -> None:
    role = message.get("role")
    surface = _SURFACES.get(role, Surface.USER) if isinstance(role, str) else Surface.USER
    at = f"/messages/{place}"
    for key, value in message.items():
        if key == "content" and isinstance(value, str):
            if value:
                segments.append(Segment(value, surface, place, f"{at}/content"))
        elif key == "content" and isinstance(value, list):
            for number, part in enumerate(value):
                _read_part(part, Segment("", surface, place, f"{at}/content/{number}"), segments, unscanned)
        else:
            kind = Surface.TOOL_CALL if key in ("tool_calls", "function_call") else surface
            segments.extend(Segment(text, kind, place, at + path) for path, text in leaves({key: value}))


def _read_part(part: Any, at: Segment, segments: list[Segment], unscanned: list[Unscanned]) -> None:
    said = text_of(part.get("text")) if isinstance(part, dict) else text_of(part)
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
        prompt_tokens=number_of(usage.get("prompt_tokens")),
        completion_tokens=number_of(usage.get("completion_tokens")),
        cached_tokens=number_of(object_of(usage.get("prompt_tokens_details")).get("cached_tokens")),
        reasoning_tokens=number_of(object_of(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        total_tokens=number_of(usage.get("total_tokens")),
    )


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one chunk says; an error in the middle of a stream is read leaf by leaf."""
    choices = event.get("choices")
    usage = read_usage(event.get("usage")) or read_usage(object_of(event.get("x_groq")).get("usage"))
    error = tuple(Piece(Surface.OUTPUT, text, ("error", path)) for path, text in leaves(event.get("error"), "/error"))
    if not isinstance(choices, list):
        others = (item for item in leaves(dict(event)) if not item[0].startswith("/error"))
        pieces = tuple(Piece(Surface.OUTPUT, text, ("other", path)) for path, text in others)
        return Delta((*pieces, *error), text_of(event.get("model")), usage=usage)
    deltas = [_said(choice, "delta", number) for number, choice in enumerate(choices) if isinstance(choice, dict)]
    return _together(deltas, text_of(event.get("model")), usage, error)


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; an error object is read leaf by leaf."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list):
        return LlmReply(segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body)))
    deltas = [_said(choice, "message", number) for number, choice in enumerate(choices) if isinstance(choice, dict)]
    found = _together(deltas, text_of(body.get("model")), read_usage(body.get("usage")), ())
    return LlmReply(
        segments=tuple(Segment(p.text, p.surface, p.channel[1], "/choices") for p in found.pieces),  # type: ignore[index]
        model=found.model,
        finish_reason=found.finish,
        usage=found.usage,
        tool_calls=len(found.calls),
        refusal=found.refusal,
        unscanned=found.unscanned,
    )


def _together(deltas: list[Delta], model: str, usage: Usage | None, more: tuple[Piece, ...]) -> Delta:
    return Delta(
        pieces=(*(piece for delta in deltas for piece in delta.pieces), *more),
        model=model,
        finish=next((delta.finish for delta in deltas if delta.finish), ""),
        usage=usage,
        calls=tuple(call for delta in deltas for call in delta.calls),
        refusal=any(delta.refusal for delta in deltas),
        unscanned=tuple(item for delta in deltas for item in delta.unscanned),
    )


def _said(choice: dict[str, Any], name: str, number: int) -> Delta:
    """Return what a choice says in its message or delta. A channel is (kind, choice, ...)."""
    message, place = choice.get(name), index_of(choice, otherwise=number)
    finish = text_of(choice.get("finish_reason"))
    if not isinstance(message, dict):
        return Delta(finish=finish)
    pieces = [Piece(surface, text, (kind, place)) for kind, surface, text in _texts(message) if text]
    calls = []
    for at, call in enumerate(_calls(message)):
        key = (place, index_of(call, otherwise=at))
        calls.append(key)
        pieces.extend(Piece(Surface.TOOL_CALL, text, ("call", *key)) for text in _arguments(call))
    refusal = bool(text_of(message.get("refusal")))
    sizes = [len(text) for _, text in leaves(message.get("images")) if is_data_url(text)]
    sizes.append(len(text_of(object_of(message.get("audio")).get("data"))))
    return Delta(tuple(pieces), finish=finish, calls=tuple(calls), refusal=refusal, unscanned=binary(sizes))


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the calls of a message, the one of the API's old style too."""
    old = message.get("function_call")
    return [*objects_of(message.get("tool_calls")), *([{"function": old}] if isinstance(old, dict) else [])]


def _arguments(call: dict[str, Any]) -> list[str]:
    """Return a call's arguments: JSON as text, or an object (as Mistral and Ollama's compatible API have them)."""
    function = object_of(call.get("function")) or object_of(call.get("custom"))
    given = function.get("arguments", function.get("input"))
    found = [given] if isinstance(given, str) else [text for _, text in leaves(given)]
    return [text for text in found if text]


def _texts(message: dict[str, Any]) -> list[tuple[str, Surface, str]]:
    """Return the texts of a message or a delta: content, refusal, reasoning (as DeepSeek, OpenRouter and Mistral name it)."""
    thought = text_of(message.get("reasoning_content")) or text_of(message.get("reasoning"))
    details = "".join(
        text_of(part.get("text")) or text_of(part.get("summary"))
        for part in objects_of(message.get("reasoning_details"))
    )
    return [
        ("content", Surface.OUTPUT, _content(message.get("content"), thinking=False)),
        ("refusal", Surface.OUTPUT, text_of(message.get("refusal"))),
        ("reasoning", Surface.REASONING, thought or details or _content(message.get("content"), thinking=True)),
        ("transcript", Surface.OUTPUT, text_of(object_of(message.get("audio")).get("transcript"))),
    ]


def _content(content: Any, *, thinking: bool) -> str:
    """Return the text of a content: a string, or the text (or thinking) parts of a list (as Mistral answers)."""
    if not isinstance(content, list):
        return "" if thinking else text_of(content)
    if thinking:
        thoughts = (part.get("thinking") for part in objects_of(content))
        return "".join(_content(thought, thinking=False) for thought in thoughts)
    return "".join(text_of(part.get("text")) if isinstance(part, dict) else text_of(part) for part in content)


refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
