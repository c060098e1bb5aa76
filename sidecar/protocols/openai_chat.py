"""OpenAI chat completions, and every host that speaks them.

In: request and response bodies, whole or streamed. Out: LlmMessage, LlmReply; openai_choices.py reads the answers.
Source: OpenAI API reference, "Chat" (chat completion object, chunk object), read 2026-11.
"""

from typing import Any

from sidecar.protocols import openai_choices, openai_errors
from sidecar.protocols.json_body import MalformedBody, leaves, load
from sidecar.protocols.values import is_bytes, model_of, most_tokens, named_user, read_object, text_of
from sidecar.types import Head, LlmMessage, Segment, Surface, Unscanned, UnscannedReason

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


# What an assistant's message holds beside its words.
_FIELDS = {
    "tool_calls": Surface.TOOL_CALL,
    "function_call": Surface.TOOL_CALL,
    "reasoning": Surface.REASONING,
    "reasoning_content": Surface.REASONING,
    "reasoning_details": Surface.REASONING,
}
# Where bytes stand in a part of a content: in a field of their own, or in a data URL (sounds and videos: vLLM, OpenRouter).
_DATA = ("/input_audio/data", "/file/file_data")
_URLS = tuple(f"/{name}{more}" for name in ("image_url", "audio_url", "video_url") for more in ("", "/url"))


def matches(head: Head) -> bool:
    """Return True for chat completions, wherever a host keeps them."""
    return head.endpoint.endswith("/chat/completions")


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the conversation of a request.

    Raises: MalformedBody when the body is not JSON, or has no list of messages.
    """
    return read_conversation(read_object(data), NAME, head)


def read_conversation(body: dict[str, Any], protocol: str, head: Head) -> LlmMessage:
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
        model=model_of(body, head),
        stream=body.get("stream") is True,
        messages=len(messages),
        user=named_user(body),
        max_tokens=most_tokens(body),
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
            kind = _FIELDS.get(key, surface) if role == "assistant" else surface
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
    return (path in _DATA or (path in _URLS and text.startswith("data:"))) and is_bytes(text)


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


read_usage, read_event, read_reply = openai_choices.read_usage, openai_choices.read_event, openai_choices.read_reply
refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
