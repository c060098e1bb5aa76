"""Values that several tests of the sidecar begin with, and a detector whose findings a test can predict.

In: nothing. Out: heads, bodies, surroundings. Everything is real but the detector.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sidecar.detectors.ruleset import Ruleset
from sidecar.extproc.surroundings import Surroundings
from sidecar.identity import Identifier
from sidecar.pipeline import Pipeline
from sidecar.protocols.generate import Target
from sidecar.refusal import refusal_body
from sidecar.types import Finding, Head, Span, ThreatType, View

KEY = b"k" * 32
IDENTIFIER = Identifier(KEY)
DECISION_ID = "01890a5d-ac96-774b-bcce-b302099a8057".replace("-", "")
CHAT = Head("POST", "/v1/chat/completions", "api.test", "request-1", "10.0.0.7:4711", {"x-user-id": "ada"})
GENERATE = Head("POST", "/generate", "gateway.test", "request-2", "10.0.0.7:4711", {"x-user-id": "ada"})
OTHER = Head("POST", "/v1/files", "api.test", "request-3", "10.0.0.7:4711", {"content-type": "application/json"})

# What the detector below answers to.
ATTACK = "ATTACK"  # weight 20: CRITICAL
WARNING = "WARNING"  # weight 7: MEDIUM
LEAK = "LEAKED-KEY"  # weight 9, a secret
ADDRESS = "ada@lovelace.test"  # weight 5, personal data


_RULES = {ATTACK: "words.attack", WARNING: "words.warning", LEAK: "words.key", ADDRESS: "words.email"}


@dataclass(frozen=True)
class Words:
    """Finds four words."""

    name: str = "words"

    def detect(self, view: View) -> tuple[Finding, ...]:
        return tuple(
            Finding(kind, self.name, _RULES[word], Span(m.start(), m.end()), weight, view=view.kind)
            for word, kind, weight in (
                (ATTACK, ThreatType.PROMPT_INJECTION, 20.0),
                (WARNING, ThreatType.SUSPICIOUS_PATTERN, 7.0),
                (LEAK, ThreatType.SECRET_LEAK, 9.0),
                (ADDRESS, ThreatType.PII_LEAK, 5.0),
            )
            for m in re.finditer(word, view.text)
            if view.kind == "as_sent"
        )


@dataclass(frozen=True)
class Broken:
    """Raises on every text."""

    name: str = "broken"

    def detect(self, view: View) -> tuple[Finding, ...]:
        raise KeyError(view.text)


def around(now_us: Callable[[], int] = lambda: 0, **changes: Any) -> Surroundings:
    """Return the surroundings of an exchange, with a clock that stands still unless one is given."""
    values: dict[str, Any] = {
        "pipeline": Pipeline(now_us, Ruleset((Words(),), "rules-1")),
        "identifier": IDENTIFIER,
        "models": {"gpt4": Target("openai", "gpt-4o"), "llama3": Target("openrouter", "meta/llama-3")},
        "keys": {"openai": "our-key"},
        "paths": {"openai": "/v1/chat/completions", "openrouter": "/api/v1/chat/completions"},
        "wall_offset_us": 1_700_000_000_000_000,
        "refusal": refusal_body,
    }
    return Surroundings(**{**values, **changes})


def chat(text: str, **more: Any) -> bytes:
    """Return a chat completion's request."""
    return json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}).encode()


def generate(text: str, model_name: str = "gpt4", **more: Any) -> bytes:
    """Return a request of the mission's own kind."""
    parts = [{"type": "text", "text": text}]
    return json.dumps({"model_name": model_name, "messages": [{"role": "user", "content": parts}], **more}).encode()


USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 12,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 4},
}


def answer(text: str = "Bonjour.", **more: Any) -> bytes:
    """Return a chat completion as a provider answers it."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return json.dumps({"id": "c-1", "model": "gpt-4o-2024", "choices": [choice], "usage": USAGE, **more}).encode()


def stream(*words: str, done: bool = True) -> bytes:
    """Return a streamed chat completion with its usage."""
    head = {"id": "c-1", "object": "chat.completion.chunk", "model": "gpt-4o-2024"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
    events = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({**head, "choices": [], "usage": USAGE})
    text = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events)
    return (text + ("data: [DONE]\n\n" if done else "")).encode()
