"""Results as people read them on a terminal.

In: Results. Out: lines of text, with colour where the terminal shows it.
Never: a control character of a scanned text: it could move the cursor, rename the window or hide what was found.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from sidecar.scan.scanner import Result
from sidecar.types import RiskLevel, Threat

_COLOURS = {RiskLevel.LOW: "32", RiskLevel.MEDIUM: "33", RiskLevel.HIGH: "31", RiskLevel.CRITICAL: "1;31"}
_AROUND, _EVIDENCE = 30, 120  # code points shown beside a place, and of it


@dataclass(frozen=True, slots=True)
class Style:
    """How to write. explain adds the reasons that the score has."""

    colour: bool = False
    explain: bool = False

    def paint(self, text: str, code: str) -> str:
        """Return a text in a colour, or as it is."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


def wants_colour(stream: IO[str], environment: Mapping[str, str]) -> bool:
    """Tell whether to colour: a terminal, and nobody said no (no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def lines_of(result: Result, style: Style) -> Iterator[str]:
    """Yield the lines of one result: the level, then each threat with its place and words."""
    level = style.paint(f"{result.level.value.upper():<8}", _COLOURS[result.level])
    name = printable(str(result.name))
    if result.failure:
        yield f"{style.paint('FAILED', '1;31')}   {name}: {result.failure}"
        return
    if result.unscanned and not result.scanned_bytes:
        yield f"{style.paint('SKIPPED', '2')}  {name}: {result.unscanned}, {result.unscanned_bytes:,} bytes not looked at"
        return
    cut = f"  ({result.unscanned_bytes:,} bytes not looked at)" if result.unscanned_bytes else ""
    yield f"{level} {result.assessment.score:5.1f}  {name}{cut}"
    for threat in result.assessment.threats:
        yield _threat(threat, result.text, style)
    if style.explain:
        yield from (f"      {printable(reason)}" for reason in result.assessment.reasons)


def _threat(threat: Threat, text: str, style: Style) -> str:
    start, end = threat.finding.span.start, threat.finding.span.end
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    shown = text[start : min(end, start + _EVIDENCE)] + ("…" if end - start > _EVIDENCE else "")
    before, after = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
    words = style.paint(printable(shown), "1;4") if style.colour else f"[{printable(shown)}]"
    excerpt = f"{printable(before)}{words}{printable(after)}"
    view = "" if threat.finding.view == "as_sent" else f" ({threat.finding.view})"
    return f"  {threat.score:5.1f}  {threat.finding.rule_id}  {line}:{column}{view}  {excerpt}"


def printable(text: str) -> str:
    """Return a text on one line without what a terminal would obey; blanks stay."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in text)


class Tally:
    """Counts results: levels, errors, bytes not looked at, and the slowest."""

    def __init__(self) -> None:
        self.levels: Counter[RiskLevel] = Counter()
        self.errors = 0
        self.unscanned_bytes = 0
        self.slowest: tuple[int, str] = (0, "")

    def add(self, level: RiskLevel | None, micros: int = 0, name: str = "") -> None:
        """Count one; a level of None is an error."""
        if level is None:
            self.errors += 1
        else:
            self.levels[level] += 1
        self.slowest = max(self.slowest, (micros, name))

    @property
    def done(self) -> int:
        """How many were counted."""
        return sum(self.levels.values()) + self.errors

    @property
    def found(self) -> int:
        """How many were more than LOW."""
        return sum(self.levels.values()) - self.levels[RiskLevel.LOW]

    @property
    def worst(self) -> RiskLevel:
        """The highest level met, LOW when there was none."""
        return next((level for level in reversed(RiskLevel) if self.levels[level]), RiskLevel.LOW)

    def summary(self, seconds: float) -> str:
        """Return the closing line."""
        counts = ", ".join(f"{self.levels[level]} {level.value.upper()}" for level in reversed(RiskLevel))
        errors = f", {self.errors} could not be read" if self.errors else ""
        left = f", {self.unscanned_bytes:,} bytes not looked at" if self.unscanned_bytes else ""
        slow = f"; slowest {self.slowest[0] / 1000:.1f} ms{self.slowest[1] and ' ' + printable(self.slowest[1])}"
        return f"{self.done} texts in {seconds:.1f} s: {counts}{errors}{left}{slow}"


class Progress:
    """A line on standard error that is written over while work goes on; only on a terminal."""

    def __init__(self, tally: Tally, clock: Callable[[], float], stream: IO[str] | None = None) -> None:
        self._tally = tally
        self._clock = clock
        self._stream = stream or sys.stderr
        self._shown = False
        self._begin = self._last = clock()
        self._on = self._stream.isatty()

    def step(self) -> None:
        """Show where things stand, at most five times a second."""
        now = self._clock()
        if not self._on or now - self._last < 0.2:
            return
        self._last, self._shown = now, True
        rate = self._tally.done / max(now - self._begin, 1e-9)
        self._stream.write(f"\r\x1b[K{self._tally.done:,} done, {rate:,.0f}/s, {self._tally.found:,} found")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False
