"""What every protocol's test needs: answers replayed at every split, and values of any type.

In: a wire format, bytes. Out: what its reader makes of them.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import strategies as st

from sidecar.protocols.json_body import MalformedBody
from sidecar.protocols.reading import Reader
from sidecar.protocols.wire import WireFormat
from sidecar.types import LlmMessage, LlmReply


def reply(wire: WireFormat, *chunks: bytes) -> LlmReply:
    """Return what a reader makes of an answer that comes in these chunks."""
    reader = Reader(wire)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


def sse(*events: Any, names: bool = False) -> bytes:
    """Return server-sent events; names has each carry its type as the event's name, as Anthropic and Responses do."""
    heads = (f"event: {event['type']}\n" if names else "" for event in events)
    return "".join(f"{head}data: {json.dumps(event)}\n\n" for head, event in zip(heads, events, strict=True)).encode()


def every_split(wire: WireFormat, data: bytes, expected: LlmReply) -> None:
    """Check that an answer reads the same merged, cut in two at every byte, and byte by byte; and that no byte is lost."""
    assert reply(wire, data) == expected
    for cut in range(len(data)):
        assert reply(wire, data[:cut], data[cut:]) == expected
    reader = Reader(wire)
    seen = [item for i in range(len(data)) for item in reader.feed(data[i : i + 1], end=i == len(data) - 1)]
    assert reader.finish() == expected
    assert b"".join(item.frame.raw for item in seen) == data


def anything(keys: Iterable[str]) -> st.SearchStrategy[Any]:
    """Return values of any type whose objects have these keys, and strings that a detector would want to see."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-5, 5)
        | st.sampled_from(("user", "text", "tool", "data:image/png;base64,QQ==", "a long text to be scanned")),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from((*keys, "a key longer than any")), inner, max_size=5)
        ),
        max_leaves=25,
    )


def long_strings(item: Any) -> list[str]:
    """Return every string of more than 12 characters in a value, keys included."""
    if isinstance(item, str):
        return [item] if len(item) > 12 else []
    if isinstance(item, dict):
        return [text for key, inner in item.items() for text in (*long_strings(key), *long_strings(inner))]
    return [text for inner in item for text in long_strings(inner)] if isinstance(item, list) else []


def nothing_is_lost(read: Callable[[bytes], LlmMessage], body: Any, but: Iterable[str] = ()) -> None:
    """Check that a request of any types is malformed, or that each long string in it is scanned or counted."""
    try:
        found = read(json.dumps(body).encode())
    except MalformedBody:
        return
    scanned = [segment.text for segment in found.segments if len(segment.text) > 12]
    wanted = long_strings(
        {key: value for key, value in body.items() if key not in but} if isinstance(body, dict) else body
    )
    assert len(scanned) + len(found.unscanned) >= len(wanted) - sum(found.model == text for text in wanted)


def any_answer_is_read(wire: WireFormat, value: Any) -> None:
    """Check that an answer of any types is read, whole and streamed."""
    data = json.dumps(value).encode()
    assert isinstance(reply(wire, data), LlmReply)
    assert isinstance(reply(wire, b"data: " + data + b"\n\n"), LlmReply)
