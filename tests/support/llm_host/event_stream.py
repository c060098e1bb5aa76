"""AWS event-stream framing: messages of named headers and a payload, each with two checksums.

Source: AWS Smithy, "Amazon Event Stream" specification: 4 bytes total length, 4 bytes headers' length, CRC-32 of these eight,
headers, payload, CRC-32 of everything before; all numbers big-endian; header type 7 is a text with a length of two bytes.
"""

import struct
import zlib
from collections.abc import Mapping

_STRING = 7


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one message."""
    named = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 12 + len(named) + len(payload) + 4, len(named))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + named + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(name: str, payload: bytes) -> bytes:
    """Return a message that is an event with a JSON payload."""
    return frame({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, payload)


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return bytes([len(key)]) + key + bytes([_STRING]) + struct.pack(">H", len(text)) + text
