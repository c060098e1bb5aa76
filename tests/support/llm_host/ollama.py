"""Ollama's /api/chat and /api/generate: lines of JSON, streamed unless the request says otherwise."""

import re
from collections.abc import Iterator
from typing import Any

from tests.support.llm_host.answer import Answer, Asked, Route, dumps, whole
from tests.support.llm_host.script import ARGUMENTS, INPUT_TOKENS, OUTPUT_TOKENS, Script, script_for

_AT = "2026-11-24T10:00:00.000000Z"
_END = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 5_000_000,
    "load_duration": 1_000_000,
    "prompt_eval_count": INPUT_TOKENS,
    "prompt_eval_duration": 1_000_000,
    "eval_count": OUTPUT_TOKENS,
    "eval_duration": 3_000_000,
}


def chat(asked: Asked) -> Answer:
    script = script_for(asked.body)
    messages = [{"role": "assistant", **said} for said in _messages(script)]
    if asked.body.get("stream", True):
        return _lines(
            asked, [{"message": said} for said in messages], {"message": {"role": "assistant", "content": ""}}
        )
    merged: dict[str, Any] = {"role": "assistant", "content": script.text}
    if script.thoughts:
        merged["thinking"] = script.thought
    if script.tool:
        merged["tool_calls"] = _calls(script)
    return whole({**_head(asked), "message": merged, **_END})


def generate(asked: Asked) -> Answer:
    script = script_for(asked.body)
    if asked.body.get("stream", True):
        thoughts = [{"response": "", "thinking": thought} for thought in script.thoughts]
        return _lines(asked, [*thoughts, *({"response": word} for word in script.words)], {"response": ""})
    thought = {"thinking": script.thought} if script.thoughts else {}
    return whole({**_head(asked), "response": script.text, **thought, "context": [1, 2, 3], **_END})


def _head(asked: Asked) -> dict[str, Any]:
    return {"model": asked.body.get("model", "llama3.2"), "created_at": _AT}


def _calls(script: Script) -> list[dict[str, Any]]:
    return [{"function": {"name": script.tool, "arguments": ARGUMENTS}}]


def _messages(script: Script) -> Iterator[dict[str, Any]]:
    yield from ({"content": "", "thinking": thought} for thought in script.thoughts)
    yield from ({"content": word} for word in script.words)
    if script.tool:
        yield {"content": "", "tool_calls": _calls(script)}


def _lines(asked: Asked, said: list[dict[str, Any]], end: dict[str, Any]) -> Answer:
    lines = [{**_head(asked), **one, "done": False} for one in said]
    last = {**_head(asked), **end, **_END}
    return Answer(tuple(dumps(line) + b"\n" for line in (*lines, last)), "application/x-ndjson")


ROUTES: tuple[Route, ...] = (
    (re.compile(r"/api/chat"), chat),
    (re.compile(r"/api/generate"), generate),
)
