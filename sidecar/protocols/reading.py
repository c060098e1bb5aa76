"""Reads one answer of any wire format as it comes: whole JSON, a stream of frames, or text.

In: chunks of a body, a WireFormat. Out: what each frame says, as it comes; at the end one LlmReply.
Told by the first bytes: SSE fields begin a stream in every format; otherwise the format's own framing, where it has one and what
comes looks like it; otherwise the answer is whole. complete turns True with the bytes that end the answer.
Bounds: MAX_CHARS characters of text and MAX_JSON_BYTES of a body that comes whole are kept; what is beyond is counted.
"""

import codecs
from collections.abc import Hashable
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from sidecar.protocols import text_body
from sidecar.protocols.frames import ArrayFrames, Frame, Framing, LineFrames, SseFrames
from sidecar.protocols.json_body import MalformedBody, load
from sidecar.protocols.wire import Delta, Piece, WireFormat
from sidecar.types import LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage

MAX_CHARS = 256 * 1024  # of text kept for scanning, per answer
MAX_JSON_BYTES = 8 * 1024 * 1024

# The fields of an event stream, comments included. Whatever begins otherwise came whole: JSON, or a proxy's error page.
_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_TRIES = 4
DONE = b"[DONE]"  # how OpenAI and all that follow it end a stream


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame and what it says; None where it says nothing we understand."""

    frame: Frame
    delta: Delta | None = None


class AnswerReader(Protocol):
    """Reads one answer piece by piece. complete is True once the bytes fed so far end it."""

    complete: bool
    framing: Framing | None

    def feed(self, chunk: bytes, *, end: bool = False) -> list[Seen]: ...

    def finish(self) -> LlmReply: ...


class Reader:
    """Reads one answer. framing is what its stream is split by, None until that is known, and for what comes whole."""

    __slots__ = ("_body", "_dropped", "_gathered", "_parsed", "_tries", "_whole", "_wire", "complete", "framing")

    def __init__(self, wire: WireFormat) -> None:
        self._wire = wire
        self.framing: Framing | None = None
        self.complete = False
        self._body = bytearray()
        self._whole = False
        self._dropped = 0
        self._tries = 0
        self._parsed: LlmReply | None = None
        self._gathered = Gathered()

    def feed(self, chunk: bytes, *, end: bool = False) -> list[Seen]:
        """Return the frames that this chunk completes, with what they say; end completes the last.

        Shape: the frames' raw bytes, put together, are the bytes fed; a body that comes whole is a frame per chunk.
        """
        if self.framing is None and not self._whole:
            chunk = self._begun(chunk, end)
        if self.framing is None:
            if not self._whole or not chunk:
                return []
            self._grow(chunk)
            return [Seen(Frame(chunk))]
        frames = self.framing.feed(chunk)
        if end:
            frames += self.framing.finish()
        return [self._see(frame) for frame in frames]

    def _begun(self, chunk: bytes, end: bool) -> bytes:
        """Return what to read once the first bytes tell how the answer is framed; hold them back until then."""
        self._body += chunk
        start = bytes(self._body).removeprefix(codecs.BOM_UTF8).lstrip()
        if start.startswith(_EVENT_FIELDS):
            self.framing = SseFrames()
        elif (start and not any(known.startswith(start) for known in (*_EVENT_FIELDS, codecs.BOM_UTF8))) or end:
            self.framing = self._own(start)
            self._whole = self.framing is None
        if not self._whole and self.framing is None:
            return b""
        begun = bytes(self._body)
        self._body.clear()
        return begun

    def _own(self, start: bytes) -> Framing | None:
        """Return the format's own framing, unless what came is none of it: an error is one object in most formats."""
        framing = self._wire.FRAMING() if self._wire.FRAMING is not None else None
        if isinstance(framing, LineFrames):
            return framing if start[:1] == b"{" else None
        if isinstance(framing, ArrayFrames):
            return framing if start[:1] == b"[" else None
        return framing if start[:1] == b"\0" else None  # AWS: the length of a message, which is never 16 MiB and more

    def _see(self, frame: Frame) -> Seen:
        data = frame.data
        if frame.lost:
            self._gathered.lost += len(frame.raw)
            return Seen(frame)
        if data is None or not data.strip():
            return Seen(frame)
        if data.strip() == DONE:
            self.complete = True
            return Seen(frame)
        try:
            event = load(data)
        except MalformedBody:
            event = None
        if not isinstance(event, dict):
            self._gathered.unread += len(data)
            return Seen(frame)
        delta = self._wire.read_event(event)
        self._gathered.take(delta)
        self.complete = self.complete or delta.done
        return Seen(frame, delta)

    def finish(self) -> LlmReply:
        """Return what was read, whether or not the answer came to its end."""
        if self._parsed is not None:
            return self._parsed
        if self.framing is not None:
            for frame in self.framing.finish():
                self._see(frame)
            return self._gathered.reply()
        self._parse()
        return self._parsed or text_body.read_reply(bytes(self._body), self._dropped)

    def _grow(self, chunk: bytes) -> None:
        room = MAX_JSON_BYTES - len(self._body)
        self._body += chunk[:room]
        self._dropped += max(0, len(chunk) - room)
        # A whole JSON value ends the answer even when the end of stream comes in a message of its own: the record must be
        # written before these bytes are released. A few tries keep a body cut at unlucky places linear.
        if chunk.rstrip()[-1:] in (b"}", b"]") and self._tries < _TRIES and not self._dropped:
            self._tries += 1
            self._parse()

    def _parse(self) -> None:
        try:
            body = load(bytes(self._body).removeprefix(codecs.BOM_UTF8))
        except MalformedBody:
            return
        self._parsed = self._wire.read_reply(body)
        self.complete = True


class Gathered:
    """What the events of a streamed answer add up to."""

    __slots__ = ("_calls", "_chars", "_delta", "_dropped", "_texts", "_unscanned", "lost", "unread")

    def __init__(self) -> None:
        self._texts: dict[tuple[Surface, Hashable], list[str]] = {}
        self._chars = self._dropped = 0
        self._delta = Delta()
        self._calls: set[Hashable] = set()
        self._unscanned: list[Unscanned] = []
        self.lost = 0
        self.unread = 0

    def take(self, delta: Delta) -> None:
        """Add what an event says."""
        known = self._delta
        self._delta = replace(
            known,
            model=known.model or delta.model,
            finish=delta.finish or known.finish,
            usage=merged(known.usage, delta.usage),
            refusal=known.refusal or delta.refusal,
        )
        self._calls.update(delta.calls)
        self._unscanned += delta.unscanned
        for piece in delta.pieces:
            self._add(piece)

    def _add(self, piece: Piece) -> None:
        key = (piece.surface, piece.channel)
        if piece.whole:
            if piece.text == "".join(self._texts.get(key, ())):
                return
            key = (piece.surface, (piece.channel, hash(piece.text)))
            if key in self._texts:
                return
        room = max(0, MAX_CHARS - self._chars)
        self._dropped += max(0, len(piece.text) - room)
        self._texts.setdefault(key, []).append(piece.text[:room])
        self._chars += min(len(piece.text), room)

    def reply(self) -> LlmReply:
        """Return the answer as one reply, a segment per text."""
        unscanned = list(self._unscanned)
        if self._dropped or self.lost:
            unscanned.append(Unscanned(UnscannedReason.LIMIT, self._dropped + self.lost))
        if self.unread:
            unscanned.append(Unscanned(UnscannedReason.FAILURE, self.unread))
        return LlmReply(
            segments=tuple(Segment("".join(parts), surface) for (surface, _), parts in self._texts.items()),
            model=self._delta.model,
            finish_reason=self._delta.finish,
            usage=self._delta.usage,
            tool_calls=len(self._calls),
            refusal=self._delta.refusal,
            unscanned=tuple(unscanned),
        )


def merged(known: Usage | None, news: Usage | None) -> Usage | None:
    """Return the tokens counted so far: of each number the last that was told. Some formats tell them in several events."""
    if known is None or news is None:
        return news or known
    told: dict[str, Any] = {f.name: getattr(news, f.name) for f in fields(news) if getattr(news, f.name) is not None}
    return replace(known, **told)
