"""The pattern detector: one set match over all rules of all packs, spans only for what hit.

In: a View. Out: Findings, one per place that a rule matched (at most SPANS_MAX a rule and view).
Linear by construction: RE2 does not backtrack. A set match that runs out of its memory budget flushes its cache and
goes on (RE2's many-match automaton never gives up for being slow), so no text can switch the rules off.
Never: state that a match changes, I/O after loading, Python's own `re` on text of others.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import re2

from sidecar.detectors.pack import PackError, Rule, check_unique
from sidecar.types import Finding, Span, View

# Budget of the shared automaton. Measured: 64 MiB never flushes on ordinary text, RSS grows by 10-20 MiB.
SET_MEMORY_BYTES = 64 << 20
RULE_MEMORY_BYTES = 4 << 20
SPANS_MAX = 8
# How far around a match `unless` looks, in bytes.
_AROUND = 80


def options(max_mem: int, case_sensitive: bool = False) -> re2.Options:
    """Return RE2 options of ours: quiet, dot matches newline, memory bounded."""
    made = re2.Options()
    made.max_mem = max_mem
    made.case_sensitive = case_sensitive
    made.dot_nl = True
    made.never_capture = True
    made.log_errors = False
    return made


class PatternDetector:
    """All rules of all packs as one detector. Safe to call from several threads."""

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        """Compile every pattern.

        Raises: PackError when RE2 refuses a pattern or an id is used twice.
        """
        check_unique(rules)
        self.name = name
        self.RULES = tuple(rules)
        self._set = re2.Set.SearchSet(options(SET_MEMORY_BYTES))
        self._entries: list[tuple[Rule, re2._Regexp, re2._Regexp | None]] = []
        for rule in self.RULES:
            unless = _compile(rule, rule.unless) if rule.unless else None
            for pattern in rule.patterns:
                self._entries.append((rule, _compile(rule, pattern), unless))
                self._set.Add(pattern)
        self._set.Compile()

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return what the rules see in a view.

        Bounds: one linear pass, plus one per pattern that hit.
        Raises: nothing.
        """
        data = view.text.encode("utf-8", "surrogatepass")
        hits = self._set.Match(data)
        if not hits:
            return ()
        return tuple(finding for index in sorted(hits) for finding in self._findings(index, view, data))

    def _findings(self, index: int, view: View, data: bytes) -> Iterator[Finding]:
        rule, pattern, unless = self._entries[index]
        weight = rule.weights.get(view.surface)
        if weight is None:
            return
        for match in islice(pattern.finditer(data), SPANS_MAX):
            start, end = match.span()
            if unless is not None and unless.search(data[max(0, start - _AROUND) : end + _AROUND]):
                continue
            span = source_span(view, *_points(data, start, end))
            yield Finding(rule.type, self.name, rule.id, span, weight, rule.confidence, view.kind)


def source_span(view: View, start: int, end: int) -> Span:
    """Return the span of the source that view.text[start:end] came from, also for readings that run backwards."""
    span = view.span(start, end)
    return span if span.start < span.end else Span(span.end - 1, span.start + 1)


def _points(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return byte offsets as code-point offsets."""
    if data.isascii():
        return start, end
    before = len(data[:start].decode("utf-8", "surrogatepass"))
    return before, before + len(data[start:end].decode("utf-8", "surrogatepass"))


def _compile(rule: Rule, pattern: str) -> re2._Regexp:
    try:
        return re2.compile(pattern.encode(), options(RULE_MEMORY_BYTES))
    except re2.error as error:
        raise PackError(f"rule {rule.id}: RE2 refuses the pattern {pattern!r}: {error}") from error
