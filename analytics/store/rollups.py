"""Rollups: what happened per minute, hour and day, in the three cubes of store/tables/rollups.py.

In: final records that came (added) and final records that they replace (removed). Out: rows of rollups, label_rollups
and series, changed by the difference. An exchange is counted once, when its record becomes final, in the buckets of
the time its request reached the sidecar; so late records land in the right bucket.
Every number is an integer and adding is all that happens, so `rebuild` from records gives the same rows.
Bounds: a batch costs one upsert per (cube, grain, bucket, series) met in it, not per record.
Never: a commit; the caller holds the writer's transaction, because sketches are read, added to and written back.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import database, sketch
from analytics.store.tables import LABEL_ROLLUPS, RECORDS, ROLLUPS, SERIES
from analytics.types import ACTIONS, COUNTERS, CUBES, LEVELS, MINUTE_S, OUTCOMES, REFUSING, DecisionRow

Series = tuple[str, str, str, str, str]  # tenant, model, user, endpoint, provider
_Key = tuple[str, int, int, int]  # cube, grain_s, bucket_unix_s, series_id
Label = tuple[str, str, str]  # kind, label, level

_PLACE = {name: place for place, name in enumerate(COUNTERS)}
_ACTION = {name: _PLACE[f"action_{name}"] for name in ACTIONS}
_LEVEL = {name: _PLACE[f"level_{name}"] for name in LEVELS}
_OUTCOME = {name: _PLACE[f"outcome_{name}"] for name in OUTCOMES}
_WOULD_REFUSE = _PLACE["would_refuse"]
_SERIES_COLUMNS = tuple(column.name for column in SERIES.c)
_ROLLUP_COLUMNS = tuple(column.name for column in ROLLUPS.c)
_LABEL_COLUMNS = tuple(column.name for column in LABEL_ROLLUPS.c)
_SUMS_FROM = _PLACE["inspection_failures"]


@dataclass(slots=True)
class _Cell:
    """The sums of one bucket of one series, while a batch is being added up."""

    counts: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))
    latency: dict[int, int] = field(default_factory=dict)
    labels: dict[Label, int] = field(default_factory=dict)

    def __add__(self, other: "_Cell") -> "_Cell":
        """Return a new cell with the sums of both."""
        latency, labels = dict(self.latency), dict(self.labels)
        sketch.merge(latency, other.latency)
        for key, count in other.labels.items():
            labels[key] = labels.get(key, 0) + count
        return _Cell([mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)], latency, labels)


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
    if row.would_be in REFUSING:
        counts[_WOULD_REFUSE] += sign
    latency_us = row.latency_us
    if latency_us is not None:
        bucket = sketch.index(latency_us)
        cell.latency[bucket] = cell.latency.get(bucket, 0) + sign
    counts[_SUMS_FROM:] = [
        total + sign * value for total, value in zip(counts[_SUMS_FROM:], _sums(row, latency_us), strict=True)
    ]
    for label in _labels(row):
        cell.labels[label] = cell.labels.get(label, 0) + sign


def _labels(row: DecisionRow) -> Iterator[Label]:
    for threat in row.threats:
        yield "threat", threat.type, row.level
        yield "rule", threat.rule_id, row.level
    if row.finish_reason:
        yield "finish", row.finish_reason, ""


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
        row.fail_open,
        row.stream,
        row.refusal,
        row.attempt > 0,
        row.prompt_chars,
        row.response_chars,
        round(row.score * 1_000),
        row.cost_nanousd is not None,
        row.cost_nanousd or 0,
        row.first_byte_us > 0,
        row.first_byte_us,
    )


def _projected(series: Series, cube: str) -> Series:
    tenant, model, user, endpoint, provider = series
    if cube == "users":
        return tenant, "", user, "", ""
    return (tenant, model, "", endpoint, provider) if cube == "traffic" else series


def _cubed(minutes: Mapping[tuple[Series, int], _Cell]) -> tuple[dict[_Key, _Cell], dict[Series, int]]:
    """Return the cells of every cube and grain, and the ids of the series met."""
    ids: dict[Series, int] = {}
    cells: dict[_Key, _Cell] = {}
    for (whole, minute), cell in minutes.items():
        for cube, grains in CUBES.items():
            series = _projected(whole, cube)
            identifier = ids.setdefault(series, ids.get(series) or series_id(series))
            for grain_s in grains:
                key = (cube, grain_s, minute * MINUTE_S // grain_s * grain_s, identifier)
                cells[key] = cells[key] + cell if key in cells else cell
    return cells, ids


def _write(connection: Connection, minutes: Mapping[tuple[Series, int], _Cell]) -> None:
    cells, ids = _cubed(minutes)
    held = _held_sketches(connection, cells)
    rows = [
        (*key, *cell.counts, _merged(held.get(key), cell.latency), b"") for key, cell in sorted(cells.items(), key=_key)
    ]
    labels = [(*key, *kind, count) for key, cell in cells.items() for kind, count in cell.labels.items()]
    dialect = connection.dialect
    database.write_many(connection, _insert_series(dialect), _SERIES_COLUMNS, [(i, *s) for s, i in ids.items()])
    database.write_many(connection, _upsert_rollup(dialect), _ROLLUP_COLUMNS, rows)
    database.write_many(connection, _upsert_labels(dialect), _LABEL_COLUMNS, sorted(labels))


_key = itemgetter(0)


def _merged(held: str | None, added: dict[int, int]) -> str:
    if not held or not added:
        return held or sketch.encode(added)
    counts = sketch.decode(held)
    sketch.merge(counts, added)
    return sketch.encode(counts)


def _held_sketches(connection: Connection, keys: Iterable[_Key]) -> dict[_Key, str]:
    wanted: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for cube, grain_s, bucket, series in keys:
        wanted[cube, grain_s, bucket].append(series)
    held: dict[_Key, str] = {}
    for (cube, grain_s, bucket), series_ids in wanted.items():
        listed = database.listed(connection.dialect, series_ids)
        given = {"cube": cube, "grain_s": grain_s, "bucket_unix_s": bucket, "series_ids": listed}
        for row in connection.execute(_select_sketches(connection.dialect), given):
            held[cube, grain_s, bucket, row.series_id] = row.latency_sketch
    return held


@cache
def _select_sketches(dialect: Dialect) -> Select[Any]:
    return select(ROLLUPS.c.series_id, ROLLUPS.c.latency_sketch).where(
        ROLLUPS.c.cube == bindparam("cube"),
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
    changed |= {name: statement.excluded[name] for name in ("latency_sketch", "users_sketch")}
    return statement.on_conflict_do_update(index_elements=list(ROLLUPS.primary_key), set_=changed)


@cache
def _upsert_labels(dialect: Dialect) -> Any:
    statement = database.insert(dialect, LABEL_ROLLUPS)
    changed = {"count": LABEL_ROLLUPS.c["count"] + statement.excluded["count"]}
    return statement.on_conflict_do_update(index_elements=list(LABEL_ROLLUPS.primary_key), set_=changed)


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
