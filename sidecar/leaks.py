"""Stand-ins for leaks: what goes to the provider in a secret's place, how it comes back, and what is taken out of answers.

In: findings with their segments, the policy's treatment, a keyed digest; texts of an answer. Out: Edits, and the originals by
pseudonym; the texts as the client gets them.
A pseudonym is keyed by the installation and the tenant: the same value always has the same one, and nobody without the key
can test a guess against it. E-mail addresses stay addresses (RFC 2606 keeps .invalid free), the rest is <kind-digest>.
Never: keeps a mapping beyond the exchange it was made for; edits where the body holds no such text (edit.edited_body refuses).
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sidecar.edit import REDACTED, apply, merge
from sidecar.policy import OnThreat
from sidecar.types import Edit, Finding, Segment, Span, ThreatType

_EMAIL = "email"
_DIGEST_BYTES = (
    4  # of 2^32 two of 1,000 values in one tenant agree once in 8,600 tenants; in one exchange never, see _stand_in
)
_KIND_MAX = 40
_NOT_A_NAME = re.compile(r"[^a-z0-9]+")
# The shape of every pseudonym. Nothing in it is escaped in JSON but by encoders that write < as \u003c, and those are decoded.
_PSEUDONYM = re.compile(r"<[a-z0-9][a-z0-9-]{0,60}-[0-9a-f]{8,64}>|person-[0-9a-f]{8,64}@redacted\.invalid")
# How much of the text before a pseudonym is looked at to tell whether it stands in a URL. Browsers take at least 2,000 characters.
_URL_REACH = 2048


class Digest(Protocol):
    """The installation's keyed digest of a text, size bytes long."""

    def __call__(self, text: str, size: int = 16) -> bytes: ...


Treatment = Callable[[ThreatType], OnThreat]
_EDITING = (OnThreat.REDACT, OnThreat.PSEUDONYMISE)


class Originals:
    """The originals of one exchange by pseudonym, ready to be looked for."""

    __slots__ = ("longest", "names", "texts")

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.names = sorted(texts)
        self.longest = max(map(len, texts), default=0)


@dataclass(frozen=True, slots=True)
class Replaced:
    """The edits of a request, what they did, and the originals by pseudonym for the answer."""

    edits: tuple[Edit, ...] = ()
    reasons: tuple[str, ...] = ()
    originals: Mapping[str, str] = field(default_factory=dict)


def replaced(found: Iterable[tuple[Segment, Finding]], treatment: Treatment, tenant: str, digest: Digest) -> Replaced:
    """Return the edits that a policy asks for; treatment is what it says of a type.

    Shape: one edit per place; where findings overlap the place is their union, named by the longest of them, and redacted
    when one of them is to be: what is hardest to reverse wins.
    Bounds: linear in the findings but for a sort.
    """
    places: dict[Segment, list[tuple[Finding, OnThreat]]] = {}
    for segment, finding in found:
        if (action := treatment(finding.type)) in _EDITING and not _credential(segment, finding):
            places.setdefault(segment, []).append((finding, action))
    edits: list[Edit] = []
    originals: dict[str, str] = {}
    counts: Counter[str] = Counter()

    def keyed(value: str, size: int) -> bytes:
        return digest(f"{tenant}\0{value}", size)

    for segment, items in places.items():
        for span, finding, action in _merged(items):
            text = REDACTED.format(finding.type)
            if action is OnThreat.PSEUDONYMISE:
                text = _stand_in(finding, segment.text[span.start : span.end], originals, keyed)
            edits.append(Edit(segment, span, text))
            counts[f"{finding.type} {'pseudonymised' if action is OnThreat.PSEUDONYMISE else 'redacted'}"] += 1
    return Replaced(tuple(edits), tuple(f"{number} {what}" for what, number in sorted(counts.items())), originals)


def _credential(segment: Segment, finding: Finding) -> bool:
    """Tell whether a secret is the caller's own key in the query, as Google's APIs take it: it belongs to the provider."""
    return segment.path == "?" and segment.text[: finding.span.start].endswith("key=")


def _merged(items: list[tuple[Finding, OnThreat]]) -> list[tuple[Span, Finding, OnThreat]]:
    merged: list[tuple[Span, Finding, OnThreat]] = []
    for finding, action in sorted(items, key=lambda item: (item[0].span.start, -item[0].span.end, item[0].rule_id)):
        span = finding.span
        if span.start >= span.end:
            continue
        if merged and span.start < merged[-1][0].end:
            last, first, strictest = merged[-1]
            longer = finding if span.end - span.start > first.span.end - first.span.start else first
            strictest = OnThreat.REDACT if OnThreat.REDACT in (strictest, action) else OnThreat.PSEUDONYMISE
            merged[-1] = (Span(last.start, max(last.end, span.end)), longer, strictest)
        else:
            merged.append((span, finding, action))
    return merged


def _stand_in(finding: Finding, value: str, originals: dict[str, str], digest: Callable[[str, int], bytes]) -> str:
    """Return a value's pseudonym and note its original; should two values of an exchange agree, the later digest is longer."""
    size = _DIGEST_BYTES
    while originals.setdefault(text := _pseudonym(finding, digest(value, size).hex()), value) != value:
        size += _DIGEST_BYTES
    return text


def _pseudonym(finding: Finding, mark: str) -> str:
    if _EMAIL in finding.rule_id:
        return f"person-{mark}@redacted.invalid"
    family = finding.type.partition("_")[0]
    name = _NOT_A_NAME.sub("-", finding.rule_id.rpartition(".")[2].lower()).strip("-")
    return f"<{family}-{name[:_KIND_MAX].strip('-')}-{mark}>"


class PutBack:
    """Puts originals back into one text that comes in pieces. escape writes an original as the text's language needs it.

    A pseudonym that stands in a URL stays: an answer that was talked into carrying data away in an image's address must not
    be given the data. What a piece ends with is held back only as long as it is the beginning of a pseudonym of this exchange.
    """

    __slots__ = ("_before", "_escape", "_held", "_originals")

    def __init__(self, originals: Originals, escape: Callable[[str], str] = str) -> None:
        self._originals = originals
        self._escape = escape
        self._held = ""
        self._before = ""

    def push(self, text: str, *, final: bool) -> str:
        """Return what may go on; final says that nothing will follow.

        Bounds: linear in the text, plus the longest pseudonym.
        """
        text = self._held + text
        pieces, position = list[str](), 0
        for match in _PSEUDONYM.finditer(text):
            original = self._originals.texts.get(match[0])
            self._saw(text[position : match.start()])
            if original is not None and "://" not in self._before:
                pieces += (text[position : match.start()], self._escape(original))
            else:
                pieces.append(text[position : match.end()])
            self._saw(match[0])
            position = match.end()
        end = len(text) if final else self._tail(text, position)
        self._saw(text[position:end])
        self._held = text[end:]
        return "".join((*pieces, text[position:end]))

    def _tail(self, text: str, start: int) -> int:
        """Return where the longest end of a text begins that a pseudonym of ours could begin with."""
        for at in range(max(start, len(text) - self._originals.longest + 1), len(text)):
            if text[at] in "<p" and self._begins(text[at:]):
                return at
        return len(text)

    def _begins(self, text: str) -> bool:
        names = self._originals.names
        index = bisect_left(names, text)
        return index < len(names) and names[index].startswith(text)

    def _saw(self, text: str) -> None:
        """Keep the word that the text ends in: a URL has no white space."""
        word = (self._before + text[-_URL_REACH:])[-_URL_REACH:]
        pieces = word.rsplit(None, 1)
        self._before = pieces[-1] if pieces and not word[-1].isspace() else ""


# Text is looked at line by line: that is where a secret ends. A longer line is cut at white space, far enough from its end.
_LINE_MAX, _LINE_KEPT = 2048, 512
_KEY_BEGINS, _KEY_ENDS, _KEY_MAX = "-----BEGIN", "-----END", 8192
_SHORTEST = 8  # no shape of ours is shorter
# What comes as one string is looked at up to here, as in the record (reading.MAX_CHARS): beyond are images and sounds.
_LOOKED_AT = 256 * 1024

Find = Callable[[str], tuple[tuple[Span, str], ...]]


class TakeOut:
    """Takes leaks out of one text that comes in pieces. find says which places hold what; taken counts what was found.

    A text is held back up to the end of its line, a private key (RFC 7468) up to its own end.
    """

    __slots__ = ("_find", "_held", "_taken")

    def __init__(self, find: Find, taken: Counter[str]) -> None:
        self._find = find
        self._taken = taken
        self._held = ""

    def push(self, text: str, *, final: bool) -> str:
        """Return what may go on; final says that nothing will follow. Bounds: every character is looked at once."""
        held = self._held + text
        cut = len(held) if final else _safe(held)
        self._held = held[cut:]
        return self._clean(held[:cut])

    def _clean(self, text: str) -> str:
        if len(text) < _SHORTEST:
            return text
        changes = merge((span, REDACTED.format(kind)) for span, kind in self._find(text[:_LOOKED_AT]))
        self._taken.update(replacement for _, replacement in changes)
        return apply(text, changes)


def _safe(text: str) -> int:
    """Return up to where a text can be looked at now: no leak goes on behind it."""
    begun = text.rfind(_KEY_BEGINS)
    open_key = begun >= 0 and _KEY_ENDS not in text[begun:] and len(text) - begun < _KEY_MAX
    line = text.rfind("\n", 0, begun if open_key else len(text)) + 1
    if line or open_key or len(text) <= _LINE_MAX:
        return line
    blank = text.rfind(" ", 0, len(text) - _LINE_KEPT)
    return blank + 1 if blank >= 0 else len(text) - _LINE_KEPT


class Chain:
    """Two editors, one after the other."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: TakeOut, second: PutBack) -> None:
        self._first = first
        self._second = second

    def push(self, text: str, *, final: bool) -> str:
        """Return what both let go on."""
        return self._second.push(self._first.push(text, final=final), final=final)
