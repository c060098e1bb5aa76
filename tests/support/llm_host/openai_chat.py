"""OpenAI's chat completions, and those who speak it: Azure, Mistral, OpenRouter, any compatible host."""

import re
from collections.abc import Iterator
from typing import Any

from tests.support.llm_host.answer import Answer, Asked, Route, sse, whole
from tests.support.llm_host.script import (
    CACHED_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    Script,
    script_for,
)

USAGE = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS, "audio_tokens": 0},
}
DONE = "data: [DONE]\n\n"
_CALL_ID = "call_A1b2C3d4E"  # Mistral's ids have nine characters behind the underscore
# What a filtered deployment says first (Azure), and what OpenRouter says while it waits.
_AZURE_FIRST = {
    "id": "", "object": "", "created": 0, "model": "", "choices": [],
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}],
}  # fmt: skip
_OPENROUTER_WAITS = ": OPENROUTER PROCESSING\n\n"


def chat(asked: Asked) -> Answer:
    script = script_for(asked.body)
    if asked.body.get("stream"):
        return sse(_stream(asked, script))
    choice = {"index": 0, "message": _message(script), "logprobs": None, "finish_reason": _finish(script)}
    return whole({**_head(asked, "chat.completion"), "choices": [choice], "usage": USAGE})


def _head(asked: Asked, kind: str) -> dict[str, Any]:
    model = asked.body.get("model") or "gpt-4o-2024-11-20"
    return {"id": "chatcmpl-9a1", "object": kind, "created": 1_764_000_000, "model": model}


def _finish(script: Script) -> str:
    return "tool_calls" if script.tool else "stop"


def _message(script: Script) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": script.text or None, "refusal": None}
    if script.thoughts:
        message["reasoning_content"] = script.thought
    if script.tool:
        function = {"name": script.tool, "arguments": "".join(script.arguments)}
        message["tool_calls"] = [{"id": _CALL_ID, "type": "function", "function": function}]
    return message


def _deltas(script: Script) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "", "refusal": None}
    yield from ({"reasoning_content": thought} for thought in script.thoughts)
    yield from ({"content": word} for word in script.words)
    if script.tool:
        function = {"name": script.tool, "arguments": ""}
        yield {"tool_calls": [{"index": 0, "id": _CALL_ID, "type": "function", "function": function}]}
        for piece in script.arguments:
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _stream(asked: Asked, script: Script) -> Iterator[dict[str, Any] | str]:
    head = _head(asked, "chat.completion.chunk")
    mistral = head["model"].startswith(("mistral", "codestral"))
    openrouter = asked.path.startswith("/api/")
    if asked.path.startswith("/openai/deployments/"):
        yield _AZURE_FIRST
    if openrouter:
        yield _OPENROUTER_WAITS
    for delta in _deltas(script):
        yield {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    last = {**head, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(script)}]}
    yield {**last, "usage": USAGE} if mistral else last
    if openrouter or (asked.body.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": USAGE}
    yield DONE


ROUTES: tuple[Route, ...] = (
    (re.compile(r"(/api)?/v1/chat/completions"), chat),
    (re.compile(r"/openai/(deployments/[^/]+|v1)/chat/completions"), chat),
)
