"""The pattern detector: one set match over all rules of all packs, spans only for what hit.

In: a View. Out: Findings, one per place that a rule matched (at most SPANS_MAX per window and FINDINGS_MAX per view).
Linear by construction: RE2 does not backtrack. A set match that runs out of its memory budget flushes its cache and
goes on (RE2's many-match automaton never gives up for being slow), so no text can switch the rules off.
Never: state that a match changes, I/O after loading, Python's own `re` on text of others.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import re2

from sidecar.detectors.gates import FAR, Words, branches, forget, gates, reach
from sidecar.detectors.pack import PackError, Rule, check_unique
from sidecar.types import Finding, Span, Surface, View

# Budget of the shared automaton. Measured: 64 MiB never flushes on ordinary text, RSS grows by 10-20 MiB.
SET_MEMORY_BYTES = 64 << 20
RULE_MEMORY_BYTES = 8 << 20
SPANS_MAX = 8
FINDINGS_MAX = 64
_CONTINUATION = bytes(range(0x80, 0xC0))
# A pattern is searched in windows, so that words far apart open no gate together. Matches longer than OVERLAP may be
# cut in two; our packs keep their gaps below (jailbreak.two_answers aside).
WINDOW = 2048
OVERLAP = 512
# How far around a match `unless` looks, in bytes, and what is left of the weight where it finds something. Not nothing: an
# attacker can write an innocent word beside the attack.
_AROUND = 80
INNOCENT = 0.3
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


@dataclass(frozen=True, slots=True)
class _Entry:
    """One alternative of a pattern."""

    rule: Rule
    pattern: re2._Regexp
    unless: re2._Regexp | None


class _Plan:
    """What to try on one surface: entries behind gates, and entries that have none.

    Shape: waiting[gate] holds (needs, apart, entry) of the entries for which this gate is the first; needs are their other gates,
    apart says how many words these may stand from it.
    """

    __slots__ = ("direct", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[int, list[tuple[tuple[int, ...], int, _Entry]]] = {}
        self.direct: dict[int, _Entry] = {}


class PatternDetector:
    """All rules of all packs as one detector. Safe to call from several threads."""

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        """Compile every pattern.

        Raises: PackError when RE2 refuses a pattern or an id is used twice.
        """
        check_unique(rules)
        self.name = name
        self.RULES = tuple(rules)
        self._gates: dict[frozenset[str], int] = {}
        self._plans = {surface: _Plan() for surface in Surface}
        self._direct: list[_Entry] = []
        for rule in self.RULES:
            unless = _compile(rule, rule.unless) if rule.unless else None
            for pattern in rule.patterns:
                _compile(rule, pattern)  # first: gates are read from what RE2 takes
                for branch in branches(pattern):
                    self._add(rule, unless, branch)
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
        self._set = _set([entry.pattern.pattern.decode() for entry in self._direct])

    def _add(self, rule: Rule, unless: re2._Regexp | None, branch: str) -> None:
        """Put an entry behind its gates, or among the direct ones when it has no words, on every surface of its rule."""
        numbers = [self._gate(gate) for gate in gates(branch)]
        entry = _Entry(rule, _compile(rule, branch), unless)
        for surface in rule.weights:
            plan = self._plans[surface]
            if numbers:
                plan.waiting.setdefault(numbers[0], []).append((tuple(numbers[1:]), reach(branch), entry))
            else:
                plan.direct[len(self._direct)] = entry
        if not numbers:
            self._direct.append(entry)

    def _gate(self, gate: frozenset[str]) -> int:
        return self._gates.setdefault(gate, len(self._gates))

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return what the rules see in a view.

        Shape: as the text runs; a place that two windows share is reported once.
        Bounds: one pass over overlapping windows, plus one over a window per pattern whose words are all in it.
        Raises: nothing.
        """
        plan = self._plans[view.surface]
        if not plan.waiting and not plan.direct:
            return ()
        data = view.text.encode("utf-8", "surrogatepass")
        found: dict[tuple[str, Span], Finding] = {}
        counts: Counter[str] = Counter()
        points = 0
        for start in range(0, max(1, len(data) - OVERLAP), WINDOW):
            part = data[start : start + WINDOW + OVERLAP]
            for entry in self._candidates(part, plan):
                if counts[entry.rule.id] < FINDINGS_MAX:
                    for finding in self._findings(entry, view, part, points):
                        found.setdefault((finding.rule_id, finding.span), finding)
                        counts[entry.rule.id] += 1
            points += _points(data[start : start + WINDOW])
        return tuple(found.values())

    def _candidates(self, part: bytes, plan: _Plan) -> list[_Entry]:
        """Return the entries that may match: their gates open near each other, or they stand behind none and hit."""
        found: list[_Entry] = []
        if plan.waiting:
            self._behind_gates(part, plan, found)
        if plan.direct:
            found += [plan.direct[hit] for hit in sorted(self._set.Match(part) or ()) if hit in plan.direct]
        return found

    def _behind_gates(self, part: bytes, plan: _Plan, found: list[_Entry]) -> None:
        places = self._places(part)
        for gate in places:
            for needs, apart, entry in plan.waiting.get(gate, ()):
                others = [places.get(need, 0) for need in needs]
                if all(others) and (apart >= FAR or _near(places[gate], others, apart)):
                    found.append(entry)

    def _places(self, part: bytes) -> dict[int, int]:
        """Return the gates that a text opens, and where: bit n stands for its n-th word."""
        sets: dict[frozenset[int], int] = {}
        bit = 1
        for opened in map(self._words.__getitem__, part.lower().split()):
            if opened:
                sets[opened] = sets.get(opened, 0) | bit
            bit <<= 1
        places: dict[int, int] = {}
        for opened, where in sets.items():
            for gate in opened:
                places[gate] = places.get(gate, 0) | where
        if not part.isascii():
            for stem in self._foreign.Match(part) or ():  # of other scripts only that they are there is known
                places.update(dict.fromkeys(self._foreign_opens[stem], bit - 1))
        return places

    def _findings(self, entry: _Entry, view: View, part: bytes, points: int) -> Iterator[Finding]:
        """Yield what an entry finds in a window that begins at a code point of the view."""
        rule = entry.rule
        if entry.pattern.search(part) is None:  # half the price of an iterator, and nine candidates in ten stop here
            return
        for match in islice(entry.pattern.finditer(part), SPANS_MAX):
            start, end = match.span()
            innocent = entry.unless is not None and entry.unless.search(part[max(0, start - _AROUND) : end + _AROUND])
            weight = rule.weights[view.surface] * (INNOCENT if innocent else 1.0)
            begin = points + _points(part[:start])
            span = source_span(view, begin, begin + _points(part[start:end]))
            yield Finding(rule.type, self.name, rule.id, span, weight, rule.confidence, view.kind)


def _near(first: int, others: Sequence[int], apart: int) -> bool:
    """Tell whether each of the others has a place at most about so many words from one of the first; bit n is word n."""
    wide, step = first, 1
    while apart > 0:
        wide |= wide << step | wide >> step
        apart -= step
        step = min(step * 2, max(1, apart))
    return all(wide & other for other in others)


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


def _compile(rule: Rule, pattern: str) -> re2._Regexp:
    try:
        return re2.compile(pattern.encode(), options(RULE_MEMORY_BYTES))
    except re2.error as error:
        shown = pattern if len(pattern) <= _SHOWN else f"{pattern[:_SHOWN]}..."
        raise PackError(
            f"{rule.place}: pattern: RE2 refuses {shown!r}: {error}; see github.com/google/re2/wiki/Syntax"
        ) from error
