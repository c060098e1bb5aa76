"""JSON lines in, JSON lines out, in the same order.

In: lines `{"id": …, "text": "…", "surface": "user"}`, id and surface optional. Out: one line each; what cannot be read is
answered `{"id": …, "error": "…"}`, and the rest goes on. Blank lines are passed over.
Never: a line without its answer, an answer kept back for the next line, a line read without a bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import msgspec

from sidecar.scan.scanner import TEXT_BYTES_MAX, Scanner, as_json
from sidecar.types import RiskLevel, Surface

# JSON may write a character of one byte as six (\\u0041).
LINE_BYTES_MAX = 6 * TEXT_BYTES_MAX + 65536


class _Item(msgspec.Struct):
    """A line. Fields that we do not know are the caller's business."""

    text: str
    id: Any = None
    surface: Surface | None = None


# Beside its own errors msgspec lets these through: bytes that are not UTF-8, and nesting without end.
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_DECODER = msgspec.json.Decoder(_Item)


@dataclass(frozen=True, slots=True)
class Answer:
    """The line for a line. level is None when it could not be looked at."""

    data: bytes
    level: RiskLevel | None
    micros: int = 0


def read_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream, each as soon as it is there; of one longer than LINE_BYTES_MAX a head that is too long."""
    while line := stream.readline(LINE_BYTES_MAX + 1):
        if len(line) > LINE_BYTES_MAX:
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(1 << 20)
        if len(line) > LINE_BYTES_MAX or not line.isspace():
            yield line


def answer_line(line: bytes, scanner: Scanner, surface: Surface) -> Answer:
    """Return the answer to a line; surface is that of lines that name none."""
    if len(line) > LINE_BYTES_MAX:
        return _refused(None, f"the line is longer than {LINE_BYTES_MAX} bytes")
    try:
        item = _DECODER.decode(line)
    except _UNREADABLE as error:
        return _refused(_id_of(line), str(error))
    result = scanner.scan(item.id, item.text, item.surface or surface)
    level = None if result.failure else result.level
    return Answer(msgspec.json.encode(as_json(result)), level, result.micros)


def _refused(name: Any, error: str) -> Answer:
    return Answer(msgspec.json.encode({"id": name, "error": error}), None)


def _id_of(line: bytes) -> Any:
    """Return the id of a line that is JSON but not what we expect."""
    try:
        found = msgspec.json.decode(line)
    except _UNREADABLE:
        return None
    return found.get("id") if isinstance(found, dict) else None
