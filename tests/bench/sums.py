"""Numbers from samples: medians over rounds, ratios and differences of contenders measured one after the other.

In: samples. Out: rows of numbers, targets with their verdicts.
Ratios and differences are taken within a round and then their median: c/b compares two runs that follow each other, so a
machine that drifts, or that somebody else uses, hits both.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

# Source: issue 2, point 11.
THROUGHPUT_FLOOR = 0.75
LATENCY_CEILING_US = 500.0


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the percentile by nearest rank, 0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, max(0, ceil(percent / 100 * len(ordered)) - 1))]


@dataclass(frozen=True)
class Compared:
    """What one number came to: the median of each contender, and the medians of c against the others, round by round."""

    a: float | None
    b: float | None
    c: float | None
    c_over_b: float | None
    c_minus_a: float | None
    c_minus_b: float | None


def compare(samples: Sequence[Any], number: Callable[[Any], float | None]) -> Compared:
    """Return one number of samples that have a contender and a round, compared."""
    rounds: dict[int, dict[str, float]] = {}
    for sample in samples:
        value = number(sample)
        if value is not None:
            rounds.setdefault(sample.round, {})[sample.contender] = value

    def each(*names: str) -> list[tuple[float, ...]]:
        return [tuple(seen[name] for name in names) for seen in rounds.values() if all(name in seen for name in names)]

    return Compared(
        *(_median(value for (value,) in each(name)) for name in "abc"),
        _median(c / b for c, b in each("c", "b") if b),
        _median(c - a for c, a in each("c", "a")),
        _median(c - b for c, b in each("c", "b")),
    )


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return median(found) if found else None


@dataclass(frozen=True)
class Target:
    """A number we want, beside the number we have."""

    name: str
    value: float
    limit: float
    at_least: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        """True when the number is within its limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def line(self) -> str:
        """Return the target as one line of text."""
        sign = "≥" if self.at_least else "≤"
        found = f"{self.value:.2f}{self.unit} (wanted {sign} {self.limit:g}{self.unit})"
        return f"{'met   ' if self.met else 'MISSED'}  {self.name}: {found}"


def targets(samples: Sequence[Any]) -> list[Target]:
    """Return the targets that these latency samples can tell of."""
    found = []
    for connections in (16, 64):
        ratio = compare(_cell(samples, 1, connections), lambda sample: sample.rps).c_over_b
        if ratio is not None:
            name = f"throughput c/b, 1 KB, {connections} connections"
            found.append(Target(name, ratio, THROUGHPUT_FLOOR, at_least=True))
    added = compare(_cell(samples, 1, 1), lambda sample: sample.p50_us).c_minus_b
    if added is not None:
        name = "added median latency c-b, 1 KB, 1 connection"
        found.append(Target(name, added / 1000, LATENCY_CEILING_US / 1000, at_least=False, unit=" ms"))
    return found


def _cell(samples: Sequence[Any], size_kb: int, connections: int) -> list[Any]:
    return [sample for sample in samples if (sample.size_kb, sample.connections) == (size_kb, connections)]
