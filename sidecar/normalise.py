"""The readings of a text that a model would take in but a pattern would not: one folded view beside the text as sent.

In: a Segment. Out: Views whose origin leads every code point back to the source, so that evidence and redaction hit
the original. Folding: per character NFKC, case folding, combining marks and invisible characters dropped, tag
characters decoded; then per word look-alike letters and leetspeak; then s p a c e d letters joined, blanks collapsed.
Origins are worked out only when somebody asks for a span: ordinary text never pays for them.
Never: guesses about meaning, I/O, or a length that grows by more than NFKC's 18-fold.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import overload

import numpy as np
import re2

from sidecar.confusables import GROUPS
from sidecar.types import Segment, View

AS_SENT = "as_sent"
FOLDED = "folded"

# Scripts whose marks are accents. In others (й, Devanagari, kana) marks make letters and stay.
_ACCENTED = ("LATIN", "GREEK")
# Dropped though not in category Cf: fillers that no screen shows, and the stroke that stretches Arabic words.
_INVISIBLE = frozenset("\u0640\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
_TAGS = range(0xE0020, 0xE007F)
_FOLDS_HELD = 40_000
_CUTS_MAX = 50_000
NEWS_MAX = 2_000  # places; beyond, looking at each costs more than looking at all
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_LOOK_ALIKE = {ord(char): latin for latin, chars in GROUPS.items() for char in chars}
_CLASS = "".join(GROUPS.values())
_WORD = re.compile(r"[^\W\d_]+")
# Only these make a whole word of another script read as Latin: drawn alike in every font.
_TWINS = "аеорсухіѕјһԁѵԛԝοαντρυικχӏ"
_SUSPECT = re2.compile(rf"[a-z][{_CLASS}]|[{_CLASS}][a-z]|(?:^|[^\pL_])[{_TWINS}]{{3,}}(?:[^\pL_]|$)".encode())
_LEET = str.maketrans("0134567@$!+|89€£", "oieasgtasitlbgel")
_LEET_TOKEN_MAX = 24
_TOKEN = re.compile(r"[a-z0-9@$!+|€£']{3,25}")
# A run of single letters: the separator inside words is one character, between words blanks.
_SPACED_RUN = re.compile(r"\w(?:(?:[._*|/~\-·•+ ]|[ \t]{2,8})\w(?!\w)){4,}")
_SEPARATOR = re.compile(r"(?<=\w)[._*|/~\-·•+ ](?=\w)")

# What makes folding go beyond single characters. Each starts at a token's start, so that base64 costs nothing.
_EDGE = r"(?:^|[^a-z0-9@$!+|/=_-])"
_LEET_SHAPE = rf"{_EDGE}(?:[a-z]{{0,12}}[013456789@$!+|€£]{{1,2}}[a-z]|[a-z]{{1,12}}[013457@$]{{1,2}}(?:[^a-z0-9]|$))"
_SPACED_SHAPE = r"(?:^|[^0-9A-Za-z_])\pL(?:[ ._*|/~+·•-]{1,3}\pL){4}(?:[^0-9A-Za-z_]|$)"
_BLANK_SHAPE = r"[^\s] {20,}[^\s]|\s{40,}"
# Once asked for, leetspeak is read wherever it may be; it is asked for by words that no unit, ordinal or version is.
_LEET_SIGN = rf"{_EDGE}(?:[a-z]{{1,12}}[013456789@$!+|€£]{{1,2}}[a-z]|[013457@$!+|]{{1,2}}[a-z]{{1,4}}[013457@$!+|])"
_SHAPES = (_LEET_SIGN, _SPACED_SHAPE, _BLANK_SHAPE)
_LEET_AT, _SPACED_AT, _BLANKS_AT = (
    re2.compile(rf"(?i:{shape})") for shape in (_LEET_SHAPE, _SPACED_SHAPE, r"[^\S\n]{2,}|\s{3,}")
)


def _compile() -> re2.Set:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    shapes = re2.Set.SearchSet(options)
    for shape in _SHAPES:
        shapes.Add(shape)
    shapes.Compile()
    return shapes


_SET = _compile()


class Origin(Sequence[int]):
    """Where each code point of a folded text came from; computed on first use, then kept.

    Shape: len() is known at once; values do not decrease.
    Bounds: linear, once; a race between threads computes the same list twice.
    """

    __slots__ = ("_cuts", "_length", "_list", "_source")

    def __init__(self, source: str, cuts: tuple[tuple[int, int], ...], length: int) -> None:
        """source is the text as sent; cuts are the spans that joining removed from its folded characters."""
        self._source, self._cuts, self._length = source, cuts, length
        self._list: list[int] | None = None

    def __len__(self) -> int:
        """Return the length of the folded text."""
        return self._length

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        """Return the source index of a folded code point."""
        if self._list is None:
            self._list = self._compute()
        return self._list[index]

    def _compute(self) -> list[int]:
        text = self._source
        full = (
            list(range(len(text)))
            if text.isascii()
            else [index for index, char in enumerate(text) for _ in _FOLD[ord(char)]]
        )
        if not self._cuts:
            return full
        kept: list[int] = []
        position = 0
        for start, end in self._cuts:
            kept += full[position:start]
            position = end
        return kept + full[position:]


class _Folds(dict[int, str]):
    """Code point to its folded characters, filled as characters are met, capped so that no text can fill memory."""

    def __missing__(self, code: int) -> str:
        folded = _fold_char(chr(code))
        if len(self) < _FOLDS_HELD:
            self[code] = folded
        return folded


def _fold_char(char: str) -> str:
    """Return what a character folds to: case-folded NFKC without accents, "" for what nobody sees."""
    code = ord(char)
    if code in _TAGS:
        return chr(code - 0xE0000).lower()
    category = unicodedata.category(char)
    if category == "Cs":
        return char
    if category == "Cf" or char in _INVISIBLE or 0xFE00 <= code <= 0xFE0F or 0xE0000 <= code <= 0xE01EF:
        return ""
    if 0x300 <= code <= 0x36F or 0x1AB0 <= code <= 0x1AFF or 0x20D0 <= code <= 0x20FF or 0x64B <= code <= 0x652:
        return ""
    if 0x1F1E6 <= code <= 0x1F1FF:
        return chr(code - 0x1F1E6 + 97)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
    return "".join(map(_bare, folded))


def _bare(char: str) -> str:
    """Return a character of an accented script without its accents, any other as it is."""
    if char.isascii():
        return char
    if 0x300 <= ord(char) <= 0x36F:
        return ""
    if unicodedata.name(char, "").startswith(_ACCENTED):
        return "".join(c for c in unicodedata.normalize("NFD", char) if unicodedata.category(c) != "Mn")
    return char.replace("\u00a0", " ")


_FOLD = _Folds()


def views(segment: Segment) -> tuple[View, ...]:
    """Return the readings of a segment that detectors should see.

    Shape: first the text as sent (origin a range), then at most one folded reading, when it says something new.
    Units: origins are code-point offsets into segment.text.
    Bounds: linear; plain ASCII costs one scan of about 2 µs per KB.
    Raises: nothing; lone surrogates are kept as they are.
    Source: Unicode UAX #15 (NFKC), UTS #39 (confusables); see tests/sidecar/test_normalise.py.
    """
    text = segment.text
    sent = View(AS_SENT, text, range(len(text)), segment.surface)
    if text.isascii() and not _SET.Match(text):
        return (sent,)
    folded, cuts, whole = _fold(text)
    if folded == text.lower():
        return (sent,)
    sent = View(AS_SENT, text, range(len(text)), segment.surface, folded_follows=True)
    news = _news(text, whole, cuts)
    return (sent, View(FOLDED, folded, Origin(text, cuts, len(folded)), segment.surface, news=news))


def _news(text: str, whole: str, cuts: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...] | None:
    """Return where a folded text (whole, before the cuts) differs from the one as sent; None for more than NEWS_MAX places."""
    found: list[tuple[int, int]] = []
    longer = 0
    for match in _BEYOND_ASCII.finditer(text):  # all of them: what stands behind many unchanged ones is news too
        char, place = match[0], match.start() + longer
        read = _FOLD[ord(char)]
        longer += len(read) - 1
        if read != char.lower():
            found.append((place, place + max(1, len(read))))
            if len(found) > NEWS_MAX:
                return None
    by_character = text.lower() if text.isascii() else text.translate(_FOLD)
    if len(cuts) > NEWS_MAX or len(by_character) != len(whole):
        return None
    pair = (np.frombuffer(one.encode("utf-32-le", "surrogatepass"), np.uint32) for one in (by_character, whole))
    places = np.flatnonzero(np.not_equal(*pair))
    if len(places) > NEWS_MAX:
        return None
    found = sorted([*found, *((place, place + 1) for place in places.tolist()), *cuts])
    return _joined(_behind(cuts, found) if cuts else found)


def _behind(cuts: Sequence[tuple[int, int]], ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield ascending ranges as they stand once the cuts are made; a cut becomes the two characters it joined."""
    ends = [end for _, end in cuts]
    removed = [0, *accumulate(end - start for start, end in cuts)]
    for start, end in ranges:
        before = removed[bisect_right(ends, start)]
        yield max(0, start - before - 1), end - removed[bisect_right(ends, end)] + 1


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ascending ranges with those that touch made one."""
    found: list[tuple[int, int]] = []
    for start, end in ranges:
        if found and start <= found[-1][1]:
            start, end = found[-1][0], max(end, found.pop()[1])
        found.append((start, end))
    return tuple(found)


def readable(text: str) -> str:
    """Return the text with lone surrogates replaced by U+FFFD, its length kept: re2 reads UTF-8 only."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def fold(text: str) -> str:
    """Return the folded reading of a text. Folding a folded text changes nothing that matters to a pattern."""
    return _fold(text)[0]


def _fold(text: str) -> tuple[str, tuple[tuple[int, int], ...], str]:
    """Return the folded text, the spans that joining cut from it, and it before they were cut."""
    folded = text.lower() if text.isascii() else text.translate(_FOLD)
    if not folded.isascii() and _SUSPECT.search(folded.encode("utf-8", "surrogatepass")):
        folded = _WORD.sub(_latinise, folded)
    steps = _SET.Match(folded.encode("utf-8", "surrogatepass")) or ()
    if 0 in steps:
        folded = _unleet(folded)
    cuts = _cuts(folded) if 1 in steps or 2 in steps else ()
    if not cuts:
        return folded, (), folded
    pieces, position = [], 0
    for start, end in cuts:
        pieces.append(folded[position:start])
        position = end
    pieces.append(folded[position:])
    return "".join(pieces), cuts, folded


def _latinise(match: re.Match[str]) -> str:
    """Read a word as Latin when it mixes scripts or consists of look-alikes only; honest Russian stays Russian."""
    word = match[0]
    if word.isascii():
        return word
    if any("a" <= char <= "z" for char in word) or (len(word) > 2 and not word.strip(_TWINS)):
        return word.translate(_LOOK_ALIKE)
    return word


def _unleet(text: str) -> str:
    """Read digits and signs inside words as the letters they resemble; every length is kept."""
    pieces, position = list[str](), 0
    for hit in islice(_LEET_AT.finditer(readable(text)), _CUTS_MAX):
        token = _TOKEN.search(text, hit.start(), hit.start() + _LEET_TOKEN_MAX + 2)
        if token is None or token.start() < position or len(token[0]) > _LEET_TOKEN_MAX:
            continue
        word = token[0].rstrip("!")
        pieces += (text[position : token.start()], word.translate(_LEET))
        position = token.start() + len(word)
    return "".join(pieces) + text[position:]


def _cuts(text: str) -> tuple[tuple[int, int], ...]:
    """Return the spans to remove: separators inside s.p.a.c.e.d words, and all but one of a run of blanks."""
    cuts: list[tuple[int, int]] = []
    plain = readable(text)
    position = 0
    for hit in _SPACED_AT.finditer(plain):
        start = hit.start() if text[hit.start()].isalpha() else hit.start() + 1
        run = _SPACED_RUN.match(text, start) if start >= position else None
        if run is None:
            continue
        position = run.end()
        cuts += [(m.start(), m.end()) for m in islice(_SEPARATOR.finditer(text, run.start(), run.end()), _CUTS_MAX)]
        if len(cuts) >= _CUTS_MAX:
            break
    cuts += [(m.start(), m.end() - 1) for m in islice(_BLANKS_AT.finditer(plain), _CUTS_MAX)]
    cuts.sort()
    return tuple(cuts)
