"""The mission's own call, POST /generate: read, and translated to the provider's chat completion and back.

In: {"model_name", "messages": [{"role", "content": [{"type": "text", "text"}]}], ...}. Out: LlmMessage; the provider's request;
{"result", "latency", "model", "usage", "decision_id"}.
Source: the mission text, "Utilisation"; OpenAI API reference, "Chat", read 2026-11.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from sidecar.protocols import openai_chat, openai_errors
from sidecar.protocols.json_body import MalformedBody, load
from sidecar.types import Head, LlmMessage, LlmReply, Surface

NAME = "generate"
FRAMING = None
PATH = "/generate"

# What a caller may pass through to the provider beside the messages. Streaming is not among them: the answer is one object.
_PASSED = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "user",
    "tools",
    "tool_choice",
)


class UnknownModel(ValueError):  # noqa: N818 - named for what it is, STYLE 6
    """The model name is not in the table."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a model name leads."""

    provider: str
    model: str


def matches(head: Head) -> bool:
    """Return True for the mission's path."""
    return head.endpoint == PATH


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the conversation of a request; its model is the caller's model_name.

    Raises: MalformedBody when the body is not the mission's.
    """
    body = _object(data)
    if not isinstance(body.get("model_name"), str):
        raise MalformedBody("'model_name' is missing or not a string")
    if body.get("stream"):
        raise MalformedBody("'stream' is not offered here; use /v1/chat/completions for streams")
    rest = {key: value for key, value in body.items() if key != "model_name"}
    return openai_chat.read_conversation({**rest, "model": body["model_name"]}, NAME, head)


def _object(data: bytes) -> dict[str, Any]:
    body = load(data)
    if not isinstance(body, dict):
        raise MalformedBody("the body is not a JSON object")
    return body


def target_of(name: str, models: Mapping[str, Target]) -> Target:
    """Return the provider and model behind a model name.

    Raises: UnknownModel listing the known names.
    """
    if name not in models:
        raise UnknownModel(f"unknown model_name; known: {', '.join(models)}")
    return models[name]


def translate_request(data: bytes, target: Target) -> bytes:
    """Return the provider's request for a body that read_request has accepted."""
    body = _object(data)
    passed = {key: body[key] for key in _PASSED if key in body}
    return msgspec.json.encode({"model": target.model, "messages": body["messages"], **passed})


def translate_reply(reply: LlmReply, latency_s: float, decision_id: str) -> bytes:
    """Return the mission's answer. latency is in seconds."""
    usage = reply.usage
    tokens = {
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "total_tokens": usage.total_tokens if usage else None,
    }
    return msgspec.json.encode(
        {
            "result": "".join(s.text for s in reply.segments if s.surface is Surface.OUTPUT),
            "latency": round(latency_s, 4),
            "model": reply.model,
            "finish_reason": reply.finish_reason,
            "usage": tokens,
            "decision_id": decision_id,
        }
    )


# The provider answers in its own format; a refused caller reads OpenAI's, as the mission's client expects it.
read_reply, read_event = openai_chat.read_reply, openai_chat.read_event
refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
