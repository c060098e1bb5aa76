"""Frames from bytes split anywhere: nothing is lost, whatever comes."""

import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.protocols.frames import MAX_FRAME_BYTES, ArrayFrames, Frame, Framing, LineFrames, SseFrames

FRAMINGS = (SseFrames, LineFrames, ArrayFrames)


def read(framing: Framing, *chunks: bytes) -> list[Frame]:
    frames = [frame for chunk in chunks for frame in framing.feed(chunk)]
    return [*frames, *framing.finish()]


def data(framing: Framing, *chunks: bytes) -> list[bytes]:
    return [frame.data for frame in read(framing, *chunks) if frame.data is not None]


def every_split(make: Callable[[], Framing], whole: bytes, expected: list[bytes]) -> None:
    assert data(make(), whole) == expected
    for cut in range(len(whole)):
        assert data(make(), whole[:cut], whole[cut:]) == expected
    assert data(make(), *(whole[i : i + 1] for i in range(len(whole)))) == expected


@pytest.mark.parametrize(
    ("whole", "events"),
    [
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data:one\n\n", [b"one"]),
        (b"data:  two spaces\n\n", [b" two spaces"]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
        (b"data: one\r\rdata: two\r\r", [b"one", b"two"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b": comment\n\ndata: one\n\n: keep-alive\n\n", [b"one"]),
        (b"event: message\nid: 7\nretry: 100\ndata: one\n\n", [b"one"]),
        (b"data: no last blank line", [b"no last blank line"]),
        (b"data: no last blank line\r\n", [b"no last blank line"]),
        (b"\xef\xbb\xbfdata: one\n\n", [b"one"]),
        (b"\n\n\n", []),
        (b"", []),
        (b"data\n\n", []),
        (b"data:\n\n", [b""]),
        ("data: é\n\n".encode(), ["é".encode()]),
    ],
)
def test_events_are_read_however_they_are_split(whole: bytes, events: list[bytes]) -> None:
    every_split(SseFrames, whole, events)


@pytest.mark.parametrize(
    ("whole", "lines"),
    [
        (b'{"a": 1}\n{"b": "}"}\n', [b'{"a": 1}', b'{"b": "}"}']),
        (b'{"a": 1}\r\n\n{"b": 2}', [b'{"a": 1}', b'{"b": 2}']),
        (b'{"a": {"b": 1}}', [b'{"a": {"b": 1}}']),
    ],
)
def test_lines_are_read_however_they_are_split(whole: bytes, lines: list[bytes]) -> None:
    every_split(LineFrames, whole, lines)


def test_a_value_that_is_whole_is_a_line_before_its_end() -> None:
    assert [frame.data for frame in LineFrames().feed(b'{"done": true}')] == [b'{"done": true}']


@pytest.mark.parametrize(
    ("whole", "elements"),
    [
        (b'[{"a": 1},{"b": [{"c": "]}"}]}]', [b'{"a": 1}', b'{"b": [{"c": "]}"}]}']),
        (b'[\n {"a": "\\"{"}\r\n,\r\n{"b": {}}\n]\n', [b'{"a": "\\"{"}', b'{"b": {}}']),
        (b"[]", []),
        (b"[1, [2], {}]", [b"{}"]),
    ],
)
def test_elements_are_read_however_they_are_split(whole: bytes, elements: list[bytes]) -> None:
    every_split(ArrayFrames, whole, elements)


def test_an_element_that_is_cut_off_is_lost_and_not_read() -> None:
    (frame,) = read(ArrayFrames(), b'[{"a": 1')
    assert frame == Frame(b'[{"a": 1', lost=True)


@pytest.mark.parametrize("make", FRAMINGS)
@given(st.binary(max_size=300) | st.text('{}[]"\\,\n\r:data ', max_size=80).map(str.encode), st.data())
def test_no_byte_is_lost_however_it_is_split(make: type[Framing], whole: bytes, drawn: st.DataObject) -> None:
    cuts = drawn.draw(st.lists(st.integers(0, len(whole)), max_size=6).map(sorted))
    places = [0, *cuts, len(whole)]
    frames = read(make(), *(whole[a:b] for a, b in pairwise(places)))
    assert b"".join(frame.raw for frame in frames) == whole


@pytest.mark.parametrize(
    ("make", "begin", "more", "end"),
    [
        (SseFrames, b"", b"x", b"\n\n"),
        (SseFrames, b"", b"data: x\n", b"\n"),
        (LineFrames, b"", b"x", b"\n"),
        (ArrayFrames, b'[{"a": "', b"x", b'"}'),
    ],
)
def test_a_frame_without_end_is_given_up_and_the_next_is_read(
    make: type[Framing], begin: bytes, more: bytes, end: bytes
) -> None:
    framing = make()
    frames = framing.feed(begin)
    for _ in range(2 * MAX_FRAME_BYTES // 65_536):
        frames += framing.feed(more * (65_536 // len(more)))
    frames += framing.feed(end)
    assert all(frame.lost for frame in frames)
    assert len(frames) > 1
    following = {SseFrames: b"data: {}\n\n", LineFrames: b"{}\n", ArrayFrames: b", {}"}[make]
    assert [frame.data for frame in framing.feed(following)] == [b"{}"]


@pytest.mark.parametrize(
    ("make", "raw", "expected"),
    [
        (SseFrames, b'event: x\r\ndata: {"a":\r\ndata: 1}\r\nid: 7\r\n\r\n', b"event: x\r\ndata: {}\r\nid: 7\r\n\r\n"),
        (SseFrames, b"\xef\xbb\xbfdata: 1\n\n", b"\xef\xbb\xbfdata: {}\n\n"),
        (LineFrames, b'{"a": 1}\r\n', b"{}\r\n"),
        (ArrayFrames, b' ,\n{"a": 1}', b" ,\n{}"),
    ],
)
def test_a_frame_is_written_with_other_data(make: type[Framing], raw: bytes, expected: bytes) -> None:
    framing = make()
    if make is ArrayFrames:
        framing.feed(b"[{}")
    (frame,) = read(framing, raw)
    assert framing.with_data(frame, b"{}") == expected


@pytest.mark.parametrize("begun", [True, False])
def test_an_array_is_closed(begun: bool) -> None:
    framing = ArrayFrames()
    sent = b"".join(frame.raw for frame in framing.feed(b'[{"a": 1}')) if begun else b""
    assert json.loads(sent + framing.closing([("", b'{"error": 1}')], begun=begun))[-1] == {"error": 1}


def test_events_and_lines_are_closed() -> None:
    assert SseFrames().closing([("error", b"{}"), ("", b"[DONE]")], begun=True) == (
        b"event: error\ndata: {}\n\ndata: [DONE]\n\n"
    )
    assert LineFrames().closing([("", b"{}")], begun=False) == b"{}\n"
