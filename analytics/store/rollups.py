"""Rollups: what happened per minute, hour and day, by tenant, model, user, endpoint and provider.

In: final records that came (added) and final records that they replace (removed). Out: rows of rollups, threat_rollups
and series, changed by the difference. An exchange is counted once, when its record becomes final, in the buckets of
the time its request reached the sidecar; so late records land in the right bucket.
Every number is an integer and adding is all that happens, so `rebuild` from records gives the same rows.
Bounds: a batch costs one upsert per (grain, bucket, series) met in it, not per record.
Never: a commit; the caller holds the writer's transaction, because sketches are read, added to and written back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import database, sketch
from analytics.store.tables import COUNTERS, ROLLUPS, SERIES, THREAT_ROLLUPS
from analytics.types import ACTIONS, GRAINS_S, LEVELS, MINUTE_S, OUTCOMES, DecisionRow

Series = tuple[str, str, str, str, str]  # tenant, model, user, endpoint, provider
_Key = tuple[int, int, int]  # grain_s, bucket_unix_s, series_id

_PLACE = {name: place for place, name in enumerate(COUNTERS)}
_ACTION = {name: _PLACE[f"action_{name}"] for name in ACTIONS}
_LEVEL = {name: _PLACE[f"level_{name}"] for name in LEVELS}
_OUTCOME = {name: _PLACE[f"outcome_{name}"] for name in OUTCOMES}
_WOULD_REFUSE = _PLACE["would_refuse"]
_REFUSING = ("deny", "throttle")
_SERIES_COLUMNS = tuple(column.name for column in SERIES.c)
_ROLLUP_COLUMNS = tuple(column.name for column in ROLLUPS.c)
_THREAT_COLUMNS = tuple(column.name for column in THREAT_ROLLUPS.c)
_SUMS_FROM = _PLACE["inspection_failures"]


@dataclass(slots=True)
class _Cell:
    """The sums of one bucket of one series, while a batch is being added up."""

    counts: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))
    latency: dict[int, int] = field(default_factory=dict)
    threats: dict[tuple[str, str], int] = field(default_factory=dict)

    def __add__(self, other: "_Cell") -> "_Cell":
        """Return a new cell with the sums of both."""
        latency, threats = dict(self.latency), dict(self.threats)
        sketch.merge(latency, other.latency)
        for key, count in other.threats.items():
            threats[key] = threats.get(key, 0) + count
        return _Cell([mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)], latency, threats)


def series_id(series: Series) -> int:
    """Return the id of a combination of dimensions: the same on every replica and in every rebuild.

    Bounds: 63 bits of BLAKE2b; among a million series two share an id with a chance of 1 to 18 million.
    """
    return int.from_bytes(blake2b("\x00".join(series).encode(), digest_size=8).digest()) >> 1


def apply(connection: Connection, added: Iterable[DecisionRow], removed: Iterable[DecisionRow] = ()) -> None:
    """Count the added records and take back the removed ones."""
    minutes: dict[tuple[Series, int], _Cell] = defaultdict(_Cell)
    for sign, rows in ((1, added), (-1, removed)):
        for row in rows:
            series = (row.tenant, row.model, row.user, row.endpoint, row.provider)
            _add(minutes[series, row.started_unix_us // 60_000_000], row, sign)
    if minutes:
        _write(connection, minutes)


def _add(cell: _Cell, row: DecisionRow, sign: int) -> None:
    counts = cell.counts
    counts[0] += sign
    for places, name in ((_ACTION, row.applied), (_LEVEL, row.level), (_OUTCOME, row.outcome)):
        if name in places:
            counts[places[name]] += sign
    if row.would_be in _REFUSING:
        counts[_WOULD_REFUSE] += sign
    latency_us = row.latency_us
    if latency_us is not None:
        bucket = sketch.index(latency_us)
        cell.latency[bucket] = cell.latency.get(bucket, 0) + sign
    counts[_SUMS_FROM:] = [
        total + sign * value for total, value in zip(counts[_SUMS_FROM:], _sums(row, latency_us), strict=True)
    ]
    for threat in row.threats:
        key = (threat.type, row.level)
        cell.threats[key] = cell.threats.get(key, 0) + sign


def _sums(row: DecisionRow, latency_us: int | None) -> tuple[int, ...]:
    """Return the values of the columns from `inspection_failures` on."""
    return (
        row.failure != "unspecified",
        not row.complete,
        len(row.threats),
        row.prompt_tokens or 0,
        row.completion_tokens or 0,
        row.total_tokens or 0,
        latency_us is not None,
        latency_us or 0,
        row.verdict_us,
    )


def _write(connection: Connection, minutes: Mapping[tuple[Series, int], _Cell]) -> None:
    ids = {series: series_id(series) for series in dict.fromkeys(series for series, _ in minutes)}
    cells: dict[_Key, _Cell] = {}
    for (series, minute), cell in minutes.items():
        start = minute * MINUTE_S
        for grain_s in GRAINS_S:
            key = (grain_s, start - start % grain_s, ids[series])
            cells[key] = cells[key] + cell if key in cells else cell
    held = _held_sketches(connection, cells)
    rows = [(*key, *cell.counts, _merged(held.get(key), cell.latency)) for key, cell in sorted(cells.items(), key=_key)]
    threats = [(*key, *kind, count) for key, cell in cells.items() for kind, count in cell.threats.items()]
    dialect = connection.dialect
    database.write_many(connection, _insert_series(dialect), _SERIES_COLUMNS, [(i, *s) for s, i in ids.items()])
    database.write_many(connection, _upsert_rollup(dialect), _ROLLUP_COLUMNS, rows)
    database.write_many(connection, _upsert_threats(dialect), _THREAT_COLUMNS, sorted(threats))


_key = itemgetter(0)


def _merged(held: str | None, added: dict[int, int]) -> str:
    if not held or not added:
        return held or sketch.encode(added)
    counts = sketch.decode(held)
    sketch.merge(counts, added)
    return sketch.encode(counts)


def _held_sketches(connection: Connection, keys: Iterable[_Key]) -> dict[_Key, str]:
    wanted: dict[tuple[int, int], list[int]] = defaultdict(list)
    for grain_s, bucket, series in keys:
        wanted[grain_s, bucket].append(series)
    held: dict[_Key, str] = {}
    for (grain_s, bucket), series_ids in wanted.items():
        listed = database.listed(connection.dialect, series_ids)
        given = {"grain_s": grain_s, "bucket_unix_s": bucket, "series_ids": listed}
        for row in connection.execute(_select_sketches(connection.dialect), given):
            held[grain_s, bucket, row.series_id] = row.latency_sketch
    return held


@cache
def _select_sketches(dialect: Dialect) -> Select[Any]:
    return select(ROLLUPS.c.series_id, ROLLUPS.c.latency_sketch).where(
        ROLLUPS.c.grain_s == bindparam("grain_s"),
        ROLLUPS.c.bucket_unix_s == bindparam("bucket_unix_s"),
        database.among(dialect, ROLLUPS.c.series_id, "series_ids"),
    )


@cache
def _insert_series(dialect: Dialect) -> Any:
    return database.insert(dialect, SERIES).on_conflict_do_nothing(index_elements=[SERIES.c.series_id])


@cache
def _upsert_rollup(dialect: Dialect) -> Any:
    statement = database.insert(dialect, ROLLUPS)
    changed: dict[str, Any] = {name: ROLLUPS.c[name] + statement.excluded[name] for name in COUNTERS}
    changed["latency_sketch"] = statement.excluded.latency_sketch
    return statement.on_conflict_do_update(index_elements=list(ROLLUPS.primary_key), set_=changed)


@cache
def _upsert_threats(dialect: Dialect) -> Any:
    statement = database.insert(dialect, THREAT_ROLLUPS)
    changed = {"count": THREAT_ROLLUPS.c["count"] + statement.excluded["count"]}
    return statement.on_conflict_do_update(index_elements=list(THREAT_ROLLUPS.primary_key), set_=changed)


def rebuild(connection: Connection, batches: Iterable[Iterable[DecisionRow]]) -> None:
    """Replace all rollups by what the given final records say (records.all_finals reads them in batches)."""
    for table in (ROLLUPS, THREAT_ROLLUPS, SERIES):
        connection.execute(delete(table))
    for batch in batches:
        apply(connection, batch)
