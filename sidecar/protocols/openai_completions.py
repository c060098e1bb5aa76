"""OpenAI's completions of a prompt, without roles, and every host that speaks them (Mistral's fill-in-the-middle too).

In: bodies of POST …/completions. Out: LlmMessage, LlmReply, Deltas.
A prompt of token numbers cannot be read here: its bytes are counted as unscanned.
Source: OpenAI API reference, "Completions"; Mistral API reference, "FIM"; read 2026-11.
"""

from typing import Any

from sidecar.protocols import openai_chat, openai_choices, openai_errors
from sidecar.protocols.json_body import leaves
from sidecar.protocols.values import binary, model_of, most_tokens, named_user, read_object, segments_of
from sidecar.types import Head, LlmMessage, Segment, Surface

NAME = "openai_completions"
FRAMING = None
_BYTES_PER_NUMBER = 4  # a token's number and its comma; a token is some four characters


def matches(head: Head) -> bool:
    """Return True for completions; chat completions have come before."""
    return head.endpoint.endswith("/completions")


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the prompts of a request; a body with messages is a conversation (Mistral's agents).

    Raises: MalformedBody when the body is no JSON object.
    """
    body = read_object(data)
    if isinstance(body.get("messages"), list):
        return openai_chat.read_conversation(body, NAME, head)
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
        model=model_of(body, head),
        stream=body.get("stream") is True,
        messages=len(prompts),
        user=named_user(body),
        max_tokens=most_tokens(body),
        unscanned=binary([_BYTES_PER_NUMBER * _numbers(prompt)]),
    )


def _numbers(prompt: Any) -> int:
    """Return how many token numbers a prompt holds."""
    items = prompt if isinstance(prompt, list) else []
    return sum(type(item) is int for item in items) + sum(
        type(number) is int for item in items if isinstance(item, list) for number in item
    )


# Mistral answers prompts with messages.
read_event, read_reply = openai_choices.read_event, openai_choices.read_reply
refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
