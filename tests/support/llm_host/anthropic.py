"""Anthropic's Messages, with its event stream. Bedrock's InvokeModel speaks it too."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.llm_host.answer import Answer, Asked, Route, sse, whole
from tests.support.llm_host.script import (
    ARGUMENTS,
    CACHED_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Body,
    Script,
    script_for,
)

_INPUT = {"input_tokens": INPUT_TOKENS, "cache_creation_input_tokens": 0, "cache_read_input_tokens": CACHED_TOKENS}
_TOOL_ID = "toolu_01A"
_SIGNATURE = "c2lnbmF0dXJl"


def messages(asked: Asked) -> Answer:
    if asked.body.get("stream"):
        return sse(events(asked.body), named=True)
    return whole(message(asked.body))


def message(body: Body) -> dict[str, Any]:
    """Return the whole message that answers a request."""
    script = script_for(body)
    return {
        **_head(body),
        "content": [block for block, _ in _blocks(script)],
        "stop_reason": _stop(script),
        "stop_sequence": None,
        "usage": {**_INPUT, "output_tokens": OUTPUT_TOKENS},
    }


def events(body: Body) -> Iterator[dict[str, Any]]:
    """Yield the events that answer a streamed request."""
    script = script_for(body)
    begun = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": {**_INPUT, "output_tokens": 1}}
    yield {"type": "message_start", "message": {**_head(body), **begun}}
    for index, (block, deltas) in enumerate(_blocks(script)):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}
        if index == 0:
            yield {"type": "ping"}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": _stop(script), "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": OUTPUT_TOKENS}}
    yield {"type": "message_stop"}


def _head(body: Body) -> dict[str, Any]:
    model = body.get("model", "claude-local")
    return {"id": "msg_01A", "type": "message", "role": "assistant", "model": model}


def _stop(script: Script) -> str:
    return "tool_use" if script.tool else "end_turn"


def _blocks(script: Script) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield each block whole, and the deltas that make it up."""
    if script.thoughts:
        thoughts: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": part} for part in script.thoughts]
        signed = {"type": "signature_delta", "signature": _SIGNATURE}
        yield {"type": "thinking", "thinking": script.thought, "signature": _SIGNATURE}, [*thoughts, signed]
    if script.tool:
        pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *script.arguments)]
        yield {"type": "tool_use", "id": _TOOL_ID, "name": script.tool, "input": ARGUMENTS}, pieces
    else:
        yield {"type": "text", "text": script.text}, [{"type": "text_delta", "text": word} for word in script.words]


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    """Return a block as it is when it begins."""
    return {
        name: _nothing(value) if name in ("text", "thinking", "signature", "input") else value
        for name, value in block.items()
    }


def _nothing(value: Any) -> Any:
    return type(value)()


def count_tokens(asked: Asked) -> Answer:
    return whole({"input_tokens": len(json.dumps(asked.body)) // 4})


ROUTES: tuple[Route, ...] = (
    (re.compile(r"/v1/messages"), messages),
    (re.compile(r"/v1/messages/count_tokens"), count_tokens),
)
