"""Amazon Bedrock: Converse, whose shape is the same for all models, and the requests of InvokeModel.

In: request and response bodies, whole or as an AWS event stream. Out: LlmMessage, LlmReply, Deltas.
InvokeModel bodies are the models' own: Anthropic's are read as anthropic_messages reads them, all others by one set of rules
(Titan's inputText, Llama's prompt, Cohere's message, the messages of Nova, Mistral and others). bedrock_models reads their answers.
Usage: prompt_tokens = inputTokens + cacheReadInputTokens + cacheWriteInputTokens, because inputTokens leave those out;
cached_tokens = cacheReadInputTokens.
Source: Amazon Bedrock API reference, "Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"; Bedrock user
guide, "Inference request parameters"; read 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from sidecar.protocols import anthropic_messages, bedrock_models
from sidecar.protocols.aws_frames import AwsFrames
from sidecar.protocols.json_body import leaves
from sidecar.protocols.parts import Found, Holder, Rules, walked
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

NAME = "bedrock"
FRAMING = AwsFrames

_PATH = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream)$")

_ROLES = {
    "system": Surface.SYSTEM,
    "user": Surface.USER,
    "assistant": Surface.ASSISTANT,
    "tool": Surface.TOOL_RESULT,
    "SYSTEM": Surface.SYSTEM,  # Cohere's chat_history
    "CHATBOT": Surface.ASSISTANT,
    "TOOL": Surface.TOOL_RESULT,
}
_KEYS = {
    "system": Surface.SYSTEM,
    "preamble": Surface.SYSTEM,
    "toolConfig": Surface.TOOL_DEFINITION,
    "tools": Surface.TOOL_DEFINITION,
    "documents": Surface.DOCUMENT,
    "tool_results": Surface.TOOL_RESULT,
}
_BLOCKS = {
    "toolUse": Surface.TOOL_CALL,
    "tool_calls": Surface.TOOL_CALL,
    "toolResult": Surface.TOOL_RESULT,
    "reasoningContent": Surface.REASONING,
    "document": Surface.DOCUMENT,
    "searchResult": Surface.DOCUMENT,
}
_BLOCKED = frozenset(("guardrail_intervened", "content_filtered", "refusal"))
_STREAM_EXCEPTIONS = {"permission_denied": "validationException", "rate_limited": "throttlingException"}
_EXCEPTIONS = {"permission_denied": "AccessDeniedException", "rate_limited": "ThrottlingException"}


def _surface(key: str, item: Mapping[str, Any], around: Surface) -> Surface:
    kind = _BLOCKS.get(key)
    if kind is not None and around is not Surface.TOOL_RESULT:
        return kind
    return _ROLES.get(text_of(item.get("role")), around) if key in ("chat_history", "messages") else around


def _media(at: Holder) -> bool:
    return (at.key == "bytes" and at.outer == "source") or at.key in ("redactedContent", "inputImage")


_RULES = Rules(
    _surface, frozenset(("text", "content", "system", "prompt", "inputText", "message", "query", "preamble")), _media
)
_REPLY_RULES = Rules(
    _surface,
    _RULES.texts,
    _media,
    frozenset(("toolUseId", "signature", "role")),
    frozenset(("reasoningContent", "reasoningText")),
)


def matches(head: Head) -> bool:
    """Return True for the four calls to a model."""
    return _PATH.search(head.endpoint) is not None


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the conversation of a request; the path says the model, which may be an encoded ARN, and whether it streams.

    Raises: MalformedBody when the body is not a JSON object, or an Anthropic one without a list of messages.
    """
    named = _PATH.search(head.endpoint)
    model, call = (unquote(named[1]), named[2]) if named else ("", "")
    streamed = call.endswith("-stream")
    body = read_object(data)
    if "anthropic_version" in body and call.startswith("invoke"):
        return anthropic_messages.read_conversation(body, NAME, model, streamed=streamed)
    messages = body.get("messages")
    turns = messages if isinstance(messages, list) else []
    found = Found()
    for key, value in body.items():
        if key == "messages" and turns:
            for number, turn in enumerate(turns):
                found.walk(
                    turn, Segment("", Surface.USER, number, f"/messages/{number}"), _RULES, Holder(key="messages")
                )
        else:
            found.walk({key: value}, Segment("", _KEYS.get(key, Surface.USER)), _RULES)
    return LlmMessage(
        protocol=NAME,
        segments=tuple(found.segments),
        model=model,
        max_tokens=most_tokens(body),
        stream=streamed,
        messages=len(turns),
        unscanned=tuple(found.unscanned),
    )


def read_usage(usage: Any) -> Usage | None:
    """Return the tokens of a Converse `usage` object, None when it is none; see above for what they are."""
    if not isinstance(usage, dict):
        return None
    cached = number_of(usage.get("cacheReadInputTokens"))
    return Usage(
        prompt_tokens=added(number_of(usage.get("inputTokens")), cached, number_of(usage.get("cacheWriteInputTokens"))),
        completion_tokens=number_of(usage.get("outputTokens")),
        cached_tokens=cached,
        total_tokens=number_of(usage.get("totalTokens")),
    )


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole."""
    message = object_of(body.get("output")).get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        return bedrock_models.read_reply(body)
    found = walked(message.get("content"), _REPLY_RULES, key="content")
    finish = text_of(body.get("stopReason"))
    return LlmReply(
        segments=tuple(Segment(s.text, s.surface, 0, f"/output/message/content{s.path}") for s in found.segments),
        finish_reason=finish,
        usage=read_usage(body.get("usage")),
        tool_calls=sum("toolUse" in block for block in objects_of(message.get("content"))),
        refusal=finish in _BLOCKED,
        unscanned=tuple(found.unscanned),
    )


_EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one event says. Converse's events are told apart by what they hold; Nova puts their names around them."""
    for name in _EVENTS:
        if isinstance(event.get(name), dict):
            return read_event(event[name])
    if isinstance(event.get("delta"), dict) and "contentBlockIndex" in event:
        return _delta(event["delta"], index_of(event, "contentBlockIndex"))
    if isinstance(event.get("start"), dict):
        index = index_of(event, "contentBlockIndex")
        found = walked(event["start"], _REPLY_RULES)
        pieces = tuple(Piece(s.surface, s.text, ("start", index, s.path)) for s in found.segments)
        return Delta(pieces, calls=(index,) if "toolUse" in event["start"] else ())
    if "stopReason" in event:
        finish = text_of(event["stopReason"])
        return Delta(finish=finish, refusal=finish in _BLOCKED)
    if isinstance(event.get("usage"), dict) and "inputTokens" in event["usage"]:
        return Delta(usage=read_usage(event["usage"]), done=True)
    if "contentBlockIndex" in event or set(event) <= {"role", "p"}:
        return Delta()
    return bedrock_models.read_event(event)


def _delta(delta: dict[str, Any], index: int) -> Delta:
    call, thought = object_of(delta.get("toolUse")), object_of(delta.get("reasoningContent"))
    said = (
        (Surface.OUTPUT, text_of(delta.get("text"))),
        (Surface.TOOL_CALL, text_of(call.get("input"))),
        (Surface.REASONING, text_of(thought.get("text"))),
    )
    pieces = [Piece(surface, text, ("block", index)) for surface, text in said if text]
    known = ("text", "toolUse", "reasoningContent")
    others = leaves({key: value for key, value in delta.items() if key not in known})
    pieces += [Piece(Surface.OUTPUT, text, ("beside", index, path, text)) for path, text in others]
    return Delta(tuple(pieces), calls=(index,) if call else ())


def refusal(refused: Refused) -> Mapping[str, Any]:
    """Return the body a refused client reads.

    Shape: __type is where SDKs look when no header names the exception; they would take a `code` for it, so ours is the reason.
    """
    return {
        "__type": _EXCEPTIONS.get(refused.kind, "ServiceUnavailableException"),
        "message": refused.message,
        "reason": refused.code,
        **refused.details,
    }


def stream_refusal(refused: Refused) -> tuple[StreamEvent, ...]:
    """Return the exception that ends a stream: one of those that streams know, because SDKs tell nothing of any other."""
    body = {key: value for key, value in refusal(refused).items() if key != "__type"}
    return (
        StreamEvent(msgspec.json.encode(body), _STREAM_EXCEPTIONS.get(refused.kind, "serviceUnavailableException")),
    )
