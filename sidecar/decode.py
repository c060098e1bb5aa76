"""The readings of encoded runs in a text: what a model would decode and a pattern would miss.

In: a Segment (views are made here, one call gives all readings). Out: Views of kind base64, hex, percent, entities,
escapes, rot13, reversed, and the kinds of ciphers.py; nested at most twice.
Every search starts with one set match over all encodings' shapes, so that prose pays a few microseconds.
Origins of base64 and hex are proportional (a decoded character points into its encoded run); the others are exact.
Never: decoding without a bound, binary content passed on as text, I/O.
"""

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import overload

import re2

from sidecar import ciphers
from sidecar.ciphers import Decoded, substitute
from sidecar.normalise import AS_SENT, readable, views
from sidecar.types import Segment, View

# Nothing is passed over for being one run too many: an attack would stand behind harmless ones. The first RUNS_MAX runs of
# a kind are readings of their own, all others together are one; what is decoded is never longer than what it came from.
RUNS_MAX = 8
DEPTH_MAX = 2
_RUN_HEAD = 64

_BASE64_RUN = re2.compile(r"[A-Za-z0-9+/_-]{20,}")
_HEX_RUN = re2.compile(r"(?:(?:\\x|0x)?[0-9A-Fa-f]{2}[ ,:]?){10,}")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});")
_ESCAPE = re.compile(r"\\u\{?([0-9A-Fa-f]{4,6})\}?|\\x([0-9A-Fa-f]{2})|\\U([0-9A-Fa-f]{8})")
_MEDIA = ("data:image/", "data:audio/", "data:video/", "data:font/", "data:application/")

# Words of an order, in rot13 and backwards: letters that no language puts in this order.
_ROT13 = (
    r"vtaber|vtabevat|vafgehpgvbaf?|thvqryvarf?|erfgevpgvbaf?|flfgrz cebzcg|cebzcgf?|qvfertneq|sbetrg|ohcnff|erirny"
    r"|erirnyvat|cnffjbeqf?|frpergf?|svygref|bireevqr|hapra?fberq|wnvyoernx|flfgrz|rguvpf"
)
_REVERSED = (
    r"erongi|gnirongi|snoitcurtsni|noitcurtsni|tpmorp|metsys|dragersid|tegrof|ssapyb|laever|senilediug|snoitcirtser"
    r"|drowssap|sterces|edirrevo|selur ruoy|kaerbliaj"
)
_SHAPES = (
    ("base64", r"[A-Za-z0-9+/]{20}|[A-Za-z0-9_-]{32}"),
    ("hex", r"(?:(?:\\x|0x)?[0-9a-f]{2}[ ,:]?){10}"),
    ("percent", r"%[0-9a-f]{2}.{0,20}%[0-9a-f]{2}.{0,20}%[0-9a-f]{2}"),
    ("entities", r"&(?:#\d{2}|#x[0-9a-f]{2}|[a-z]{2,8};)"),
    ("escapes", r"\\[ux]\{?[0-9a-f]{2}"),
    ("rot13", rf"\b(?:{_ROT13})\b"),
    ("reversed", rf"\b(?:{_REVERSED})\b"),
    *ciphers.SHAPES,
)


def _compile() -> re2.Set:
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = 16 << 20
    options.log_errors = False
    shapes = re2.Set.SearchSet(options)
    for _, pattern in _SHAPES:
        shapes.Add(pattern)
    shapes.Compile()
    return shapes


_SET = _compile()


@dataclass(frozen=True, slots=True)
class Spread(Sequence[int]):
    """Origin of a decoded run: length code points spread evenly over the source's [start, end)."""

    start: int
    end: int
    length: int

    def __len__(self) -> int:
        """Return the length of the decoded text."""
        return self.length

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        """Return the source index of a decoded code point."""
        if isinstance(index, slice):
            return [self._at(i) for i in range(*index.indices(self.length))]
        return self._at(range(self.length)[index])

    def _at(self, index: int) -> int:
        if index == self.length - 1:
            return self.end - 1
        return self.start + index * (self.end - self.start) // self.length


@dataclass(frozen=True, slots=True)
class Through(Sequence[int]):
    """Origin of a reading of a reading: inner points into a text whose own origin is outer."""

    inner: Sequence[int]
    outer: Sequence[int]

    def __len__(self) -> int:
        """Return the length of the innermost text."""
        return len(self.inner)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        """Return the source index of an innermost code point."""
        if isinstance(index, slice):
            return [self.outer[i] for i in self.inner[index]]
        return self.outer[self.inner[index]]


def readings(segment: Segment) -> tuple[View, ...]:
    """Return every reading of a segment that detectors should see: as sent, folded, then decoded ones.

    Shape: the text as sent comes first; each decoded view may be followed by its own folded view, and is decoded again.
    Bounds: linear; per view at most RUNS_MAX + 1 decoded views of a kind, DEPTH_MAX deep, none longer than the text.
    Raises: nothing.
    Source: the encodings garak's `encoding` probes and OWASP LLM01 (2025) name; bounds measured.
    """
    plain = views(segment)
    decoded = tuple(_decoded(plain[0]))
    return plain + decoded if decoded else plain


def _decoded(root: View) -> Iterator[View]:
    """Yield decoded views of a view, breadth first."""
    queue = [(root, 0)]
    seen = {_identity(root)}  # two encodings undone in either order are one reading
    while queue:
        view, depth = queue.pop(0)
        for found in _layer(view, RUNS_MAX if depth == 0 else 0):
            if _identity(found) in seen:
                continue
            seen.add(_identity(found))
            yield found
            folded = _folded(found)
            if folded:
                yield folded
            if depth + 1 < DEPTH_MAX:
                queue.append((found, depth + 1))


def _identity(view: View) -> tuple[str, int, int]:
    """Return what makes a reading: its text and where it stands. The same secret encoded twice is two readings."""
    return (view.text, view.origin[0], view.origin[-1]) if view.text else ("", 0, 0)


def _folded(view: View) -> View | None:
    """Return the folded reading of a decoded view when it says something new."""
    inner = views(Segment(view.text, view.surface))[1:]
    return View(view.kind, inner[0].text, Through(inner[0].origin, view.origin), view.surface) if inner else None


def _layer(view: View, runs_max: int) -> Iterator[View]:
    """Yield the views decoded directly from one view: runs_max of a kind alone, the others of that kind together."""
    hits = _SET.Match(view.text.encode("utf-8", "surrogatepass"))
    for index in sorted(hits or ()):
        kind = _SHAPES[index][0]
        runs = _DECODERS[kind](view.text, len(view.text))
        for text, origin in (*islice(runs, runs_max), *_together(runs)):
            outer = origin if view.kind == AS_SENT else Through(origin, view.origin)
            yield View(kind, text, outer, view.surface)


def _together(runs: Iterator[Decoded]) -> Iterator[Decoded]:
    """Yield the runs that are left as one reading, a blank line between them."""
    parts: list[str] = []
    origin: list[int] = []
    for text, places in runs:
        if parts:
            parts.append("\n\n")
            origin += (origin[-1], origin[-1])
        parts.append(text)
        origin.extend(places)
    if parts:
        yield "".join(parts), origin


def _base64(text: str, budget: int) -> Iterator[Decoded]:
    for run in _BASE64_RUN.finditer(readable(text)):
        body = run[0]
        if _looks_like_words(body) or _media(text, run.start()):
            continue
        for skip in (0, 1):
            decoded = _printable(_unbase64, body[skip:], budget)
            if decoded:
                yield decoded, Spread(run.start() + skip, run.end(), len(decoded))
                break


def _media(text: str, start: int) -> bool:
    """Tell whether the run at start is the content of a data URI that holds no text."""
    head = text[max(0, start - 80) : start].lower()
    return any(head.rfind(kind) > head.rfind(" ") for kind in _MEDIA)


def _looks_like_words(run: str) -> bool:
    """Tell whether a run is more likely a path, an identifier or a long word than base64 of text."""
    return run.islower() or run.isdigit() or run.isupper() or (run.isalpha() and run.title() == run)


def _unbase64(run: str) -> bytes:
    data = run.replace("-", "+").replace("_", "/")
    return base64.b64decode(data[: len(data) // 4 * 4] if len(data) % 4 == 1 else data + "=" * (-len(data) % 4))


def _hex(text: str, budget: int) -> Iterator[Decoded]:
    for run in _HEX_RUN.finditer(readable(text)):
        body = re.sub(r"\\x|0x|[ ,:]", "", run[0])
        decoded = _printable(bytes.fromhex, body, budget)
        if decoded:
            yield decoded, Spread(run.start(), run.end(), len(decoded))


def _printable(decode: Callable[[str], bytes], run: str, budget: int) -> str:
    """Return the text that a run decodes to, "" when it is binary, broken or too short to say anything."""
    try:
        if len(run) > 2 * _RUN_HEAD and not _texty(decode(run[:_RUN_HEAD]).decode("utf-8", "ignore")):
            return ""
        text = decode(run[: budget // 4 * 8]).decode("utf-8", "strict" if len(run) < 400 else "ignore")
    except (ValueError, binascii.Error):
        return ""
    return text[:budget] if _texty(text) else ""


def _texty(text: str) -> bool:
    """Tell whether decoded bytes are writing: long enough, printable, mostly letters and blanks."""
    if len(text) < 8:
        return False
    sample = text[:256]
    letters = sum(char.isalpha() or char in " \n" for char in sample)
    printable = sum(char.isprintable() or char in "\n\r\t" for char in sample)
    return letters * 10 >= len(sample) * 7 and printable >= len(sample) - 1


def _percent(text: str, budget: int) -> Iterator[Decoded]:
    return substitute(_PERCENT, text, _unpercent, budget)


def _unpercent(run: str) -> str:
    return bytes.fromhex(run.replace("%", "")).decode("utf-8", "replace")


def _entities(text: str, budget: int) -> Iterator[Decoded]:
    return substitute(_ENTITY, text, html.unescape, budget)


def _escapes(text: str, budget: int) -> Iterator[Decoded]:
    return substitute(_ESCAPE, text, _unescape, budget)


def _unescape(run: str) -> str:
    code = int(run.strip("\\uUx{}"), 16)
    return chr(code) if code < 0x110000 else "\ufffd"


def _rot13(text: str, budget: int) -> Iterator[Decoded]:
    part = text[:budget]
    yield codecs.decode(part, "rot13"), range(len(part))


def _reversed(text: str, budget: int) -> Iterator[Decoded]:
    part = text[:budget]
    yield part[::-1], range(len(part) - 1, -1, -1)


_DECODERS: dict[str, Callable[[str, int], Iterator[Decoded]]] = {
    "base64": _base64,
    "hex": _hex,
    "percent": _percent,
    "entities": _entities,
    "escapes": _escapes,
    "rot13": _rot13,
    "reversed": _reversed,
    **ciphers.DECODERS,
}
