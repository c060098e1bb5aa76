"""The pattern detector: one set match over all rules of all packs, spans only for what hit.

In: a View. Out: Findings, one per place that a rule matched (at most SPANS_MAX per window and FINDINGS_MAX per view).
Linear by construction: RE2 does not backtrack. A set match that runs out of its memory budget flushes its cache and
goes on (RE2's many-match automaton never gives up for being slow), so no text can switch the rules off.
Never: state that a match changes, I/O after loading, Python's own `re` on text of others.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np
import re2

from sidecar.detectors.gates import FAR, Words, branches, forget, gates, reach
from sidecar.detectors.pack import PackError, Rule, check_unique
from sidecar.types import Finding, Span, Surface, View

# Budget of a shared automaton; what it has seen least is forgotten first.
SET_MEMORY_BYTES = 16 << 20
# Of one pattern and its automaton; 1,900 patterns share a worker, so most get little. Measured: no slower than with 8 MiB.
RULE_MEMORY_BYTES, RULE_MEMORY_MAX_BYTES = 256 << 10, 8 << 20
SPANS_MAX = 8
FINDINGS_MAX = 64
_CONTINUATION = bytes(range(0x80, 0xC0))
# A pattern is searched in windows, so that words far apart open no gate together. Matches longer than OVERLAP may be
# cut in two; our packs keep their gaps below (jailbreak.two_answers aside).
WINDOW = 4096
SHORT = 1500  # bytes: below, searching all costs less than working out where
OVERLAP = 512
# How far around a match `unless` looks, in bytes, and what is left of the weight where it finds something. Not nothing: an
# attacker can write an innocent word beside the attack.
_AROUND = 80
INNOCENT = 0.3
_BLANKS = np.isin(np.arange(256), [9, 10, 11, 12, 13, 32])  # where bytes.split parts
_UNANCHORED, _NOWHERE = re2._Anchor.UNANCHORED, (-1, -1)  # noqa: SLF001
_SHOWN = 200  # characters of a pattern that a complaint quotes


def options(max_mem: int, case_sensitive: bool = False) -> re2.Options:
    """Return RE2 options of ours: quiet, dot matches newline, memory bounded."""
    made = re2.Options()
    made.max_mem = max_mem
    made.case_sensitive = case_sensitive
    made.dot_nl = True
    made.never_capture = True
    made.log_errors = False
    return made


Ranges = tuple[tuple[int, int], ...]  # [start, end) in bytes of a window


@dataclass(frozen=True)
class _Entry:
    """One alternative of a pattern, compiled when its words first stand near each other: few languages are spoken to one worker."""

    rule: Rule
    text: str

    @cached_property
    def pattern(self) -> re2._Regexp:
        """The alternative, ready to run."""
        return _compile(self.rule, self.text)

    @cached_property
    def match(self) -> Callable[[object, bytes, int, int], Sequence[tuple[int, int]]]:
        """The pattern's own call into RE2: (anchor, data, start, end) -> spans."""
        call: Callable[[object, bytes, int, int], Sequence[tuple[int, int]]] = self.pattern._regexp.Match  # noqa: SLF001 - see _findings
        return call

    @cached_property
    def unless(self) -> re2._Regexp | None:
        """What makes the rule whisper, ready to run."""
        return _compile(self.rule, self.rule.unless) if self.rule.unless else None


class _Waiter(NamedTuple):
    """An entry behind gates. needs are its gates, the most telling first; apart says how many words these may stand apart."""

    entry: _Entry
    needs: tuple[int, ...]
    apart: int


class _Plan:
    """What to try on one surface: entries behind gates, and entries that have none.

    Shape: waiting[gate] holds the entries for which this gate is the first.
    """

    __slots__ = ("direct", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[int, list[_Waiter]] = {}
        self.direct: dict[int, _Entry] = {}


class PatternDetector:
    """All rules of all packs as one detector. Safe to call from several threads."""

    def __init__(self, name: str, rules: Sequence[Rule], tested: bool = False) -> None:
        """Take rules; tested tells that RE2 is known to take their patterns (ours: tests compile them all).

        Raises: PackError when RE2 refuses a pattern that is not tested, or an id is used twice.
        """
        check_unique(rules)
        self.name = name
        self.RULES = tuple(rules)
        self._gates: dict[frozenset[str], int] = {}
        self._plans = {surface: _Plan() for surface in Surface}
        self._direct: list[_Entry] = []
        for rule in self.RULES:
            if not tested:
                check(rule)  # first: gates are read from what RE2 takes
            for pattern in rule.patterns:
                for branch in branches(pattern):
                    self._add(rule, branch)
        forget()
        opens: dict[str, frozenset[int]] = {}
        for gate, number in self._gates.items():
            for stem in gate:
                opens[stem] = opens.get(stem, frozenset()) | {number}
        self._words = Words({stem.encode(): numbers for stem, numbers in opens.items() if stem.isascii()})
        # Scripts other than Latin are searched for: their words have no edges that \b or a split would know.
        foreign = sorted(stem for stem in opens if not stem.isascii())
        self._foreign = _set([re2.escape(stem) for stem in foreign])
        self._foreign_opens = [opens[stem] for stem in foreign]
        self._set = _set([entry.text for entry in self._direct])

    def _add(self, rule: Rule, branch: str) -> None:
        """Put an entry behind its gates, or among the direct ones when it has no words, on every surface of its rule."""
        numbers = [self._gate(gate) for gate in gates(branch)]
        entry = _Entry(rule, branch)
        for surface in rule.weights:
            plan = self._plans[surface]
            if numbers:
                plan.waiting.setdefault(numbers[0], []).append(_Waiter(entry, tuple(numbers), reach(branch)))
            else:
                plan.direct[len(self._direct)] = entry
        if not numbers:
            self._direct.append(entry)

    def _gate(self, gate: frozenset[str]) -> int:
        return self._gates.setdefault(gate, len(self._gates))

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return what the rules see in a view.

        Shape: as the text runs; a place that two windows share is reported once.
        Bounds: one pass over overlapping windows; a pattern is searched only where its words stand near each other.
        Raises: nothing.
        """
        plan = self._plans[view.surface]
        if not plan.waiting and not plan.direct:
            return ()
        found: dict[tuple[str, Span], Finding] = {}
        counts: Counter[str] = Counter()
        for begin, end in _regions(view):
            points = begin
            data = view.text[begin:end].encode("utf-8", "surrogatepass")
            for start in range(0, max(1, len(data) - OVERLAP), WINDOW):
                part = data[start : start + WINDOW + OVERLAP]
                for entry, ranges in self._candidates(part, plan):
                    if counts[entry.rule.id] >= FINDINGS_MAX:
                        continue
                    for finding in self._findings(entry, view, part, points, ranges):
                        if counts[entry.rule.id] < FINDINGS_MAX:
                            found.setdefault((finding.rule_id, finding.span), finding)
                            counts[entry.rule.id] += 1
                points += _points(data[start : start + WINDOW])
        return tuple(found.values())

    def _candidates(self, part: bytes, plan: _Plan) -> list[tuple[_Entry, Ranges]]:
        """Return the entries that may match, and where: their gates open near each other, or they stand behind none and hit."""
        found = self._behind_gates(part, plan) if plan.waiting else []
        if plan.direct:
            everywhere = ((0, len(part)),)
            found += [
                (plan.direct[hit], everywhere) for hit in sorted(self._set.Match(part) or ()) if hit in plan.direct
            ]
        return found

    def _behind_gates(self, part: bytes, plan: _Plan) -> list[tuple[_Entry, Ranges]]:
        sets: dict[frozenset[int], list[int]] = {}
        for place, opened in enumerate(map(self._words.__getitem__, part.lower().split())):
            if opened:
                sets.setdefault(opened, []).append(place)
        foreign: set[int] = set()
        if not part.isascii():
            foreign.update(*(self._foreign_opens[stem] for stem in self._foreign.Match(part) or ()))
        open_ = foreign.union(*sets)
        waiting = [
            waiter
            for gate in sorted(open_ & plan.waiting.keys())
            for waiter in plan.waiting[gate]
            if open_.issuperset(waiter.needs)
        ]
        if not waiting:
            return []
        masks = _masks(sets, {gate for waiter in waiting for gate in waiter.needs})
        return _near_ones(waiting, masks, foreign, part)

    def _findings(self, entry: _Entry, view: View, part: bytes, points: int, ranges: Ranges) -> Iterator[Finding]:
        """Yield what an entry finds in the ranges of a window that begins at a code point of the view."""
        rule = entry.rule
        for low, high in ranges:
            # The package's own search takes three times as long, most of it in Python, and nine searches in ten stop here.
            if entry.match(_UNANCHORED, part, low, high)[0] == _NOWHERE:
                continue
            for match in islice(entry.pattern.finditer(part, low, high), SPANS_MAX):
                start, end = match.span()
                innocent = entry.unless and entry.unless.search(part[max(0, start - _AROUND) : end + _AROUND])
                weight = rule.weights[view.surface] * (INNOCENT if innocent else 1.0)
                begin = points + _points(part[:start])
                span = source_span(view, begin, begin + _points(part[start:end]))
                yield Finding(rule.type, self.name, rule.id, span, weight, rule.confidence, view.kind)


def _regions(view: View) -> list[tuple[int, int]]:
    """Return what to look at: all of a view, or what says something new with as much around it as a match may reach."""
    if view.news is None:
        return [(0, len(view.text))]
    found: list[tuple[int, int]] = []
    for start, end in view.news:
        low, high = max(0, start - OVERLAP), min(len(view.text), end + OVERLAP)
        if found and low <= found[-1][1]:
            low = found.pop()[0]
        found.append((low, high))
    return found


def _masks(sets: Mapping[frozenset[int], Sequence[int]], wanted: set[int]) -> dict[int, int]:
    """Return where each wanted gate opens: bit n stands for the n-th word."""
    masks: dict[int, int] = {}
    for opened, places in sets.items():
        gates_here = opened & wanted
        if gates_here:
            mask = 0
            for place in places:
                mask |= 1 << place
            for gate in gates_here:
                masks[gate] = masks.get(gate, 0) | mask
    return masks


def _near_ones(
    waiting: Sequence[_Waiter], masks: Mapping[int, int], foreign: set[int], part: bytes
) -> list[tuple[_Entry, Ranges]]:
    """Return the waiters whose words stand near each other, and where; words of other scripts stand anywhere."""
    found: list[tuple[_Entry, Ranges]] = []
    everywhere = ((0, len(part)),)
    starts: list[int] = []
    for entry, needs, apart in waiting:
        first, *rest = needs
        if apart >= FAR or first in foreign:
            found.append((entry, everywhere))
            continue
        mask = masks[first]
        others = [masks[other] for other in rest if other not in foreign]
        wide = _widened(mask, apart) if others else mask
        if not all(wide & other for other in others):
            continue
        if len(part) <= SHORT:
            found.append((entry, everywhere))
            continue
        for other in others:
            mask &= _widened(other, apart)
        starts = starts or _starts(part)
        found.append((entry, _ranges(mask, apart, starts)))
    return found


def _widened(mask: int, by: int) -> int:
    """Return a mask with every bit spread to both sides, at least so far."""
    step = 1
    while by > 0:
        mask |= mask << step | mask >> step
        by -= step
        step = min(step * 2, max(1, by))
    return mask


def _starts(part: bytes) -> list[int]:
    """Return where each word between white space begins, and the end of the text twice."""
    blank = _BLANKS[np.frombuffer(part, np.uint8)]
    begins = np.flatnonzero(~blank & np.concatenate([[True], blank[:-1]]))
    return [*begins.tolist(), len(part), len(part)]


def _ranges(mask: int, apart: int, starts: Sequence[int]) -> Ranges:
    """Return the bytes around the words of a mask, as far as a match may reach; those that touch are joined."""
    found: list[tuple[int, int]] = []
    last = len(starts) - 1
    while mask:
        lowest = mask & -mask
        mask ^= lowest
        place = lowest.bit_length() - 1
        low, high = starts[max(0, place - apart - 1)], starts[min(last, place + apart + 2)]
        if place - apart <= 1:
            low = 0
        if found and low <= found[-1][1]:
            low = found.pop()[0]
        found.append((low, high))
    return tuple(found)


def _set(patterns: Sequence[str], case_sensitive: bool = False) -> re2.Set:
    """Return a compiled set; without patterns one that never matches."""
    made = re2.Set.SearchSet(options(SET_MEMORY_BYTES, case_sensitive))
    for pattern in patterns or (r"\z[^\x00-\x{10ffff}]",):
        made.Add(pattern)
    made.Compile()
    return made


def source_span(view: View, start: int, end: int) -> Span:
    """Return the span of the source that view.text[start:end] came from, also for readings that run backwards."""
    span = view.span(start, end)
    return span if span.start < span.end else Span(span.end - 1, span.start + 1)


def _points(data: bytes) -> int:
    """Return how many code points begin in a piece of UTF-8, wherever it was cut."""
    return len(data) if data.isascii() else len(data.translate(None, _CONTINUATION))


def check(rule: Rule) -> None:
    """Raise PackError when RE2 refuses a pattern of a rule."""
    for pattern in (*rule.patterns, *filter(None, [rule.unless])):
        _compile(rule, pattern)


def _compile(rule: Rule, pattern: str) -> re2._Regexp:
    data = pattern.encode()
    try:
        return re2.compile(data, options(RULE_MEMORY_BYTES))
    except re2.error:  # the few that need more
        pass
    try:
        return re2.compile(data, options(RULE_MEMORY_MAX_BYTES))
    except re2.error as error:
        shown = pattern if len(pattern) <= _SHOWN else f"{pattern[:_SHOWN]}..."
        raise PackError(
            f"{rule.place}: pattern: RE2 refuses {shown!r}: {error}; see github.com/google/re2/wiki/Syntax"
        ) from error
