"""Values of any shape for the readers of wire formats, and streams replayed at every split point."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from sidecar.protocols.json_body import MalformedBody
from sidecar.protocols.reading import Reader
from sidecar.protocols.wire import Refused, WireFormat
from sidecar.types import LlmMessage, LlmReply, Segment, Surface

LONG = "a long text to be scanned"
REFUSED = Refused(
    403,
    "permission_denied",
    "douane_denied",
    "Refused by Douane.",
    {"decision_id": "0199-dec", "risk_score": 17.5, "risk_level": "critical", "threats": ["jailbreak"]},
)


def values(keys: Sequence[str], words: Sequence[str]) -> st.SearchStrategy[Any]:
    """Return JSON values that hold a format's keys and words in the wrong places."""
    scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
    names = st.sampled_from((*keys, "x", "a key longer than any"))
    return st.recursive(
        scalars | st.sampled_from((*words, LONG, "data:image/png;base64,QQ==", "QUJDREVGR0hJSktMTU5P")),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
        max_leaves=25,
    )


def strings(value: Any) -> list[str]:
    """Return every string of a value, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *strings(inner))]
    return [text for inner in value for text in strings(inner)] if isinstance(value, list) else []


def assert_nothing_is_lost(read: Callable[[Any], LlmMessage], body: Any, scanned_beside: Sequence[str] = ()) -> None:
    """A body is malformed, or each of its long strings is scanned, counted as unscanned, or among those told beside."""
    try:
        found = read(body)
    except MalformedBody:
        return
    expected = [text for text in strings(body) if len(text) > 12]
    long = [s.text for s in found.segments if len(s.text) > 12]
    assert len(long) + len(found.unscanned) + len([t for t in scanned_beside if len(t) > 12]) >= len(expected)


def said(message: LlmMessage) -> list[tuple[str, Surface, int, str]]:
    """Return the segments of a message as plain values."""
    return [(s.text, s.surface, s.message_index, s.path) for s in message.segments]


def at(body: Any, segment: Segment) -> Any:
    """Return what stands in a body at a segment's place."""
    for step in segment.path.split("/")[1:]:
        body = body[int(step)] if isinstance(body, list) else body[step.replace("~1", "/").replace("~0", "~")]
    return body


def reply(wire: WireFormat, *chunks: bytes) -> LlmReply:
    """Return what a reader makes of an answer that comes in these chunks."""
    reader = Reader(wire)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


def assert_reads_the_same_split_anywhere(wire: WireFormat, data: bytes, expected: LlmReply) -> None:
    """An answer reads the same in one chunk, cut in two at every byte, and byte by byte."""
    assert reply(wire, data) == expected
    for cut in range(len(data)):
        assert reply(wire, data[:cut], data[cut:]) == expected
    for size in (1, 7):
        assert reply(wire, *(data[i : i + size] for i in range(0, len(data), size))) == expected


def sse(*events: dict[str, Any], named: bool = False) -> bytes:
    """Return events as server-sent ones; named ones tell their type twice."""
    return b"".join(
        (f"event: {event['type']}\n".encode() if named else b"") + b"data: " + json.dumps(event).encode() + b"\n\n"
        for event in events
    )
