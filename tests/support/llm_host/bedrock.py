"""Bedrock's Converse, ConverseStream, InvokeModel and InvokeModelWithResponseStream (with Anthropic's models)."""

import base64
import re
from collections.abc import Iterator
from typing import Any

from tests.support.llm_host import anthropic
from tests.support.llm_host.answer import Answer, Asked, Route, dumps, whole
from tests.support.llm_host.event_stream import event
from tests.support.llm_host.script import ARGUMENTS, CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, Script, script_for

_STREAM = "application/vnd.amazon.eventstream"
_USAGE = {
    "inputTokens": INPUT_TOKENS,
    "outputTokens": OUTPUT_TOKENS,
    "totalTokens": INPUT_TOKENS + OUTPUT_TOKENS,
    "cacheReadInputTokens": CACHED_TOKENS,
}
_METRICS = {"latencyMs": 5}
_TOOL_ID = "tooluse_1"


def converse(asked: Asked) -> Answer:
    script = script_for(asked.body)
    message = {"role": "assistant", "content": [*_blocks(script)]}
    said = {"output": {"message": message}, "stopReason": _stop(script), "usage": _USAGE, "metrics": _METRICS}
    return whole(said)


def converse_stream(asked: Asked) -> Answer:
    script = script_for(asked.body)
    parts = tuple(event(name, dumps({**payload, "p": "abcd"})) for name, payload in _events(script))
    return Answer(parts, _STREAM)


def invoke(asked: Asked) -> Answer:
    return whole(anthropic.message(asked.body))


def invoke_stream(asked: Asked) -> Answer:
    payloads = (base64.b64encode(dumps(one)).decode() for one in anthropic.events(asked.body))
    parts = tuple(event("chunk", dumps({"bytes": payload, "p": "abcd"})) for payload in payloads)
    return Answer(parts, _STREAM, headers={"x-amzn-bedrock-content-type": "application/json"})


def _stop(script: Script) -> str:
    return "tool_use" if script.tool else "end_turn"


def _blocks(script: Script) -> Iterator[dict[str, Any]]:
    if script.thoughts:
        yield {"reasoningContent": {"reasoningText": {"text": script.thought, "signature": "c2ln"}}}
    if script.tool:
        yield {"toolUse": {"toolUseId": _TOOL_ID, "name": script.tool, "input": ARGUMENTS}}
    else:
        yield {"text": script.text}


def _events(script: Script) -> Iterator[tuple[str, dict[str, Any]]]:
    index = 0
    yield "messageStart", {"role": "assistant"}
    if script.thoughts:
        for thought in script.thoughts:
            yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": thought}}}
        yield "contentBlockStop", {"contentBlockIndex": 0}
        index = 1
    if script.tool:
        start = {"toolUse": {"toolUseId": _TOOL_ID, "name": script.tool}}
        yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        for piece in script.arguments:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}}
    for word in script.words:
        yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": word}}
    yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": _stop(script)}
    yield "metadata", {"usage": _USAGE, "metrics": _METRICS}


ROUTES: tuple[Route, ...] = (
    (re.compile(r"/model/[^/]+/converse"), converse),
    (re.compile(r"/model/[^/]+/converse-stream"), converse_stream),
    (re.compile(r"/model/[^/]+/invoke"), invoke),
    (re.compile(r"/model/[^/]+/invoke-with-response-stream"), invoke_stream),
)
