"""AWS event streams: binary messages with headers and checksums, as Bedrock streams its answers.

In: chunks of a body. Out: Frames; their raw bytes, put together, are the bytes that came. Frame.data is the event's JSON; of an
InvokeModel chunk it is the model's own event, which comes as base64 inside.
Never: trusts a message whose checksum is wrong: it goes on as a frame that is lost. After a wrong prelude nobody knows where the
next message begins, and all that follows is lost.
Source: AWS "Event stream encoding" (Amazon Transcribe and smithy.io, vnd.amazon.eventstream), read 2026-11.
"""

import base64
import binascii
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from sidecar.protocols.frames import MAX_FRAME_BYTES, Frame

_PRELUDE = struct.Struct(">III")  # length of all, length of the headers, checksum of these eight bytes
_CRC = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CRC.size
_STRING = 7  # the type of a header's value that is text
# How many bytes a header's value of each other type takes (0 and 1 are the booleans); 6 and 7 tell their own length.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_CHUNK = "chunk"  # the event that holds {"bytes": base64} (Bedrock API reference, ResponseStream)


class AwsFrames:
    """The messages of vnd.amazon.eventstream."""

    __slots__ = ("_blind", "_rest", "_skip")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skip = 0
        self._blind = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the messages that this chunk completes. Bounds: linear; at most MAX_FRAME_BYTES are held."""
        self._rest += chunk
        frames: list[Frame] = []
        position = 0
        while (size := self._size(position)) > 0:
            raw = bytes(self._rest[position : position + size])
            frames.append(self._frame(raw))
            position += size
        del self._rest[:position]
        return frames

    def _size(self, position: int) -> int:
        """Return how many bytes the next frame has, 0 while it is not there yet."""
        ready = len(self._rest) - position
        if self._blind:
            return ready
        if self._skip:
            return min(ready, self._skip)
        if ready < _PRELUDE.size:
            return 0
        size, headers, crc = _PRELUDE.unpack_from(self._rest, position)
        sane = zlib.crc32(self._rest[position : position + 8]) == crc and size >= _OVERHEAD + headers
        if not sane:
            self._blind = True
        elif size > MAX_FRAME_BYTES:
            self._skip = size
        return self._size(position) if self._blind or self._skip else (size if ready >= size else 0)

    def _frame(self, raw: bytes) -> Frame:
        if self._blind or self._skip:
            self._skip = max(0, self._skip - len(raw))
            return Frame(raw, lost=True)
        if zlib.crc32(raw[: -_CRC.size]) != _CRC.unpack_from(raw, len(raw) - _CRC.size)[0]:
            return Frame(raw, lost=True)
        payload = _payload(raw)
        inner = _inner(raw)
        return Frame(raw, inner if inner is not None else payload or None)

    def finish(self) -> list[Frame]:
        """Return what there is of a message that was cut off: nobody can read it."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [Frame(rest, lost=True)] if rest else []

    def with_data(self, frame: Frame, data: bytes) -> bytes:
        """Return the message with other data, and with the lengths and checksums that go with it."""
        headers = _headers_of(frame.raw)
        if _inner(frame.raw) is None:
            return _message(headers, data)
        around = msgspec.json.decode(_payload(frame.raw))
        return _message(headers, msgspec.json.encode({**around, "bytes": base64.b64encode(data).decode()}))

    def like(self, frame: Frame, data: bytes) -> bytes:
        """Return a further message of the same event."""
        return self.with_data(frame, data)

    def closing(self, events: Sequence[tuple[str, bytes]], *, begun: bool) -> bytes:  # noqa: ARG002 - the shape of all
        """Return an exception per event: SDKs raise at the first."""
        return b"".join(exception(name, data) for name, data in events)


def _headers_of(raw: bytes) -> bytes:
    return raw[_PRELUDE.size : _PRELUDE.size + _PRELUDE.unpack_from(raw)[1]]


def _payload(raw: bytes) -> bytes:
    return raw[_PRELUDE.size + _PRELUDE.unpack_from(raw)[1] : -_CRC.size]


def _inner(raw: bytes) -> bytes | None:
    """Return the model's own event inside a chunk, None for anything else."""
    if headers(_headers_of(raw)).get(":event-type") != _CHUNK:
        return None
    try:
        around: Any = msgspec.json.decode(_payload(raw))
        text = around["bytes"] if isinstance(around, dict) and isinstance(around.get("bytes"), str) else None
        return None if text is None else base64.b64decode(text, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error, ValueError):
        return None


def headers(data: bytes) -> dict[str, str]:
    """Return the headers that are text; what follows one of an unknown type is left unread."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        name, kind = data[at + 1 : end].decode("utf-8", "replace"), data[end] if end < len(data) else -1
        at = end + 1
        if kind in (6, _STRING) and at + 2 <= len(data):
            size = int.from_bytes(data[at : at + 2])
            if kind == _STRING:
                found[name] = data[at + 2 : at + 2 + size].decode("utf-8", "replace")
            at += 2 + size
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            break
    return found


def event(name: str, data: bytes) -> bytes:
    """Return a message that holds an event."""
    return _message(
        _written({":event-type": name, ":content-type": "application/json", ":message-type": "event"}), data
    )


def exception(name: str, data: bytes) -> bytes:
    """Return a message that ends a stream with an exception."""
    told = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return _message(_written(told), data)


def _written(told: dict[str, str]) -> bytes:
    return b"".join(
        bytes((len(name), *name.encode(), _STRING)) + len(value).to_bytes(2) + value.encode()
        for name, value in told.items()
    )


def _message(headers_: bytes, payload: bytes) -> bytes:
    lengths = struct.pack(">II", _OVERHEAD + len(headers_) + len(payload), len(headers_))
    body = lengths + _CRC.pack(zlib.crc32(lengths)) + headers_ + payload
    return body + _CRC.pack(zlib.crc32(body))
