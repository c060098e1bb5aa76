"""The frames that a streamed answer comes in, read from bytes that may be split anywhere: SSE events, JSON lines, the elements of
a JSON array.

In: chunks of a body. Out: Frames; their raw bytes, put together, are the bytes that came.
Never: interprets what a frame says, or drops a byte. A frame that grows beyond MAX_FRAME_BYTES is given up: its bytes go on as
frames that are lost, and whoever needs to know what they say must say that nobody does.
Source: WHATWG HTML 9.2.6 (event stream interpretation); RFC 8259; jsonlines.org; read 2026-11.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

# One event larger than this is no event of an LLM API.
MAX_FRAME_BYTES = 4 * 1024 * 1024

# Two line ends. Each is taken whole (no backtracking into a \r of \r\n), else every \r\n would be two.
_EVENT_END = re.compile(rb"(?:(?>\r\n|\r|\n)){2}")
_STRUCTURE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came. data is what it carries, None where it carries nothing (a comment, a blank line)."""

    raw: bytes
    data: bytes | None = None
    lost: bool = False


class Framing(Protocol):
    """Splits a stream, and writes frames."""

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that this chunk completes, in order."""

    def finish(self) -> list[Frame]:
        """Return what an end of stream completes: some servers leave the last delimiter away."""

    def with_data(self, frame: Frame, data: bytes) -> bytes:
        """Return a frame's bytes with other data; everything around it stays."""

    def like(self, frame: Frame, data: bytes) -> bytes:
        """Return a further frame of the same kind with other data."""

    def closing(self, events: Sequence[tuple[str, bytes]], *, begun: bool) -> bytes:
        """Return the bytes that end a stream with these (name, data); begun says that frames of it have left."""


class SseFrames:
    """Server-sent events."""

    __slots__ = ("_at", "_first", "_losing", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._at = 0
        self._first = True
        self._losing = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the events that this chunk completes. Bounds: linear in the chunk plus what one open event holds."""
        self._rest += chunk
        frames: list[Frame] = []
        position = 0
        while mark := _EVENT_END.search(self._rest, max(position, self._at)):
            frames.append(self._frame(bytes(self._rest[position : mark.end()])))
            position = mark.end()
            self._losing = False
        del self._rest[:position]
        self._at = max(0, len(self._rest) - 3)
        if len(self._rest) > MAX_FRAME_BYTES or (self._losing and self._rest):
            frames.append(self._give_up())
        return frames

    def _give_up(self) -> Frame:
        """Let go of all but the last bytes, which may be half of an event's end."""
        self._losing = True
        kept = len(self._rest) - self._at
        frame = Frame(bytes(self._rest[: self._at]), lost=True)
        del self._rest[: self._at]
        self._at = max(0, kept - 3)
        return frame

    def finish(self) -> list[Frame]:
        """Return the event whose last blank line is missing."""
        rest, self._rest = bytes(self._rest), bytearray()
        self._at = 0
        return [self._frame(rest)] if rest else []

    def _frame(self, raw: bytes) -> Frame:
        if self._losing:
            return Frame(raw, lost=True)
        body = raw.removeprefix(codecs.BOM_UTF8) if self._first else raw
        self._first = False
        lines = [_value(line) for line in body.splitlines() if line.startswith(b"data:")]
        return Frame(raw, b"\n".join(lines) if lines else None)

    def with_data(self, frame: Frame, data: bytes) -> bytes:
        """Return the event with other data, on one line, in the place of its first data line."""
        lines = frame.raw.splitlines(keepends=True)
        first = next(number for number, line in enumerate(lines) if _bare(line).startswith(b"data:"))
        ending = lines[first][len(lines[first].rstrip(b"\r\n")) :] or b"\n"
        mark = lines[first][: len(lines[first]) - len(_bare(lines[first]))]
        kept = [line for line in lines[first + 1 :] if not line.startswith(b"data:")]
        written = mark + b"data: " + b" ".join(data.splitlines()) + ending
        return b"".join((*lines[:first], written, *kept))

    def like(self, frame: Frame, data: bytes) -> bytes:
        """Return an event of the same name."""
        lines = (_bare(line) for line in frame.raw.splitlines(keepends=True))
        return next((line for line in lines if line.startswith(b"event:")), b"") + b"data: " + data + b"\n\n"

    def closing(self, events: Sequence[tuple[str, bytes]], *, begun: bool) -> bytes:  # noqa: ARG002 - the shape of all
        """Return the events, each whole."""
        return b"".join((f"event: {name}\n".encode() if name else b"") + b"data: " + d + b"\n\n" for name, d in events)


def _value(line: bytes) -> bytes:
    return line[6:] if line[5:6] == b" " else line[5:]


def _bare(line: bytes) -> bytes:
    return line.removeprefix(codecs.BOM_UTF8)


class LineFrames:
    """JSON lines. A value that is whole is a frame before its line ends: an answer may be one value and nothing else."""

    __slots__ = ("_losing", "_rest", "_tries")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._losing = False
        self._tries = 0

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the lines that this chunk completes. Bounds: linear; a line is tried for wholeness four times at most."""
        begun = len(self._rest)
        self._rest += chunk
        frames: list[Frame] = []
        position = 0
        while (end := self._rest.find(b"\n", max(position, begun)) + 1) > 0:
            frames.append(self._frame(bytes(self._rest[position:end])))
            position, self._losing, self._tries = end, False, 0
        del self._rest[:position]
        if self._whole() or self._losing or len(self._rest) > MAX_FRAME_BYTES:
            self._losing = self._losing or len(self._rest) > MAX_FRAME_BYTES
            frames += self.finish()
        return frames

    def _whole(self) -> bool:
        if not self._rest.endswith(b"}") or self._tries >= _TRIES:
            return False
        self._tries += 1
        try:
            msgspec.json.decode(self._rest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return True

    def finish(self) -> list[Frame]:
        """Return the line whose end is missing."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [self._frame(rest)] if rest else []

    def _frame(self, raw: bytes) -> Frame:
        return Frame(raw, lost=True) if self._losing else Frame(raw, raw.strip() or None)

    def with_data(self, frame: Frame, data: bytes) -> bytes:
        """Return the line with another value."""
        return data + frame.raw[len(frame.raw.rstrip()) :]

    def like(self, frame: Frame, data: bytes) -> bytes:  # noqa: ARG002 - the shape of all
        """Return a line."""
        return data + b"\n"

    def closing(self, events: Sequence[tuple[str, bytes]], *, begun: bool) -> bytes:  # noqa: ARG002 - the shape of all
        """Return a line per event."""
        return b"".join(data + b"\n" for _, data in events)


class ArrayFrames:
    """The objects of a JSON array, each with what stands before it; what follows the last is a frame without data."""

    __slots__ = ("_at", "_depth", "_inside", "_losing", "_rest", "_start")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._at = self._depth = 0
        self._inside = self._losing = False
        self._start = -1

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the elements that this chunk completes. Bounds: linear, every byte is looked at once."""
        self._rest += chunk
        frames: list[Frame] = []
        while (end := self._element()) is not None:
            frames.append(self._cut(end))
        if len(self._rest) > MAX_FRAME_BYTES or (self._losing and self._rest):
            self._losing = True
            frames.append(self._cut(len(self._rest)))
        return frames

    def _element(self) -> int | None:
        """Walk on; return where an object of the array ends, or the array itself."""
        while mark := (_IN_STRING if self._inside else _STRUCTURE).search(self._rest, self._at):
            self._at = mark.end()
            char = mark[0]
            if self._inside:
                self._inside = char != b'"'
                self._at += char == b"\\"
            elif char == b'"':
                self._inside = True
            elif char in (b"{", b"["):
                self._depth += 1
                if self._depth == 2 and char == b"{":
                    self._start = mark.start()
            else:
                self._depth -= 1
                if self._depth <= 0 or (self._depth == 1 and (self._start >= 0 or self._losing)):
                    return self._at
        self._at = max(self._at, len(self._rest))
        return None

    def _cut(self, end: int) -> Frame:
        raw = bytes(self._rest[:end])
        del self._rest[:end]
        data = raw[self._start :] if self._start >= 0 else None
        frame = Frame(raw, lost=True) if self._losing else Frame(raw, data)
        self._at, self._start = max(0, self._at - end), -1
        self._losing = self._losing and self._depth > 1
        return frame

    def finish(self) -> list[Frame]:
        """Return what stands behind the last element, or of one that was cut off."""
        rest, self._rest = bytes(self._rest), bytearray()
        cut_off = self._start >= 0
        return [Frame(rest, lost=cut_off)] if rest else []

    def with_data(self, frame: Frame, data: bytes) -> bytes:
        """Return the element with another object."""
        return frame.raw[: len(frame.raw) - len(frame.data or b"")] + data

    def like(self, frame: Frame, data: bytes) -> bytes:  # noqa: ARG002 - the shape of all
        """Return a further element; it never comes first, because it is like one that came before."""
        return b"," + data

    def closing(self, events: Sequence[tuple[str, bytes]], *, begun: bool) -> bytes:
        """Return the events as the array's last elements, and its end."""
        return (b"," if begun else b"[") + b",".join(data for _, data in events) + b"]"
