"""What the plain HTTP clients call: each wire format once as an ordinary call, streamed, and as an attack.

In: base URLs by provider. Out: the file of calls (see programs/rows.py), and what the provider is known to answer.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.support.calls import ATTACK
from tests.support.llm_host.application import answer_to

STREAMED = ("stream", "cut")
# A text that must not leave (policy: canaries). It stands in two pieces in the request, and the provider joins them.
CANARY = "violet-otter-4417"
CUT = f"please-echo please-join here it is: {CANARY.replace('tt', 't~t')} and that was it"
_AZURE = "/openai/deployments/gpt4o-eu"
_CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"
_GEMINI = "v1beta/models/gemini-2.5-flash:"


@dataclass(frozen=True, slots=True)
class Format:
    """A wire format: its provider, path for whole and for streamed answers, and the JSON around a text.

    Shape: TEXT stands in body for the text; stream is what is added to the body to have it streamed, None where that cannot be.
    """

    name: str
    provider: str
    path: str
    body: Mapping[str, Any]
    stream: Mapping[str, Any] | None = None
    stream_path: str = ""


def _openai(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "TEXT"}]}


_STREAM = {"stream": True}
_CLAUDE_BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "TEXT"}],
}
_GEMINI_BODY = {"contents": [{"role": "user", "parts": [{"text": "TEXT"}]}]}
FORMATS: tuple[Format, ...] = (
    Format("openai_chat", "openai", "/v1/chat/completions", _openai("gpt-4o"), _STREAM),
    Format("openai_responses", "openai", "/v1/responses", {"model": "gpt-4o", "input": "TEXT"}, _STREAM),
    Format("openai_completions", "openai", "/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "TEXT"}, _STREAM),
    Format("openai_embeddings", "openai", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "TEXT"}),
    Format("openai_moderations", "openai", "/v1/moderations", {"model": "omni-moderation-latest", "input": "TEXT"}),
    Format("azure_chat", "azure", f"{_AZURE}/chat/completions?api-version=2024-10-21", _openai("gpt-4o"), _STREAM),
    Format("openrouter_chat", "openrouter", "/api/v1/chat/completions", _openai("meta-llama/llama-3.3-70b-instruct"), _STREAM),
    Format("mistral_chat", "mistral", "/v1/chat/completions", _openai("mistral-small-latest"), _STREAM),
    Format("anthropic_messages", "anthropic", "/v1/messages", {**_openai("claude-local"), "max_tokens": 100}, _STREAM),
    Format("gemini_generate", "gemini", f"/{_GEMINI}generateContent", _GEMINI_BODY, {}, f"/{_GEMINI}streamGenerateContent?alt=sse"),
    Format("gemini_array", "gemini", f"/{_GEMINI}generateContent", _GEMINI_BODY, {}, f"/{_GEMINI}streamGenerateContent"),
    Format(
        "bedrock_converse", "bedrock", f"/model/{_CLAUDE}/converse",
        {"messages": [{"role": "user", "content": [{"text": "TEXT"}]}]}, {}, f"/model/{_CLAUDE}/converse-stream",
    ),
    Format(
        "bedrock_invoke", "bedrock", f"/model/{_CLAUDE}/invoke",
        _CLAUDE_BODY, {}, f"/model/{_CLAUDE}/invoke-with-response-stream",
    ),
    Format("cohere_chat", "cohere", "/v2/chat", _openai("command-a-03-2025"), _STREAM),
    Format("ollama_chat", "ollama", "/api/chat", {**_openai("llama3.2"), "stream": False}, _STREAM),
    Format("ollama_generate", "ollama", "/api/generate", {"model": "llama3.2", "prompt": "TEXT", "stream": False}, _STREAM),
)  # fmt: skip
PROVIDER_OF = {known.name: known.provider for known in FORMATS}


@dataclass(frozen=True, slots=True)
class Call:
    """One call; expected is what the provider answers to it, byte for byte."""

    format: str
    step: str
    url: str
    body: bytes
    expected: bytes


def calls(bases: Mapping[str, str]) -> Iterator[Call]:
    """Yield the calls. bases: what replaces the provider's own beginning of a path, such as https://api.openai.com/v1/."""
    for known in FORMATS:
        for step, text in (("plain", "Hello"), ("stream", "Hello"), ("cut", CUT), ("attack", ATTACK)):
            if step not in STREAMED or known.stream is not None:
                yield _call(known, step, text, bases[known.provider])


def _call(known: Format, step: str, text: str, base: str) -> Call:
    path = known.stream_path or known.path if step in STREAMED else known.path
    more = (known.stream or {}) if step in STREAMED else {}
    body = json.dumps({**known.body, **more}).replace('"TEXT"', json.dumps(text)).encode()
    parts = urlsplit(path)
    expected = b"".join(answer_to("POST", parts.path, parts.query, body).parts)
    return Call(known.name, step, base + path.removeprefix(_PREFIXES.get(known.provider, "/")), body, expected)


# What of the provider's paths stands in base URLs already.
_PREFIXES = {"openai": "/v1/", "openrouter": "/api/v1/"}


def file_of(made: Iterator[Call]) -> str:
    """Return the text of the file that client programs read."""
    return "".join(f"{call.format}\t{call.step}\t{call.url}\t{call.body.decode()}\n" for call in made)
