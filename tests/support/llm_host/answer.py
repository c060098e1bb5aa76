"""An answer of the provider: one body, or the pieces of a stream."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.llm_host.script import Body

JSON = "application/json"
SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its path without the query, the query, and its body (JSON where it is JSON)."""

    path: str
    query: Mapping[str, str]
    body: Body
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One part is a whole answer; several are a stream, each sent by itself."""

    parts: tuple[bytes, ...]
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Route = tuple["re.Pattern[str]", Callable[[Asked], Answer]]


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def whole(value: Any, status: int = 200) -> Answer:
    return Answer((dumps(value),), status=status)


def sse(events: Iterable[Mapping[str, Any] | str], *, named: bool = False, end: str = "\n\n") -> Answer:
    """Return a stream of events; named puts each one's `type` into its event field; a text is sent as it stands."""
    return Answer(tuple(_event(event, named, end) for event in events), SSE)


def _event(event: Mapping[str, Any] | str, named: bool, end: str) -> bytes:
    if isinstance(event, str):
        return event.encode()
    name = f"event: {event['type']}\n".encode() if named else b""
    return name + b"data: " + dumps(event) + end.encode()
