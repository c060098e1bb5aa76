"""Lists by one or two dimensions, most of something first, a page at a time: models, users, endpoints, providers, tenants.

In: a Slice and what to order by. Out: (key, totals) pairs. A page goes on after the last pair of the one before (its value
and key), so that pages neither repeat nor skip what has not moved meanwhile.
Bounds: the rows of the slice are read once; at most `limit` pairs leave the database.
Never: a read of records.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, tuple_

from analytics.store import cubes
from analytics.store.cubes import Slice
from analytics.types import COUNTERS, Totals

# What a list may be ordered by, and the counters that are added up for it.
SORTS: dict[str, tuple[str, ...]] = {
    "requests": ("requests",),
    "tokens": ("total_tokens",),
    "cost": ("cost_nanousd",),
    "threats": ("threats",),
    "errors": ("outcome_failed", "outcome_upstream_error"),
    "blocked": ("outcome_denied",),
    "risky": ("level_high", "level_critical"),
}


@dataclass(frozen=True, slots=True)
class By:
    """How a list is made.

    Shape: after is the (value, key) of the last pair already shown; counters are those the totals hold; pairs with less than
    `least` are left out.
    """

    keys: tuple[str, ...]
    sort: str
    limit: int
    after: tuple[int, tuple[str, ...]] | None = None
    counters: Sequence[str] = COUNTERS
    least: int = 0


def value(totals: Totals, sort: str) -> int:
    """Return what a pair is ordered by."""
    return sum(getattr(totals, name) for name in SORTS[sort])


def top(connection: Connection, asked: Slice, by: By) -> list[tuple[tuple[str, ...], Totals]]:
    """Return the pairs with the highest sums, highest first; those with the same in the order of their keys.

    Bounds: of many users only what they are ordered by is added up; the rest for those that are shown.
    """
    counters = tuple(dict.fromkeys((*by.counters, *SORTS[by.sort])))
    if "user" not in by.keys:
        return _ordered(connection, asked, by, counters)
    keys = [key for key, _ in _ordered(connection, asked, by, SORTS[by.sort])]
    if not keys:
        return []
    shown = replace(asked, series=cubes.series_of(connection, asked, by.keys, keys))
    found = cubes.sums(connection, shown, by.keys, counters)
    return [(key, found[key]) for key in keys]


def _ordered(
    connection: Connection, asked: Slice, by: By, counters: tuple[str, ...]
) -> list[tuple[tuple[str, ...], Totals]]:
    found = cubes.summing(connection, asked, by.keys, counters).subquery("f")
    keys = [found.c[name] for name in by.keys]
    total = sum((found.c[name] for name in SORTS[by.sort][1:]), start=found.c[SORTS[by.sort][0]])
    ordered = select(found).order_by(total.desc(), *keys).limit(by.limit)
    if by.least:
        ordered = ordered.where(total >= by.least)
    if by.after is not None:
        ordered = ordered.where(_after(total, keys, *by.after))
    width = len(by.keys)
    return [(tuple(row[:width]), cubes.totals(counters, row[width:])) for row in connection.execute(ordered)]


def _after(
    total: ColumnElement[Any], keys: Sequence[ColumnElement[Any]], value: int, key: Sequence[str]
) -> ColumnElement[bool]:
    return or_(total < value, and_(total == value, tuple_(*keys) > tuple_(*key)))
