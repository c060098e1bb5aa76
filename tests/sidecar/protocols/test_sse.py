"""Server-sent events from bytes split anywhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.protocols.sse import MAX_EVENT_BYTES, EventReader


def read(*chunks: bytes) -> list[bytes]:
    reader = EventReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [*events, *reader.finish()]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data:one\n\n", [b"one"]),
        (b"data:  two spaces\n\n", [b" two spaces"]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b": comment\n\ndata: one\n\n: keep-alive\n\n", [b"one"]),
        (b"event: message\nid: 7\nretry: 100\ndata: one\n\n", [b"one"]),
        (b"data: no last blank line", [b"no last blank line"]),
        (b"data: no last blank line\r\n", [b"no last blank line"]),
        (b"\n\n\n", []),
        (b"", []),
        (b"data\n\n", []),
        (b"data:\n\n", [b""]),
        ("data: é\n\n".encode(), ["é".encode()]),
    ],
)
def test_events_are_read_however_they_are_split(data: bytes, events: list[bytes]) -> None:
    assert read(data) == events
    for cut in range(len(data)):
        assert read(data[:cut], data[cut:]) == events
    assert read(*(data[i : i + 1] for i in range(len(data)))) == events


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_read_the_same_however_they_are_split(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert read(*(data[a:b] for a, b in pairwise(places))) == read(data)


@pytest.mark.parametrize("line", [b"x", b"data: x\n"], ids=["one endless line", "endless lines"])
def test_event_without_end_is_given_up_and_counted(line: bytes) -> None:
    reader = EventReader()
    fed = 0
    while not reader.overflowed:
        chunk = line * (65_536 // len(line))
        assert reader.feed(chunk) == []
        fed += len(chunk)
        assert fed < 2 * MAX_EVENT_BYTES
    assert 0 < reader.overflowed <= fed
