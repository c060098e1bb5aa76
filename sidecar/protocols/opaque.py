"""Any body we have no reader for: every string in it is scanned as if a user had said it.

In: bytes. Out: LlmMessage, LlmReply. It matches everything, so it stands last in PROTOCOLS.
JSON bodies are read leaf by leaf, whatever they are declared as: many providers ignore the content type, and in the text of a
JSON body an attack could hide behind escapes. Other text is one segment; what is not text is counted as unscanned.
"""

import codecs

from sidecar.protocols.json_body import MalformedBody, leaves, load
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason

NAME = "opaque"
_JSON_LINES = ("ndjson", "jsonl", "json-lines", "jsonlines")


def matches(head: Head) -> bool:  # noqa: ARG001 - the shape of every protocol's matches
    """Return True: whatever nobody else reads is read here."""
    return True


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the message of a body.

    Raises: MalformedBody when the body is declared as JSON and is not.
    """
    segments, unscanned = _read(data, head.headers.get("content-type", ""))
    return LlmMessage(protocol=NAME, segments=segments, unscanned=unscanned)


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
    return _text(data)


def _text(data: bytes, *, cut: bool = False) -> tuple[tuple[Segment, ...], tuple[Unscanned, ...]]:
    """A form is text like any other; bytes that are no UTF-8 are not scanned. cut says that a character may be cut at the end."""
    try:
        return (Segment(codecs.getincrementaldecoder("utf-8")().decode(data, final=not cut), Surface.USER),), ()
    except UnicodeDecodeError:
        return (), (Unscanned(UnscannedReason.BINARY, len(data)),)


class Reader:
    """Keeps the first MAX_BYTES of an answer and scans them as text."""

    MAX_BYTES = 256 * 1024
    __slots__ = ("_kept", "_seen", "complete")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._seen = 0
        self.complete = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the answer."""
        self._seen += len(chunk)
        if len(self._kept) < self.MAX_BYTES:
            self._kept += chunk[: self.MAX_BYTES - len(self._kept)]

    def finish(self) -> LlmReply:
        """Return what was read."""
        return read_response(bytes(self._kept), self._seen - len(self._kept))


def read_response(data: bytes, dropped: int = 0) -> LlmReply:
    """Return the reply in a body of which dropped further bytes were not kept."""
    limit = (Unscanned(UnscannedReason.LIMIT, dropped),) if dropped else ()
    try:
        found = tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(load(data)))
        return LlmReply(segments=found, unscanned=limit)
    except MalformedBody:
        segments, unscanned = _text(data, cut=bool(dropped))
    return LlmReply(
        segments=tuple(Segment(s.text, Surface.OUTPUT) for s in segments if s.text), unscanned=(*unscanned, *limit)
    )


def reader() -> Reader:
    """Return a reader for one answer."""
    return Reader()
