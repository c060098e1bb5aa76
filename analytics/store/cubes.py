"""Reading rollups: which cube answers a question, and in which grains, so that a query touches the fewest rows.

In: a Slice: a window, a tenant, values that dimensions must have. Out: sums, latency sketches and label counts, as a whole or
by dimensions or by bucket.
The cube is the smallest that tells the dimensions apart that are asked for. A window is read in the coarsest buckets
that fit into it (thirty days from noon to noon are 29 day rows and 24 hour rows of each series, not 720).
Bounds: rows touched = series met x (days + at most 46 hours + at most 118 minutes).
Rows that came to nothing (a record moved on to another series) are left out.
Never: a read of records; a value inside a statement.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, Table, func, select, tuple_, union_all
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import database, distinct, sketch
from analytics.store.tables import LABEL_ROLLUPS, ROLLUPS, SERIES
from analytics.types import COUNTERS, CUBES, HOUR_S, Totals, Window

DIMENSIONS = ("tenant", "model", "user", "endpoint", "provider")
BUCKET = "bucket_unix_s"


@dataclass(frozen=True, slots=True)
class Slice:
    """What is read.

    Shape: tenant None: every tenant's; equal holds the values that dimensions must have, by their names; series, when given,
    holds the ids of few series that alone are read.
    """

    window: Window
    tenant: str | None = None
    equal: Mapping[str, str] = field(default_factory=dict)
    series: Sequence[int] | None = None


def cube_of(dimensions: Iterable[str], grain_s: int) -> str:
    """Return the smallest cube that tells the dimensions apart and is kept in buckets of at most grain_s."""
    asked = set(dimensions) - {"tenant", BUCKET}
    if not asked:
        return "tenants"
    if "user" not in asked:
        return "traffic"
    return "users" if asked == {"user"} and grain_s >= HOUR_S else "full"


def pieces(window: Window, grains_s: Sequence[int]) -> tuple[Window, ...]:
    """Return windows that make up a window, in the coarsest of the grains that fit, in order.

    Shape: what no grain fits is widened to the finest one's buckets.
    """
    coarse, *finer = sorted(grains_s, reverse=True)
    start, end = window.start_unix_s, window.end_unix_s
    if start >= end:
        return ()
    if not finer:
        return (Window(start // coarse * coarse, -(-end // coarse) * coarse, coarse),)
    first, last = -(-start // coarse) * coarse, end // coarse * coarse
    if first >= last:
        return pieces(window, finer)
    before, after = Window(start, first, window.grain_s), Window(last, end, window.grain_s)
    return (*pieces(before, finer), Window(first, last, coarse), *pieces(after, finer))


@dataclass(frozen=True, slots=True)
class _Read:
    """One statement in the making: a table's columns, by keys, of the rows of a slice."""

    table: Table
    asked: Slice
    keys: Sequence[str]
    columns: Sequence[str]
    where: tuple[ColumnElement[bool], ...] = ()

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions that must be told apart."""
        return tuple(name for name in (*self.keys, *self.asked.equal) if name in DIMENSIONS)


def sums(
    connection: Connection, asked: Slice, keys: Sequence[str] = (), counters: Sequence[str] = COUNTERS
) -> dict[tuple[Any, ...], Totals]:
    """Return the totals by the values of the keys (dimensions or BUCKET); of everything under () without keys.

    Shape: what did not happen has no entry.
    """
    found = connection.execute(summing(connection, asked, keys, counters)).all()
    width = len(keys)
    return {tuple(row[:width]): totals(counters, row[width:]) for row in found if row[width] is not None}


def summing(
    connection: Connection, asked: Slice, keys: Sequence[str], counters: Sequence[str] = COUNTERS
) -> Select[Any]:
    """Return the statement of `sums`: the keys under their names, then the counters under theirs.

    Bounds: what is asked by names is added up by series first, so that a name is looked up once and not for each bucket
    (a third of the time for 3,000 users over 30 days).
    """
    read = _Read(ROLLUPS, asked, keys, counters, (ROLLUPS.c.requests > 0,))
    rows = _rows(connection, read)
    if read.dimensions and BUCKET not in keys:
        by_series = [func.sum(rows.c[name]).label(name) for name in counters]
        rows = select(rows.c.series_id, *by_series).group_by(rows.c.series_id).subquery("s")
    added = [func.sum(rows.c[name]).label(name) for name in counters]
    return _joined(read, rows, added).group_by(*_named(read, rows))


def totals(counters: Sequence[str], values: Iterable[Any]) -> Totals:
    """Return the totals of a row of sums. PostgreSQL adds up in numerics, which come as Decimal."""
    named: dict[str, Any] = dict(zip(counters, map(int, values), strict=True))
    return Totals(**named)


def sketches(
    connection: Connection, asked: Slice, keys: Sequence[str] = (), column: str = "latency_sketch"
) -> dict[tuple[Any, ...], dict[int, int]]:
    """Return the merged sketches by the values of the keys; that of everything under () without keys.

    Shape: verdict_sketch is kept in the cubes of few rows only (store/cells.FEW_ROWS), so not by user.
    """
    read = _Read(ROLLUPS, asked, keys, (column,), (ROLLUPS.c[column].not_in(("", "{}")),))
    rows = _rows(connection, read)
    merged: dict[tuple[Any, ...], dict[int, int]] = defaultdict(dict)
    for *key, text in connection.execute(_joined(read, rows, [rows.c[column]])):
        sketch.merge(merged[tuple(key)], sketch.decode(text))
    return dict(merged)


def labels(
    connection: Connection, asked: Slice, kind: str, keys: Sequence[str] = ("label",)
) -> dict[tuple[Any, ...], int]:
    """Return how often labels of a kind were counted, by the keys: "label", "level", BUCKET or dimensions.

    Shape: what every record has (store/cells.EVERYWHERE says what not every one has) is not counted by user.
    """
    read = _Read(LABEL_ROLLUPS, asked, keys, ("label", "level", "count"), (LABEL_ROLLUPS.c.kind == kind,))
    rows = _rows(connection, read)
    statement = _joined(read, rows, [func.sum(rows.c["count"])]).group_by(*_named(read, rows))
    return {tuple(key): int(count) for *key, count in connection.execute(statement) if count}


def distinct_users(connection: Connection, asked: Slice) -> int:
    """Return how many users there were, each tenant's counted apart, the nameless left out.

    Bounds: exact up to store/distinct.FEW, then with its standard error. Not of a slice of one user: nothing to count.
    """
    read = _Read(ROLLUPS, asked, (), ("users_sketch",), (ROLLUPS.c.users_sketch != b"",))
    rows = _rows(connection, read)
    found = connection.execute(_joined(read, rows, [rows.c.users_sketch])).scalars()
    return distinct.estimate(distinct.merge(found))


def _rows(connection: Connection, read: _Read) -> Subquery:
    """Return the rows of the window, in the cube that tells the dimensions apart, as one subquery over its pieces."""
    cube = cube_of(read.dimensions, read.asked.window.grain_s)
    grains_s = (read.asked.window.grain_s,) if BUCKET in read.keys else CUBES[cube]
    names = dict.fromkeys((*read.columns, *(name for name in read.keys if name not in DIMENSIONS)))
    picked = select(read.table.c.series_id, *(read.table.c[name] for name in names)).where(*read.where)
    series = read.asked.series
    if series is None and "user" in read.asked.equal:
        series = _series(connection, read.asked)
    selects = [
        picked.where(read.table.c.cube == cube, *_within(connection.dialect, read.table, part, series))
        for part in pieces(read.asked.window, grains_s)
    ]
    return (union_all(*selects) if len(selects) > 1 else selects[0]).subquery("r")


def _within(
    dialect: Dialect, table: Table, part: Window, series: Sequence[int] | None
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a piece. Of one user's few series each bucket is looked up by key, not scanned."""
    bucket, same_grain = table.c.bucket_unix_s, table.c.grain_s == part.grain_s
    if series is None:
        return same_grain, bucket >= part.start_unix_s, bucket < part.end_unix_s
    buckets = range(part.start_unix_s, part.end_unix_s, part.grain_s)
    return same_grain, database.one_of(dialect, bucket, buckets), database.one_of(dialect, table.c.series_id, series)


def _series(connection: Connection, asked: Slice) -> list[int]:
    return list(connection.execute(select(SERIES.c.series_id).where(*_having(asked))).scalars())


def series_of(
    connection: Connection, asked: Slice, keys: Sequence[str], values: Sequence[tuple[str, ...]]
) -> list[int]:
    """Return the ids of the series of a slice that have one of the values of the keys, in the cube that tells them apart."""
    same = tuple_(*(SERIES.c[name] for name in keys)).in_(values)
    cube = cube_of([*keys, *asked.equal], asked.window.grain_s)
    others = ("model", "endpoint", "provider") if cube == "users" else ()
    statement = select(SERIES.c.series_id).where(same, *_having(asked), *(SERIES.c[name] == "" for name in others))
    return list(connection.execute(statement).scalars())


def _having(asked: Slice) -> list[ColumnElement[bool]]:
    equal = dict(asked.equal) if asked.tenant is None else {"tenant": asked.tenant, **asked.equal}
    return [SERIES.c[name] == value for name, value in equal.items()]


def _named(read: _Read, rows: Subquery) -> list[ColumnElement[Any]]:
    return [SERIES.c[name] if name in DIMENSIONS else rows.c[name] for name in read.keys]


def _joined(read: _Read, rows: Subquery, picked: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Return the SELECT of keys and picked columns; series are joined only where their names are needed."""
    statement = select(*_named(read, rows), *picked).select_from(rows)
    if not read.dimensions and read.asked.tenant is None:
        return statement
    return statement.join(SERIES, SERIES.c.series_id == rows.c.series_id).where(*_having(read.asked))
