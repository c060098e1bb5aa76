"""OpenAI's completions of a prompt, without roles, and every host that speaks them (Mistral's fill-in-the-middle too).

In: bodies of POST …/completions. Out: LlmMessage, LlmReply, Deltas.
A prompt of token numbers cannot be read here: its bytes are counted as unscanned.
Source: OpenAI API reference, "Completions"; Mistral API reference, "FIM"; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from sidecar.protocols import openai_chat, openai_errors
from sidecar.protocols.json_body import leaves
from sidecar.protocols.openai_chat import read_usage
from sidecar.protocols.values import binary, index_of, named_user, objects_of, read_object, segments_of, text_of
from sidecar.protocols.wire import Delta, Piece
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface

NAME = "openai_completions"
FRAMING = None
_BYTES_PER_NUMBER = 4  # a token's number and its comma; a token is some four characters


def matches(head: Head) -> bool:
    """Return True for completions; chat completions have come before."""
    return head.endpoint.endswith("/completions")


def read_request(data: bytes, head: Head) -> LlmMessage:  # noqa: ARG001 - the shape of every protocol's read_request
    """Return the prompts of a request; a body with messages is a conversation (Mistral's agents).

    Raises: MalformedBody when the body is no JSON object.
    """
    body = read_object(data)
    if isinstance(body.get("messages"), list):
        return openai_chat.read_conversation(body, NAME)
    prompt = body.get("prompt")
    prompts = prompt if isinstance(prompt, list) else [prompt]
    segments: list[Segment] = []
    for number, item in enumerate(prompts):
        path = f"/prompt/{number}" if isinstance(prompt, list) else "/prompt"
        segments.extend(segments_of(item, Surface.USER, path, number))
    for key, value in body.items():
        if key != "prompt" and not (key == "model" and isinstance(value, str)):
            segments.extend(Segment(text, Surface.USER, -1, path) for path, text in leaves({key: value}))
    return LlmMessage(
        protocol=NAME,
        segments=tuple(segments),
        model=text_of(body.get("model")),
        stream=body.get("stream") is True,
        messages=len(prompts),
        user=named_user(body),
        unscanned=binary([_BYTES_PER_NUMBER * _numbers(prompt)]),
    )


def _numbers(prompt: Any) -> int:
    """Return how many token numbers a prompt holds."""
    items = prompt if isinstance(prompt, list) else []
    return sum(type(item) is int for item in items) + sum(
        type(number) is int for item in items if isinstance(item, list) for number in item
    )


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; an error object is read leaf by leaf."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list):
        return LlmReply(segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body)))
    delta = read_event(body)
    if not delta.pieces and any("message" in choice for choice in objects_of(choices)):
        return openai_chat.read_reply(body)  # Mistral answers prompts with messages
    return LlmReply(
        segments=tuple(Segment(piece.text, piece.surface, -1, "/choices") for piece in delta.pieces),
        model=delta.model,
        finish_reason=delta.finish,
        usage=delta.usage,
    )


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one chunk says."""
    choices = objects_of(event.get("choices"))
    if not isinstance(event.get("choices"), list) or any("delta" in choice for choice in choices):
        return openai_chat.read_event(event)
    said = [(index_of(choice, otherwise=number), text_of(choice.get("text"))) for number, choice in enumerate(choices)]
    return Delta(
        pieces=tuple(Piece(Surface.OUTPUT, text, ("text", place)) for place, text in said if text),
        model=text_of(event.get("model")),
        finish=next((text_of(c.get("finish_reason")) for c in choices if text_of(c.get("finish_reason"))), ""),
        usage=read_usage(event.get("usage")),
    )


refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
