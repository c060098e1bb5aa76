"""Any body we have no reader for: every string in it is scanned as if a user had said it.

In: bytes. Out: LlmMessage, LlmReply. It matches everything, so it stands last in PROTOCOLS.
JSON bodies are read leaf by leaf, whatever they are declared as: many providers ignore the content type, and in the text of a
JSON body an attack could hide behind escapes. Uploads are read part by part, batch files line by line. Other text is one segment;
what is not text is counted as unscanned.
"""

import codecs
from collections.abc import Mapping
from typing import Any

from sidecar.protocols import openai_errors
from sidecar.protocols.json_body import MalformedBody, leaves, load
from sidecar.protocols.multipart import Part, is_multipart, parts
from sidecar.protocols.text_body import read_text
from sidecar.protocols.wire import Delta, Piece
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned

NAME = "opaque"
FRAMING = None
_JSON_LINES = ("ndjson", "jsonl", "json-lines", "jsonlines")


def matches(head: Head) -> bool:  # noqa: ARG001 - the shape of every protocol's matches
    """Return True: whatever nobody else reads is read here."""
    return True


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the message of a body.

    Raises: MalformedBody when the body is declared as JSON and is not, or has too many parts.
    """
    kind = head.headers.get("content-type", "")
    if is_multipart(kind) and (found := parts(data, kind)):
        read = [_read_part(part, number) for number, part in enumerate(found)]
        segments = tuple(segment for listed, _ in read for segment in listed)
        return LlmMessage(NAME, segments, unscanned=tuple(item for _, listed in read for item in listed))
    segments, unscanned = _read(data, kind)
    return LlmMessage(protocol=NAME, segments=segments, unscanned=unscanned)


def _read_part(part: Part, number: int) -> tuple[list[Segment], tuple[Unscanned, ...]]:
    """Read a part's head and body. A part that only looks like JSON may be anything: then it is text."""
    try:
        segments, unscanned = _read_lines(part.data) or _read(part.data, "")
    except MalformedBody:
        segments, unscanned = read_text(part.data, Surface.USER)
    placed = [Segment(s.text, s.surface, number, s.path and f"/{number}{s.path}") for s in segments]
    head = [Segment(part.head, Surface.USER, number)] if part.head else []
    return [*head, *placed], unscanned


def _read_lines(data: bytes) -> "tuple[tuple[Segment, ...], tuple[Unscanned, ...]] | None":
    """Return the strings of JSON lines, as batch files are; None for anything else."""
    lines = [line for line in data.splitlines() if line.strip()]
    if len(lines) < 2 or not all(line.lstrip()[:1] == b"{" for line in lines):
        return None
    try:
        values = [load(line) for line in lines]
    except MalformedBody:
        return None
    found = ((number, path, text) for number, value in enumerate(values) for path, text in leaves(value))
    return tuple(Segment(text, Surface.USER, number, f"/{number}{path}") for number, path, text in found), ()


def _read(data: bytes, content_type: str) -> tuple[tuple[Segment, ...], tuple[Unscanned, ...]]:
    if not data:
        return (), ()
    body = data.removeprefix(codecs.BOM_UTF8)
    looks_like = body.lstrip()[:1] in (b"{", b"[")
    kind = content_type.lower()
    if any(name in kind for name in _JSON_LINES):
        values = enumerate(load(line) for line in body.splitlines() if line.strip())
        return tuple(
            Segment(t, Surface.USER, number, path) for number, value in values for path, t in leaves(value)
        ), ()
    declared = "json" in kind or (looks_like and not content_type)
    if declared or looks_like:
        try:
            return tuple(Segment(text, Surface.USER, -1, path) for path, text in leaves(load(body))), ()
        except MalformedBody:
            if declared:
                raise
    return read_text(data, Surface.USER)


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole: every string in it."""
    return LlmReply(segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body)))


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return every string of an event; those that stand in the same place of several events are one text."""
    return Delta(tuple(Piece(Surface.OUTPUT, text, path) for path, text in leaves(event)))


refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
