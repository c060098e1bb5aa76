"""Adding up: from final records to the sums of each bucket of each series, in every cube and grain.

In: records that came and records that they replace. Out: cells by (cube, grain, bucket, series), and the series met.
A record is read once, into the minute of all its dimensions; hours, days and the other cubes are sums of those.
Bounds: work by the record, writes by the minute and series; memory by cells, not by records.
Never: a database; an order that a dict or set gave.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import TypeVar

from analytics.store import distinct, sketch
from analytics.types import (
    ACTIONS,
    CUBES,
    DAY_S,
    HOUR_S,
    LEVELS,
    MINUTE_S,
    OUTCOMES,
    REFUSING,
    DecisionRow,
)

Series = tuple[str, str, str, str, str]  # tenant, model, user, endpoint, provider
Key = tuple[str, int, int, int]  # cube, grain_s, bucket_unix_s, series_id
Label = tuple[str, str, str]  # kind, label, level
# Labels that every record has are counted in the cubes of few rows only: in the others they would double what is written.
EVERYWHERE = frozenset({"threat", "rule", "surface"})
FEW_ROWS = frozenset({"tenants", "traffic"})

# 2**40: twelve days in microseconds, a thousand dollars in billionths, a trillion tokens; more is a sidecar gone wrong. Eight
# million such records fit into a sum; one that did not would have every later record of its bucket refused.
MOST = 2**40

_Slot = tuple[Series, int]  # a series, the start of a bucket
_K = TypeVar("_K", bound=Hashable)


@dataclass(slots=True)
class Cell:
    """The sums of one bucket of one series.

    Shape: latency and verdicts are sketches (of answers, of our verdicts); users holds hashes (store/distinct). Those and
    verdicts are kept in the cubes of few rows only.
    """

    counts: tuple[int, ...]
    latency: dict[int, int]
    labels: dict[Label, int]
    users: set[int] = field(default_factory=set)
    verdicts: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cells:
    """What a batch adds to the rollups. A label is left out of the cubes that do not keep it."""

    by_key: Mapping[Key, Cell]
    series: Mapping[int, Series]

    def labels(self) -> Iterator[tuple[Key, Label, int]]:
        """Yield every label's count."""
        for key, cell in self.by_key.items():
            for label, count in cell.labels.items():
                if key[0] in FEW_ROWS or label[0] in EVERYWHERE:
                    yield key, label, count


@lru_cache(maxsize=65_536)
def series_id(series: Series) -> int:
    """Return the id of a combination of dimensions: the same on every replica and in every rebuild.

    Bounds: 63 bits of BLAKE2b; among a million series two share an id with a chance of 1 to 18 million.
    """
    return int.from_bytes(blake2b("\x00".join(series).encode(), digest_size=8).digest()) >> 1


def add_up(added: Iterable[DecisionRow], removed: Iterable[DecisionRow] = ()) -> Cells:
    """Return the sums of the records added, less those removed."""
    minutes = _minutes(added, removed)
    hours = _summed(minutes, lambda slot: (slot[0], slot[1] - slot[1] % HOUR_S))
    traffic = {slot: _with_user(slot[0], cell) for slot, cell in minutes.items()}
    parts = {
        ("full", MINUTE_S): minutes,
        ("full", HOUR_S): hours,
        ("traffic", MINUTE_S): _summed(traffic, lambda slot: (_without_user(slot[0]), slot[1])),
        ("users", HOUR_S): _summed(hours, lambda slot: (_user_only(slot[0]), slot[1])),
    }
    parts["tenants", MINUTE_S] = _summed(parts["traffic", MINUTE_S], lambda slot: (_tenant_only(slot[0]), slot[1]))
    for cube in ("traffic", "tenants"):
        parts[cube, HOUR_S] = _summed(parts[cube, MINUTE_S], lambda slot: (slot[0], slot[1] - slot[1] % HOUR_S))
    for cube in CUBES:
        parts[cube, DAY_S] = _summed(parts[cube, HOUR_S], lambda slot: (slot[0], slot[1] - slot[1] % DAY_S))
    by_key = {
        (cube, grain_s, start, series_id(series)): cell
        for (cube, grain_s), cells in parts.items()
        for (series, start), cell in cells.items()
    }
    named = {series_id(series): series for cells in parts.values() for series, _ in cells}
    return Cells(by_key, named)


def _without_user(series: Series) -> Series:
    return series[0], series[1], "", series[3], series[4]


def _tenant_only(series: Series) -> Series:
    return series[0], "", "", "", ""


def _user_only(series: Series) -> Series:
    return series[0], "", series[2], "", ""


def _with_user(series: Series, cell: Cell) -> Cell:
    users = {distinct.hashed(series[0], series[2])} if series[2] else set()
    return Cell(cell.counts, cell.latency, cell.labels, users, cell.verdicts)


def _minutes(added: Iterable[DecisionRow], removed: Iterable[DecisionRow]) -> dict[_Slot, Cell]:
    found: dict[_Slot, list[Cell]] = defaultdict(list)
    for sign, rows in ((1, added), (-1, removed)):
        for row in rows:
            series = (row.tenant, row.model, row.user, row.endpoint, row.provider)
            found[series, row.started_unix_us // 60_000_000 * MINUTE_S].append(_cell(row, sign))
    return {slot: _sum(cells) for slot, cells in found.items()}


def _summed(cells: Mapping[_Slot, Cell], lead: Callable[[_Slot], _Slot]) -> dict[_Slot, Cell]:
    """Return the sums of the cells that lead to the same slot. A cell that is alone there is shared, never changed."""
    groups: dict[_Slot, list[Cell]] = defaultdict(list)
    for slot, cell in cells.items():
        groups[lead(slot)].append(cell)
    return {slot: _sum(group) for slot, group in groups.items()}


def _sum(cells: list[Cell]) -> Cell:
    if len(cells) == 1:
        return cells[0]
    counts = tuple(map(sum, zip(*(cell.counts for cell in cells), strict=True)))
    users = set().union(*(cell.users for cell in cells))
    latency, labels, verdicts = (_totals(map(attrgetter(name), cells)) for name in ("latency", "labels", "verdicts"))
    return Cell(counts, latency, labels, users, verdicts)


def _totals(parts: Iterable[Mapping[_K, int]]) -> dict[_K, int]:
    totals: dict[_K, int] = {}
    for part in parts:
        for key, count in part.items():
            totals[key] = totals.get(key, 0) + count
    return totals


def _cell(row: DecisionRow, sign: int) -> Cell:
    """Return one record as a cell."""
    latency_us = row.latency_us
    counts = _counts(row, latency_us)
    latency = {} if latency_us is None else {sketch.index(latency_us): sign}
    labels: dict[Label, int] = {}
    for label in _labels(row):
        labels[label] = labels.get(label, 0) + sign
    signed = counts if sign > 0 else tuple(-count for count in counts)
    return Cell(signed, latency, labels, verdicts={sketch.index(row.verdict_us): sign})


def _labels(row: DecisionRow) -> Iterator[Label]:
    for threat in row.threats:
        yield "threat", threat.type, row.level
        yield "rule", threat.rule_id, row.level
        yield "surface", threat.surface, row.level
    if row.finish_reason:
        yield "finish", row.finish_reason, ""


def _counts(row: DecisionRow, latency_us: int | None) -> tuple[int, ...]:
    """Return the values of COUNTERS. One that is beyond MOST counts as MOST: a sum must stay below 63 bits."""
    counts = (
        *_kinds(row.applied, row.would_be, row.level, row.outcome),
        0 if row.failure == "unspecified" else 1,
        0 if row.complete else 1,
        len(row.threats),
        row.prompt_tokens or 0,
        row.completion_tokens or 0,
        row.total_tokens or 0,
        0 if latency_us is None else 1,
        latency_us or 0,
        row.verdict_us,
        1 if row.fail_open else 0,
        1 if row.stream else 0,
        1 if row.refusal else 0,
        1 if row.attempt else 0,
        row.prompt_chars,
        row.response_chars,
        round(row.score * 1_000),
        0 if row.cost_nanousd is None else 1,
        row.cost_nanousd or 0,
        1 if row.first_byte_us else 0,
        row.first_byte_us,
    )
    if min(counts) >= -MOST and max(counts) <= MOST:
        return counts
    return tuple(max(-MOST, min(count, MOST)) for count in counts)


@lru_cache(maxsize=1_024)
def _kinds(applied: str, would_be: str, level: str, outcome: str) -> tuple[int, ...]:
    """Return the first values of COUNTERS, up to the outcomes."""
    return (
        1,
        *(int(applied == name) for name in ACTIONS),
        int(would_be in REFUSING),
        *(int(level == name) for name in LEVELS),
        *(int(outcome == name) for name in OUTCOMES),
    )
