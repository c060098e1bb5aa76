"""The hold window of a streamed answer: no frame leaves before its texts have been judged.

In: frames with what they say, as reading.Reader gives them; a look, which judges a text. Out: the frames that may leave; a Hit
when what has come must not go on.

    text of one channel   ├──────── has left ────────┤·········· held ·········┤─── new ───┤
    a look sees                              ├─ N ───┼──── HOLD = WINDOW - N ──┼───────────┤

Every STEP characters of a text a look sees the new ones with the WINDOW before them. What has left is never more than N characters
(the policy's leak_budget) into that sight, so that of whatever a look finds at most N characters have left: by construction, for
every text (content, reasoning, tool calls), every format and every way the bytes are split. The price is that what needs more
than WINDOW characters to be recognised is seen by nobody until the whole answer is looked at for its record.
A text that pauses while HOLD characters of others come is judged as it stands: reasoning must not hold up the answer behind it.
Never: changes a frame, or lets one overtake another.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from sidecar.protocols.frames import Frame
from sidecar.protocols.reading import DONE, Seen
from sidecar.protocols.wire import Piece
from sidecar.types import Assessment, FailureKind, InspectionFailed, Segment, Surface

# A place of scoring is 600 characters (scoring.NEAR); the longest pattern of a pack reaches over some 300.
WINDOW = 512
# A look costs about as much for 64 new characters (16 tokens) as for one: its sight is WINDOW wide.
STEP = 64
# Where a look's sight begins inside a word, it begins behind that word, if it is no longer than this.
_WORD = 32

_LOST = InspectionFailed(FailureKind.TOO_LARGE, "an event of the answer is larger than any of its kind")

Look = Callable[[Segment], Assessment | InspectionFailed]


@dataclass(frozen=True, slots=True)
class Hit:
    """Why an answer ends here. leaked is how many characters of what was found had left, at most the budget.

    unread: a part of it is no text, and the policy refuses what cannot be read.
    """

    assessment: Assessment
    failure: InspectionFailed | None = None
    leaked: int = 0
    unread: bool = False


@dataclass(slots=True)
class _Text:
    """One text as it comes. tail begins at offset start; offsets count the text's characters."""

    surface: Surface
    start: int = 0
    tail: str = ""
    judged: int = 0
    left: int = 0
    grown_at: int = 0
    digest: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    @property
    def end(self) -> int:
        return self.start + len(self.tail)


@dataclass(frozen=True, slots=True)
class _Held:
    frame: Frame
    marks: tuple[tuple[_Text, int], ...]


class Gate:
    """Holds one answer. budget is in characters; refuses says whether what a look saw must not go on; strict: nor no text."""

    __slots__ = ("_budget", "_held", "_hold", "_look", "_refuses", "_strict", "_texts", "_total", "begun", "hit")

    def __init__(self, look: Look, budget: int, refuses: Callable[[Assessment], bool], *, strict: bool = False) -> None:
        self._look = look
        self._budget = min(budget, WINDOW)
        self._hold = WINDOW - self._budget
        self._refuses = refuses
        self._strict = strict
        self._texts: dict[Hashable, _Text] = {}
        self._held: deque[_Held] = deque()
        self._total = 0
        self.begun = False
        self.hit: Hit | None = None

    def take(self, seen: Iterable[Seen], *, over: bool) -> list[Frame]:
        """Return the frames that may leave now; over says that the answer has come to its end. After a hit nothing leaves.

        Bounds: a look per text and STEP characters; what is held is at most what came since HOLD characters ago.
        """
        for item in seen:
            marks = tuple(self._grown(piece) for piece in _pieces(item) if piece.text)
            self._held.append(_Held(item.frame, marks))
            if item.frame.lost and self.hit is None:
                self.hit = Hit(Assessment(), _LOST)
            if self._strict and self.hit is None and item.delta is not None and item.delta.unscanned:
                self.hit = Hit(Assessment(), unread=True)
        for text in tuple(self._texts.values()):
            if self.hit is None and (text.end - text.judged >= STEP or (over and text.end > text.judged)):
                self.hit = self._judge(text)
        leaving = list(self._leaving(over)) if self.hit is None else []
        self.begun = self.begun or bool(leaving)
        if self.hit is not None:
            self._held.clear()
        return leaving

    def _grown(self, piece: Piece) -> tuple[_Text, int]:
        """Add a piece to its text; one that only says a text once more adds nothing."""
        key: Hashable = (piece.surface, piece.channel)
        text = self._texts.setdefault(key, _Text(piece.surface))
        data = piece.text.encode("utf-8", "surrogatepass")
        if piece.whole:
            digest = hashlib.blake2b(data, digest_size=16).digest()
            if digest == text.digest.digest():
                return text, text.end
            text = self._texts.setdefault((key, digest), _Text(piece.surface))
            if text.end:  # said before
                return text, text.end
        text.digest.update(data)
        text.tail += piece.text
        self._total += len(piece.text)
        text.grown_at = self._total
        return text, text.end

    def _judge(self, text: _Text) -> Hit | None:
        """Look at what is new of a text, with as much before it as the budget allows."""
        begin = max(text.start, text.judged - WINDOW, text.left - self._budget)
        sight = _from_a_word(text.tail, begin - text.start)
        begin = text.end - len(sight)
        verdict = self._look(Segment(sight, text.surface))
        if isinstance(verdict, InspectionFailed):
            return Hit(Assessment(), verdict)
        if self._refuses(verdict):
            starts = (threat.finding.span.start for threat in verdict.threats if threat.score > 0)
            return Hit(verdict, None, max(0, text.left - begin - min(starts, default=0)))
        text.judged = text.end
        kept = max(text.start, text.judged - WINDOW)
        text.tail, text.start = text.tail[kept - text.start :], kept
        return None

    def _leaving(self, over: bool) -> Iterator[Frame]:
        while self._held and (over or all(self._may_leave(text, end) for text, end in self._held[0].marks)):
            held = self._held.popleft()
            for text, end in held.marks:
                text.left = max(text.left, end)
            yield held.frame

    def _may_leave(self, text: _Text, end: int) -> bool:
        quiet = self._total - text.grown_at >= max(self._hold, STEP)
        return text.judged - end >= self._hold or (quiet and self._calm(text, end))

    def _calm(self, text: _Text, end: int) -> bool:
        """Judge what a text that pauses ends with; what it says later is looked at with what has left of it."""
        if text.judged < end:
            self.hit = self.hit or self._judge(text)
        return self.hit is None


def _pieces(item: Seen) -> tuple[Piece, ...]:
    """Return what a frame says; words that its format does not know are text like any other."""
    if item.delta is not None:
        return item.delta.pieces
    data = (item.frame.data or b"").strip()
    return (Piece(Surface.OUTPUT, data.decode("utf-8", "replace"), "unread"),) if data not in (b"", DONE) else ()


def _from_a_word(tail: str, at: int) -> str:
    """Return a text from a place on, or from behind the word that the place stands in."""
    if at > 0 and tail[at - 1].isalnum() and tail[at].isalnum():
        for step in range(1, _WORD):
            if at + step < len(tail) and not tail[at + step].isalnum():
                return tail[at + step :]
    return tail[at:]
