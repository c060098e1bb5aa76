"""Answers of a made-up format in every framing: what the reader does is the same for all protocols."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.protocols import openai_errors
from sidecar.protocols.frames import MAX_FRAME_BYTES, ArrayFrames, Framing, LineFrames
from sidecar.protocols.reading import MAX_CHARS, Reader, merged
from sidecar.protocols.wire import Delta, Piece
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage


@dataclass(frozen=True)
class Toy:
    """{"say": text, "to": channel, "end": bool} per event; {"said": text} when it comes whole."""

    FRAMING: Callable[[], Framing] | None = None
    NAME: str = "toy"

    def matches(self, head: Head) -> bool:
        return True

    def read_request(self, data: bytes, head: Head) -> LlmMessage:
        return LlmMessage("toy", ())

    def read_reply(self, body: Any) -> LlmReply:
        return LlmReply((Segment(body["said"], Surface.OUTPUT),))

    def read_event(self, event: Mapping[str, Any]) -> Delta:
        pieces = []
        if "say" in event:
            pieces.append(Piece(Surface.OUTPUT, event["say"], event.get("to", 0), event.get("whole", False)))
        return Delta(tuple(pieces), done=event.get("end", False), calls=tuple(event.get("calls", ())))

    refusal = staticmethod(openai_errors.refusal)
    stream_refusal = staticmethod(openai_errors.stream_refusal)


EVENTS = ({"say": "one "}, {"say": "other", "to": 1}, {"say": "two"}, {"end": True})
EXPECTED = LlmReply((Segment("one two", Surface.OUTPUT), Segment("other", Surface.OUTPUT)))


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def read(wire: Toy, *chunks: bytes) -> LlmReply:
    reader = Reader(wire)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        (Toy(), sse(*EVENTS)),
        (Toy(LineFrames), b"\n".join(json.dumps(event).encode() for event in EVENTS)),
        (Toy(LineFrames), sse(*EVENTS)),
        (Toy(ArrayFrames), json.dumps(EVENTS, indent=1).encode()),
    ],
    ids=["events", "lines", "events where lines are usual", "array"],
)
def test_a_stream_reads_the_same_split_at_every_byte(wire: Toy, data: bytes) -> None:
    assert read(wire, data) == EXPECTED
    for cut in range(len(data)):
        reader = Reader(wire)
        seen = [*reader.feed(data[:cut]), *reader.feed(data[cut:], end=True)]
        assert b"".join(item.frame.raw for item in seen) == data
        assert (reader.finish(), reader.complete) == (EXPECTED, True)


@pytest.mark.parametrize("framing", [None, ArrayFrames])
def test_what_comes_whole_is_read_whole(framing: Callable[[], Framing] | None) -> None:
    data = b'\n{"said": "all of it"}'
    for cut in range(len(data)):
        assert read(Toy(framing), data[:cut], data[cut:]) == LlmReply((Segment("all of it", Surface.OUTPUT),))


def test_an_error_page_is_text() -> None:
    assert read(Toy(ArrayFrames), b"<html>no</html>") == LlmReply((Segment("<html>no</html>", Surface.OUTPUT),))


def test_a_text_said_again_counts_only_where_it_differs() -> None:
    again = {"say": "one two", "whole": True}
    assert read(Toy(), sse(*EVENTS, again)) == EXPECTED
    others = ({**again, "say": text} for text in ("something else", "a third", "something else"))
    told = [segment.text for segment in read(Toy(), sse(*EVENTS, *others)).segments]
    assert told == ["one two", "other", "something else", "a third"]


def test_calls_are_counted_once() -> None:
    assert read(Toy(), sse({"calls": ["a"]}, {"calls": ["a", "b"]})).tool_calls == 2


def test_a_frame_that_is_lost_is_counted() -> None:
    data = b"data: " + b"x" * (MAX_FRAME_BYTES + 10) + b"\n\n"
    found = read(Toy(), data[:-5], data[-5:])
    assert found.unscanned == (Unscanned(UnscannedReason.LIMIT, len(data)),)


def test_text_beyond_the_limit_is_counted() -> None:
    found = read(Toy(), sse({"say": "x" * MAX_CHARS}, {"say": "yz"}))
    assert (len(found.segments[0].text), found.unscanned) == (MAX_CHARS, (Unscanned(UnscannedReason.LIMIT, 2),))


def test_bytes_held_back_at_the_start_come_with_the_end() -> None:
    reader = Reader(Toy())
    assert reader.feed(b"da") == []
    assert b"".join(item.frame.raw for item in reader.feed(b"", end=True)) == b"da"


def test_usage_told_in_parts_is_one() -> None:
    assert merged(Usage(3, None), Usage(None, 4)) == Usage(3, 4)
    assert merged(Usage(3, 1), Usage(3, 9)) == Usage(3, 9)
    assert (merged(None, None), merged(None, Usage(1)), merged(Usage(1), None)) == (None, Usage(1), Usage(1))
