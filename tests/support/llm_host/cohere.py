"""Cohere's v2 chat, with its event stream."""

import re
from collections.abc import Iterator
from typing import Any

from tests.support.llm_host.answer import Answer, Asked, Route, sse, whole
from tests.support.llm_host.script import INPUT_TOKENS, OUTPUT_TOKENS, Script, script_for

_USAGE = {
    "billed_units": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    "tokens": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
}
_CALL_ID = "get_weather_1"
_ID = "c14c80c3-18eb-4519-9460-6c92edd8cfb4"
_DONE = "data: [DONE]\n\n"


def chat(asked: Asked) -> Answer:
    script = script_for(asked.body)
    if asked.body.get("stream"):
        return sse([*_events(script), _DONE], named=False)
    return whole({"id": _ID, "finish_reason": _finish(script), "message": _message(script), "usage": _USAGE})


def _finish(script: Script) -> str:
    return "TOOL_CALL" if script.tool else "COMPLETE"


def _call(script: Script, arguments: str) -> dict[str, Any]:
    return {"id": _CALL_ID, "type": "function", "function": {"name": script.tool, "arguments": arguments}}


def _message(script: Script) -> dict[str, Any]:
    if script.tool:
        plan = {"tool_plan": script.thought} if script.thoughts else {}
        return {"role": "assistant", **plan, "tool_calls": [_call(script, "".join(script.arguments))]}
    return {"role": "assistant", "content": [{"type": "text", "text": script.text}]}


def _events(script: Script) -> Iterator[dict[str, Any]]:
    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield {"id": _ID, "type": "message-start", "delta": {"message": begun}}
    if script.tool:
        yield from _tool_events(script)
    else:
        start = {"message": {"content": {"type": "text", "text": ""}}}
        yield {"type": "content-start", "index": 0, "delta": start}
        for word in script.words:
            yield {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}}
        yield {"type": "content-end", "index": 0}
    yield {"type": "message-end", "delta": {"finish_reason": _finish(script), "usage": _USAGE}}


def _tool_events(script: Script) -> Iterator[dict[str, Any]]:
    for thought in script.thoughts:
        yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": thought}}}
    yield {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": _call(script, "")}}}
    for piece in script.arguments:
        said = {"tool_calls": {"function": {"arguments": piece}}}
        yield {"type": "tool-call-delta", "index": 0, "delta": {"message": said}}
    yield {"type": "tool-call-end", "index": 0}


ROUTES: tuple[Route, ...] = ((re.compile(r"/v2/chat"), chat),)
