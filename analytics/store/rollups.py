"""Rollups: what happened per minute, hour and day, in the four cubes of store/tables/rollups.py.

In: final records that came (added) and final records that they replace (removed). Out: rows of rollups, label_rollups
and series, changed by the difference. An exchange is counted once, when its record becomes final, in the buckets of
the time its request reached the sidecar; so late records land in the right bucket.
Every number is an integer, adding is all that happens, and what comes to nothing goes: so counting again from the records
(store/recount.py) gives the same rows. The users' sketch alone takes nothing back: a record has the user of the one it
replaces, and is one too many only where it also has another minute, model or endpoint.
Bounds: a batch costs one upsert per (cube, grain, bucket, series) met in it, not per record.
Never: a commit; the caller holds the writer's transaction, because sketches are read, added to and written back.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Delete, Select, Table, bindparam, delete, select
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import bulk, cells, database, distinct, sketch
from analytics.store.tables import LABEL_ROLLUPS, RECORDS, ROLLUPS, SERIES
from analytics.types import COUNTERS, DecisionRow

_Sketches = tuple[str, bytes, str]  # of latencies, of users, of verdicts
_Held = dict[cells.Key, _Sketches]
_MANY = (
    16  # series of a bucket from which reading it alone costs less than looking for each of them in other buckets too
)
_Place = tuple[str, int, int]  # cube, grain_s, bucket_unix_s


def apply(connection: Connection, added: Iterable[DecisionRow], removed: Iterable[DecisionRow] = ()) -> None:
    """Count the added records and take back the removed ones."""
    removed = list(removed)
    summed = cells.add_up(added, removed)
    write(connection, summed)
    if removed:
        _sweep(connection, summed.by_key)


def write(connection: Connection, summed: cells.Cells) -> None:
    """Add the sums of a batch to what is held."""
    held = _held_sketches(connection, summed.by_key)
    known = {key[3] for key in held}
    ordered = sorted(summed.by_key.items(), key=lambda one: one[0])
    rows = [(*key, *cell.counts, *_sketches(key[0], held.get(key, ("", b"", "")), cell)) for key, cell in ordered]
    labels = sorted((*key, *label, count) for key, label, count in summed.labels())
    new = [(identifier, *series) for identifier, series in sorted(summed.series.items()) if identifier not in known]
    bulk.add_missing(connection, SERIES, new)
    bulk.upsert(connection, ROLLUPS, rows, COUNTERS)
    bulk.upsert(connection, LABEL_ROLLUPS, labels, ("count",))


def _sketches(cube: str, held: _Sketches, cell: cells.Cell) -> _Sketches:
    latency, users, verdicts = held
    if cube in cells.FEW_ROWS:
        verdicts = _merged(verdicts, cell.verdicts)
    return _merged(latency, cell.latency), distinct.add(users, cell.users), verdicts


def _merged(held: str, added: dict[int, int]) -> str:
    if not held or not added:
        return held or sketch.encode(added)
    counts = sketch.decode(held)
    sketch.merge(counts, added)
    return sketch.encode(counts)


def _by_place(keys: Iterable[cells.Key]) -> Iterator[tuple[_Place, list[int]]]:
    places: dict[_Place, list[int]] = defaultdict(list)
    for cube, grain_s, bucket, series in keys:
        places[cube, grain_s, bucket].append(series)
    yield from sorted(places.items())


def _given(dialect: Dialect, place: _Place, series_ids: list[int]) -> dict[str, Any]:
    cube, grain_s, bucket = place
    return {"cube": cube, "grain_s": grain_s, "bucket": bucket, "series_ids": database.listed(dialect, series_ids)}


def _held_sketches(connection: Connection, keys: Iterable[cells.Key]) -> _Held:
    held: _Held = {}
    wanted = set(keys)
    dialect = connection.dialect
    statement = _select_sketches(dialect)
    for grain_s, buckets, series_ids in _reads(wanted):
        given = {"buckets": database.listed(dialect, buckets), "series_ids": database.listed(dialect, series_ids)}
        for cube, bucket, series, *sketches in connection.execute(statement, given | {"grain_s": grain_s}).all():
            if (key := (cube, grain_s, bucket, series)) in wanted:
                held[key] = sketches[0], sketches[1], sketches[2]
    return held


def _reads(keys: Iterable[cells.Key]) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yield grain, buckets and series of each read: a bucket of many series alone, those of few (late records) together."""
    places: dict[tuple[int, int], set[int]] = defaultdict(set)
    for _, grain_s, bucket, series in keys:
        places[grain_s, bucket].add(series)
    few: dict[int, tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
    for (grain_s, bucket), series_ids in sorted(places.items()):
        if len(series_ids) >= _MANY:
            yield grain_s, [bucket], sorted(series_ids)
        else:
            few[grain_s][0].add(bucket)
            few[grain_s][1].update(series_ids)
    for grain_s, (buckets, series_ids) in few.items():
        yield grain_s, sorted(buckets), sorted(series_ids)


def _sweep(connection: Connection, keys: Iterable[cells.Key]) -> None:
    """Delete what came to nothing of the given cells."""
    for place, series_ids in _by_place(keys):
        given = _given(connection.dialect, place, series_ids)
        connection.execute(_delete_empty(connection.dialect, ROLLUPS, "requests"), given)
        connection.execute(_delete_empty(connection.dialect, LABEL_ROLLUPS, "count"), given)


def _place(table: Table) -> ColumnElement[bool]:
    where = (table.c.cube == bindparam("cube")) & (table.c.grain_s == bindparam("grain_s"))
    return where & (table.c.bucket_unix_s == bindparam("bucket"))


def _among(dialect: Dialect, table: Table) -> ColumnElement[bool]:
    return _place(table) & database.among(dialect, table.c.series_id, "series_ids")


@cache
def _select_sketches(dialect: Dialect) -> Select[Any]:
    """Not by the cube: without statistics of a new bucket PostgreSQL would read all of it by the primary key, and filter."""
    sketches = (ROLLUPS.c.latency_sketch, ROLLUPS.c.users_sketch, ROLLUPS.c.verdict_sketch)
    buckets = database.among(dialect, ROLLUPS.c.bucket_unix_s, "buckets")
    place = (ROLLUPS.c.grain_s == bindparam("grain_s")) & buckets
    wanted = select(ROLLUPS.c.cube, ROLLUPS.c.bucket_unix_s, ROLLUPS.c.series_id, *sketches)
    return wanted.where(database.among(dialect, ROLLUPS.c.series_id, "series_ids"), place)


@cache
def _delete_empty(dialect: Dialect, table: Table, counter: str) -> Delete:
    return delete(table).where(_among(dialect, table), table.c[counter] == 0)


def missing(connection: Connection) -> bool:
    """Return True when records are held but no rollups: the schema moved on and left them to be counted again."""
    counted = connection.execute(select(ROLLUPS.c.series_id).limit(1)).first()
    return counted is None and connection.execute(select(RECORDS.c.decision_id).limit(1)).first() is not None


def rebuild(connection: Connection, batches: Iterable[Iterable[DecisionRow]]) -> None:
    """Replace all rollups by what the given final records say (records.all_finals reads them in batches)."""
    for table in (ROLLUPS, LABEL_ROLLUPS, SERIES):
        connection.execute(delete(table))
    for batch in batches:
        apply(connection, batch)
