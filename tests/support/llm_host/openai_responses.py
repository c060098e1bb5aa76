"""OpenAI's Responses, with its whole event stream."""

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

Event = dict[str, Any]
_USAGE = {
    "input_tokens": INPUT_TOKENS,
    "input_tokens_details": {"cached_tokens": CACHED_TOKENS, "cache_write_tokens": 0},
    "output_tokens": OUTPUT_TOKENS,
    "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
}


def responses(asked: Asked) -> Answer:
    script = script_for(asked.body)
    items = _items(script)
    if not asked.body.get("stream"):
        return whole(_response(asked, "completed", items))
    events = ({**event, "sequence_number": number} for number, event in enumerate(_stream(asked, script, items)))
    return sse(events, named=True)


def _response(asked: Asked, status: str, items: list[Event]) -> Event:
    """Return the response object, as it is in a body and in the events about it."""
    body = asked.body
    return {
        "id": "resp_9a1",
        "object": "response",
        "created_at": 1_764_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": None,
        "model": body.get("model", "gpt-4o"),
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _USAGE if status == "completed" else None,
        "metadata": {},
    }


def _part(text: str) -> Event:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _items(script: Script) -> list[Event]:
    items: list[Event] = []
    if script.thoughts:
        summary = [{"type": "summary_text", "text": script.thought}]
        items.append({"type": "reasoning", "id": "rs_1", "summary": summary})
    if script.tool:
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": script.tool, "status": "completed"}
        return [*items, {**call, "arguments": "".join(script.arguments)}]
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant"}
    return [*items, {**message, "content": [_part(script.text)]}]


def _stream(asked: Asked, script: Script, items: list[Event]) -> Iterator[Event]:
    started = _response(asked, "in_progress", [])
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    for index, item in enumerate(items):
        place = {"item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.added", "output_index": index, "item": _empty(item)}
        if item["type"] == "reasoning":
            yield from _summary(script, place)
        elif item["type"] == "function_call":
            yield from _arguments(script, place)
        else:
            yield from _text(script, place)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": _response(asked, "completed", items)}


def _empty(item: Event) -> Event:
    """Return an item as it is when it begins."""
    begun: dict[str, Event] = {
        "reasoning": {"summary": []},
        "function_call": {"arguments": "", "status": "in_progress"},
        "message": {"content": [], "status": "in_progress"},
    }
    return {**item, **begun[item["type"]]}


def _summary(script: Script, place: Event) -> Iterator[Event]:
    place = {**place, "summary_index": 0}
    begun, done = ({"type": "summary_text", "text": text} for text in ("", script.thought))
    yield {"type": "response.reasoning_summary_part.added", **place, "part": begun}
    for thought in script.thoughts:
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": thought}
    yield {"type": "response.reasoning_summary_text.done", **place, "text": script.thought}
    yield {"type": "response.reasoning_summary_part.done", **place, "part": done}


def _arguments(script: Script, place: Event) -> Iterator[Event]:
    for piece in script.arguments:
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    done = {"name": script.tool, "arguments": "".join(script.arguments)}
    yield {"type": "response.function_call_arguments.done", **place, **done}


def _text(script: Script, place: Event) -> Iterator[Event]:
    place = {**place, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": _part("")}
    for word in script.words:
        yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": script.text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": _part(script.text)}


ROUTES: tuple[Route, ...] = ((re.compile(r"(/openai)?/v1/responses"), responses),)
