"""The rest of OpenAI's API that Douane meets: completions, embeddings, moderations, files, models."""

import base64
import re
import struct
from collections.abc import Iterator
from typing import Any

from tests.support.llm_host.answer import Answer, Asked, Route, sse, whole
from tests.support.llm_host.openai_chat import DONE, USAGE
from tests.support.llm_host.script import INPUT_TOKENS, Script, script_for

_VECTOR = (0.25, -0.5, 0.125)
_CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")


def completions(asked: Asked) -> Answer:
    script = script_for(asked.body)
    head = {
        "id": "cmpl-9a1",
        "object": "text_completion",
        "created": 1_764_000_000,
        "model": asked.body.get("model", "gpt-3.5-turbo-instruct"),
    }
    if asked.body.get("stream"):
        return sse(_completion_stream(asked, head, script))
    return whole({**head, "choices": [_choice(script.text, "stop")], "usage": USAGE})


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}


def _completion_stream(asked: Asked, head: dict[str, Any], script: Script) -> Iterator[dict[str, Any] | str]:
    yield from ({**head, "choices": [_choice(word, None)]} for word in script.words)
    yield {**head, "choices": [_choice("", "stop")]}
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": USAGE}
    yield DONE


def embeddings(asked: Asked) -> Answer:
    given = asked.body.get("input", "")
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    vector: Any = list(_VECTOR)
    if asked.body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", *_VECTOR)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
    usage = {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS}
    return whole({"object": "list", "data": data, "model": asked.body.get("model"), "usage": usage})


def moderations(asked: Asked) -> Answer:
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.001),
    }
    return whole({"id": "modr-1", "model": asked.body.get("model", "omni-moderation-latest"), "results": [result]})


def files(asked: Asked) -> Answer:
    uploaded = {"id": "file-1", "object": "file", "bytes": len(asked.data), "created_at": 1_764_000_000}
    return whole({**uploaded, "filename": "batch.jsonl", "purpose": "batch", "status": "processed"})


def models(asked: Asked) -> Answer:
    del asked
    known = [{"id": "gpt-4o", "object": "model", "created": 1_715_367_049, "owned_by": "system"}]
    return whole({"object": "list", "data": known})


ROUTES: tuple[Route, ...] = (
    (re.compile(r"(/v1|/openai/(deployments/[^/]+|v1))/completions"), completions),
    (re.compile(r"(/v1|/openai/(deployments/[^/]+|v1))/embeddings"), embeddings),
    (re.compile(r"/v1/moderations"), moderations),
    (re.compile(r"/v1/files"), files),
    (re.compile(r"/v1/models"), models),
)
