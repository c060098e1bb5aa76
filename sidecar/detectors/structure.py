"""Signals of form: how a text is made, whatever it says.

In: a View as it was sent. Out: Findings: words disguised from machines, invisible characters between letters, an order behind
a machine's answer, one instruction repeated in many turns, role marks inside data, a tail that no language writes.
Each is weak alone, for people do strange things to texts; beside a rule or the learned tier it decides.
Never: meaning (patterns and learned have that), a look at folded or decoded views: form is what was sent.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import re2

from sidecar.detectors.concepts import Lexicon
from sidecar.normalise import AS_SENT, fold, readable
from sidecar.types import Finding, Span, Surface, ThreatType, View

_TEXT = frozenset({Surface.USER, Surface.TOOL_RESULT, Surface.DOCUMENT, Surface.TOOL_CALL})
_TOOL = frozenset({Surface.TOOL_RESULT})
_WORDS_READ, _WORD_MAX = 400, 24
_TAIL, _TAIL_WORDS = 300, 8
_ONLY_MAX, _ORDER_AMID = 900, 0.4

# Python's own `re` here: each of these consumes a character in one way only, and on str it needs no second encoding.
# Each begins with a set of rare characters, which `re` looks for at once, and then looks around.
# Characters that no screen shows between two Latin letters. Joiners between other letters (Indic, Arabic, emoji) are orthography.
_UNSEEN = "\u00ad\u034f\u180e\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f"
_INVISIBLE = re.compile(f"[{_UNSEEN}](?<=[A-Za-z].)[{_UNSEEN}]*[A-Za-z ]")
_OTHER_SCRIPT = "\u0370-\u03ff\u0400-\u052f\u0531-\u0587\u13a0-\u13ff"  # Greek, Cyrillic, Armenian, Cherokee
_MIXED = re.compile(f"[{_OTHER_SCRIPT}](?:(?<=[a-zA-Z].)|(?=[a-zA-Z]))")
_DIGIT_IN_WORD = re.compile(r"[0134578@$!|+€](?:(?<=[A-Za-z].)[0134578@$!|+€]*[A-Za-z]|(?<!\w.)[A-Za-z]{2})")
_LEET_WORD = re.compile(rf"[A-Za-z0134578@$!|+€]{{3,{_WORD_MAX}}}")
# A machine's answer (JSON, a log line, a status) with a sentence behind it that asks for something.
_ORDER_BEHIND = re2.compile(
    r"(?is)(?:[}\]]|\bstatus\b[^\n]{0,40}|\b(?:success(?:ful(?:ly)?)?|completed|done|ok|rows?|results?)\b[^\n]{0,20}[.\"'}\]])\s+"
    r"(?:please|kindly|immediately|now|next|you (?:must|should|need to)|make sure (?:to|you)|be sure to|proceed to|go ahead and"
    r"|veuillez|merci de|bitte|por favor|per favore)\s+[a-z]{3,}"
)
# The same as all there is: a short machine's answer, then one order to do something to a thing, and the end. Answers of machines
# end in what their reader may do ("please try again", "please contact support"); these orders are left to the rule above.
_ONLY_ORDER_BEHIND = re2.compile(
    r"(?is)^\s*(?:\{[^{}]{0,300}\}|\[[^\[\]]{0,80}\][^.\n]{0,60}\.|(?:observation|result|output|response|tool)\b[^\n]{0,160}[.:)\]}])\s+"
    r"(?:please|kindly|immediately|now|next|you (?:must|should|need to)|proceed to|go ahead and)\s+([a-z]{3,})\b[^\n]{10,400}\s*$"
)
_READERS_PART = re.compile(
    r"(?:note|try|retry|contact|see|check|wait|visit|refer|allow|find|remember|consult|provide|specify|enter|select|choose|log|sign|make"
    r"|be|read|call|ask|confirm|let|use|keep|reply|respond|answer|tell|say|show|give|help|write|include|return|summari[sz]e|explain)",
    re.IGNORECASE,
)
_TURN = re2.compile(r"(?im)^\W{0,3}(?:user|human|question|utilisateur|benutzer|usuario)\W{0,3}:")
_ANSWER = re2.compile(
    r"(?im)^\W{0,3}(?:assistant|ai|bot|answer|assistent|asistente)\W{0,3}:\s*(?:sure|of course|certainly|absolutely|yes|here)"
)
_TURNS_MIN = 8
# What optimisation against a model writes (GCG suffixes): signs amid words, brackets that close nothing.
_SUFFIX_SIGNS = re.compile(r"[\\{}\[\]()<>|~^*=+;]")
_SUFFIX_JOINT = re.compile(
    r"[A-Za-z](?:\\[A-Za-z\\]|[\])}]+[.(*{\[]|\.\\|=\\|\]\()[A-Za-z({\[*]?|\\+[\s!]|\{\{|\}\}|\]\(|\*\*\(|\.\]\("
)
_CODE = re.compile(r"\b(?:def|return|function|var|const|import|class|if|for)\b")


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal. weight is what it adds when it is as clear as it gets; read yields (span, share of the weight)."""

    id: str
    weight: float
    surfaces: frozenset[Surface]
    source: str
    type: ThreatType = ThreatType.SUSPICIOUS_PATTERN


RULES = (
    Signal(
        "structure.invisible_characters", 10.0, _TEXT, "Unicode TR 36; measured on the dev texts, tests/train/README.md"
    ),
    Signal(
        "structure.mixed_scripts",
        12.0,
        _TEXT,
        "Unicode UTS 39, 5.1 (mixed-script detection); measured on the dev texts",
    ),
    Signal("structure.disguised_words", 10.0, _TEXT, "leetspeak of words that attacks need; measured on the dev texts"),
    Signal(
        "structure.order_behind_data",
        15.0,
        _TOOL,
        "Agent Security Bench (arXiv 2410.02644): orders appended to observations",
        ThreatType.INDIRECT_INJECTION,
    ),
    Signal("structure.many_shot", 8.0, _TEXT, "Anil et al. 2024, many-shot jailbreaking", ThreatType.JAILBREAK),
    Signal("structure.adversarial_suffix", 8.0, _TEXT, "Zou et al. 2023 (arXiv 2307.15043)", ThreatType.JAILBREAK),
)


class StructureDetector:
    """All signals as one detector. Safe to call from several threads."""

    def __init__(self, name: str, lexicon: Lexicon) -> None:
        """Take the lexicon, which tells the words that are worth a disguise."""
        self.name = name
        self.RULES = RULES
        self._lexicon = lexicon
        self._signals: tuple[tuple[Signal, Callable[[str], tuple[Span, float] | None]], ...] = tuple(
            zip(RULES, (_invisible, _mixed, self._disguised, _order_behind, _many_shot, _suffix), strict=True)
        )

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return the signals of a view as it was sent.

        Bounds: linear; a few searches of RE2, 5 µs per KB of ordinary text.
        """
        if view.kind != AS_SENT or view.surface not in _TEXT:
            return ()
        return tuple(self._findings(view, readable(view.text)))

    def _findings(self, view: View, text: str) -> Iterator[Finding]:
        for signal, read in self._signals:
            if view.surface not in signal.surfaces:
                continue
            if read == self._disguised and not view.folded_follows:
                continue  # leetspeak makes another reading; without one there is none
            seen = read(text)
            if seen is not None:
                span, share = seen
                weight = round(signal.weight * share, 1)
                yield Finding(signal.type, self.name, signal.id, span, weight, 1.0, view.kind)

    def _disguised(self, text: str) -> tuple[Span, float] | None:
        """Count the words of concepts that only reading digits as letters brings to light."""
        places = [place for place in _mixed_words(text) if self._hides(text[place[0] : place[1]])]
        if len(places) < 2:
            return None
        return Span(places[0][0], places[-1][1]), min(1.0, len(places) / 4)

    def _hides(self, word: str) -> bool:
        """Tell whether a word speaks of a concept once its digits are read as letters, and only then."""
        plain = fold(f"{word} ").strip()
        return plain.isalpha() and plain != word.lower() and bool(self._lexicon.look_up(plain))


def _mixed_words(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the first _WORDS_READ words with a digit or sign among letters stand."""
    position = 0
    for hit in islice(_DIGIT_IN_WORD.finditer(text), _WORDS_READ):
        for word in _LEET_WORD.finditer(text, max(position, hit.start() - _WORD_MAX), hit.end() + _WORD_MAX):
            if word.end() >= hit.end():
                yield word.span()
                position = word.end()
                break


def _invisible(text: str) -> tuple[Span, float] | None:
    """Four or more places where letters hide something between them."""
    return None if text.isascii() else _many(_INVISIBLE, text, 4, 8)


def _mixed(text: str) -> tuple[Span, float] | None:
    """Three or more places where a word changes its script."""
    return None if text.isascii() else _many(_MIXED, text, 3, 6)


def _many(pattern: re.Pattern[str], text: str, least: int, full: int) -> tuple[Span, float] | None:
    """Return the span from the first to the last match and how clear it is, when there are at least so many."""
    found = [match.span() for match in islice(pattern.finditer(text), full)]
    return (Span(found[0][0], found[-1][1]), min(1.0, len(found) / full)) if len(found) >= least else None


def _order_behind(text: str) -> tuple[Span, float] | None:
    """A sentence that asks, behind what a machine answered; clearest when there is nothing else."""
    only = _ONLY_ORDER_BEHIND.search(text) if len(text) < _ONLY_MAX else None
    if only and not _READERS_PART.fullmatch(only[1]):
        return Span(*only.span()), 1.0
    match = _ORDER_BEHIND.search(text)
    return (Span(*match.span()), _ORDER_AMID) if match else None


def _many_shot(text: str) -> tuple[Span, float] | None:
    """Eight or more turns of a conversation inside one text, of which half are answered at once."""
    if text.count(":") < _TURNS_MIN:
        return None
    turns = [match.start() for match in islice(_TURN.finditer(text), 64)]
    if len(turns) < _TURNS_MIN:
        return None
    answers = sum(1 for _ in islice(_ANSWER.finditer(text), 64))
    return (Span(turns[0], turns[-1] + 1), min(1.0, answers / len(turns))) if 2 * answers >= len(turns) else None


def _suffix(text: str) -> tuple[Span, float] | None:
    """A tail of signs amid words, as optimisation against a model writes it."""
    tail = text[-_TAIL:]
    joints = len(_SUFFIX_JOINT.findall(tail)) if len(_SUFFIX_SIGNS.findall(tail)) >= _TAIL_WORDS else 0
    if joints < 4 or "\n" in tail[-150:] or _CODE.search(tail):
        return None
    return Span(len(text) - len(tail), len(text)), min(1.0, joints / 6)
