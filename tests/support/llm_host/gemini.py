"""Gemini's generateContent and streamGenerateContent: a JSON array, or events with ?alt=sse. Vertex paths too."""

import re
from collections.abc import Iterator
from typing import Any

from tests.support.llm_host.answer import Answer, Asked, Route, dumps, sse, whole
from tests.support.llm_host.script import (
    ARGUMENTS,
    CACHED_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    Script,
    script_for,
)

# Gemini counts thoughts beside the candidates' tokens, and both in the total.
_USAGE = {
    "promptTokenCount": INPUT_TOKENS,
    "cachedContentTokenCount": CACHED_TOKENS,
    "candidatesTokenCount": OUTPUT_TOKENS - REASONING_TOKENS,
    "thoughtsTokenCount": REASONING_TOKENS,
    "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
}


def generate(asked: Asked) -> Answer:
    parts = list(_parts(script_for(asked.body)))
    merged = [{**parts[0], "text": "".join(part["text"] for part in parts)}] if _only_text(parts) else parts
    return whole(_response(asked, merged, last=True))


def stream(asked: Asked) -> Answer:
    parts = list(_parts(script_for(asked.body)))
    chunks = [_response(asked, [part], last=part is parts[-1]) for part in parts]
    if asked.query.get("alt") == "sse":
        return sse(chunks, end="\r\n\r\n")
    pieces = [(b"[" if index == 0 else b",\r\n") + dumps(chunk) for index, chunk in enumerate(chunks)]
    return Answer((*pieces, b"\n]"))


def count_tokens(asked: Asked) -> Answer:
    del asked
    return whole({"totalTokens": INPUT_TOKENS})


def _only_text(parts: list[dict[str, Any]]) -> bool:
    return all(list(part) == ["text"] for part in parts)


def _parts(script: Script) -> Iterator[dict[str, Any]]:
    yield from ({"text": thought, "thought": True} for thought in script.thoughts)
    yield from ({"text": word} for word in script.words)
    if script.tool:
        yield {"functionCall": {"name": script.tool, "args": ARGUMENTS}}


def _response(asked: Asked, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    model = asked.path.rpartition("/")[2].partition(":")[0]
    return {"candidates": [candidate], "usageMetadata": _USAGE, "modelVersion": model, "responseId": "r9a1"}


_MODEL = r"/(v1|v1beta|v1beta1)/(projects/[^/]+/locations/[^/]+/publishers/google/)?models/[^/:]+"
ROUTES: tuple[Route, ...] = (
    (re.compile(_MODEL + ":generateContent"), generate),
    (re.compile(_MODEL + ":streamGenerateContent"), stream),
    (re.compile(_MODEL + ":countTokens"), count_tokens),
)
