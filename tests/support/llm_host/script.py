"""What the provider says to a request, before any format: words, thoughts, a tool call.

In: the request's JSON. Out: a Script. The last text of the request decides:
* `please-echo WORDS` says WORDS, in pieces of three characters; otherwise GREETING in four pieces.
* `please-join` with it leaves every ~ out, so that an answer may hold what its request did not.
* `please-call` calls the first tool that was offered, with ARGUMENTS.
* `please-think` thinks THOUGHT first.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

GREETING = ("Hel", "lo ", "— ", "you.")
THOUGHT = ("Somebody ", "greets me.")
ARGUMENTS = {"city": "Paris", "days": 3}
INPUT_TOKENS = 11
OUTPUT_TOKENS = 7
CACHED_TOKENS = 4
REASONING_TOKENS = 3

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Script:
    """What is said; tool is the name of the called tool, empty for none."""

    words: tuple[str, ...]
    thoughts: tuple[str, ...] = ()
    tool: str = ""

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def thought(self) -> str:
        return "".join(self.thoughts)

    @property
    def arguments(self) -> tuple[str, str]:
        """The arguments of the tool call as JSON, in two pieces."""
        whole = json.dumps(ARGUMENTS)
        return whole[:9], whole[9:]


def script_for(asked: Body) -> Script:
    """Return what the provider says to a request."""
    text = last_text(asked)
    thoughts = THOUGHT if "please-think" in text else ()
    tool = next(_tool_names(asked), "") if "please-call" in text else ""
    if tool:
        return Script((), thoughts, tool)
    _, echo, said = text.partition("please-echo ")
    said = said.replace("~", "") if "please-join" in text else said
    words = tuple(said[i : i + 3] for i in range(0, len(said), 3)) if echo else GREETING
    return Script(words, thoughts)


def last_text(asked: Body) -> str:
    """Return the text of the last message, in whichever format."""
    for name in ("messages", "contents", "input", "inputText", "prompt", "message"):
        if name in asked:
            return _text(asked[name])
    return ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _text(value[-1]) if value else ""
    if isinstance(value, dict):
        return next((_text(value[name]) for name in ("content", "parts", "text", "output") if name in value), "")
    return ""


def _tool_names(asked: Body) -> Iterator[str]:
    """Yield the names of offered tools: OpenAI's and Cohere's, Anthropic's, Gemini's, Bedrock's."""
    tools = asked.get("tools") or asked.get("toolConfig", {}).get("tools") or []
    for tool in tools:
        declared = tool.get("functionDeclarations") or [tool.get("function") or tool.get("toolSpec") or tool]
        yield from (one["name"] for one in declared if "name" in one)
