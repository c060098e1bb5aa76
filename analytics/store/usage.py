"""Usage of a window, read from rollups: its cost is by buckets and series, not by requests.

In: a Window in whole buckets of one grain. Out: a Usage value. Latency quantiles come from merged sketches.
Bounds: the lists of models, users and endpoints hold the TOP_NAMES busiest; totals hold everything.
Never: a read of records.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, distinct, func, select

from analytics.store import sketch
from analytics.store.tables import LABEL_ROLLUPS, ROLLUPS, SERIES
from analytics.types import COUNTERS, DAY_S, HOUR_S, MINUTE_S, ThreatCount, Totals, Usage, Window

TOP_NAMES = 100
TOP_USERS = 3
# Up to two hours in minutes, up to two weeks in hours, days beyond: no timeline is longer than 366 buckets.
_GRAINS = ((2 * HOUR_S, MINUTE_S), (14 * DAY_S, HOUR_S))
_SUMS = [func.sum(ROLLUPS.c[name]).label(name) for name in COUNTERS]


def last(seconds: int, now_unix_s: float) -> Window:
    """Return the window of the last so many seconds, the bucket under way included.

    Shape: it begins at the start of the bucket that holds now - seconds, so it is longer by up to one bucket.
    """
    window = between(int(now_unix_s) - seconds, int(now_unix_s))
    end = int(now_unix_s) - int(now_unix_s) % window.grain_s + window.grain_s
    return Window(window.start_unix_s, end, window.grain_s)


def between(start_unix_s: float, end_unix_s: float) -> Window:
    """Return the window that holds [start, end), widened to whole buckets of the grain that fits its length."""
    seconds = end_unix_s - start_unix_s
    grain_s = next((grain for longest, grain in _GRAINS if seconds <= longest), DAY_S)
    start = int(start_unix_s // grain_s * grain_s)
    return Window(start, max(int(-(-end_unix_s // grain_s) * grain_s), start + grain_s), grain_s)


def read(connection: Connection, window: Window) -> Usage:
    """Return what happened in a window."""
    models, timeline, every = _sketches(connection, window)
    totals = replace(_sums(connection, window, None).get(None, Totals()), latency=every)
    buckets = _sums(connection, window, ROLLUPS.c.bucket_unix_s)
    return Usage(
        window=window,
        totals=totals,
        models=_named(_sums(connection, window, SERIES.c.model), models),
        users=_named(_sums(connection, window, SERIES.c.user), {}),
        endpoints=_named(_sums(connection, window, SERIES.c.endpoint), {}),
        timeline=tuple(
            (start, replace(buckets.get(start, Totals()), latency=timeline.get(start, {})))
            for start in range(window.start_unix_s, window.end_unix_s, window.grain_s)
        ),
        threats=_threats(connection, window),
        unique_users=_distinct(connection, window, SERIES.c.user),
        unique_models=_distinct(connection, window, SERIES.c.model),
    )


def _within(table: Any, window: Window, cube: str = "full") -> tuple[ColumnElement[bool], ...]:
    bucket = table.c.bucket_unix_s
    return (
        table.c.cube == cube,
        table.c.grain_s == window.grain_s,
        bucket >= window.start_unix_s,
        bucket < window.end_unix_s,
    )


def _sums(connection: Connection, window: Window, key: Column[Any] | None) -> dict[Any, Totals]:
    """Return the totals by the values of a column, most requests first; under None when no column is given."""
    statement = select(*_SUMS).where(*_within(ROLLUPS, window))
    if key is not None:
        joined = statement.add_columns(key.label("key")).join(SERIES, SERIES.c.series_id == ROLLUPS.c.series_id)
        statement = joined.group_by(key).order_by(func.sum(ROLLUPS.c.requests).desc(), key)
    rows = [row for row in connection.execute(statement) if row.requests is not None]
    return {getattr(row, "key", None): _totals(row) for row in rows}


def _totals(row: Any) -> Totals:
    sums: dict[str, Any] = {name: int(getattr(row, name)) for name in COUNTERS}
    return Totals(**sums)


def _named(sums: Mapping[str, Totals], sketches: Mapping[str, Mapping[int, int]]) -> tuple[tuple[str, Totals], ...]:
    busiest = list(sums.items())[:TOP_NAMES]
    return tuple((name, replace(totals, latency=sketches.get(name, {}))) for name, totals in busiest)


def _sketches(
    connection: Connection, window: Window
) -> tuple[dict[str, dict[int, int]], dict[int, dict[int, int]], dict[int, int]]:
    """Return the merged latency sketches by model, by bucket, and of everything."""
    models: dict[str, dict[int, int]] = defaultdict(dict)
    buckets: dict[int, dict[int, int]] = defaultdict(dict)
    every: dict[int, int] = {}
    columns = (SERIES.c.model, ROLLUPS.c.bucket_unix_s, ROLLUPS.c.latency_sketch)
    statement = select(*columns).join(SERIES, SERIES.c.series_id == ROLLUPS.c.series_id)
    for model, bucket, text in connection.execute(
        statement.where(*_within(ROLLUPS, window), ROLLUPS.c.latency_count > 0)
    ):
        counts = sketch.decode(text)
        sketch.merge(models[model], counts)
        sketch.merge(buckets[bucket], counts)
    for counts in models.values():
        sketch.merge(every, counts)
    return models, buckets, every


def _threats(connection: Connection, window: Window) -> tuple[ThreatCount, ...]:
    count = func.sum(LABEL_ROLLUPS.c["count"]).label("threats")
    kind = LABEL_ROLLUPS.c.label
    statement = select(kind, SERIES.c.user, count).join(SERIES, SERIES.c.series_id == LABEL_ROLLUPS.c.series_id)
    joined = statement.where(*_within(LABEL_ROLLUPS, window), LABEL_ROLLUPS.c.kind == "threat")
    users: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name, user, threats in connection.execute(joined.group_by(kind, SERIES.c.user)):
        if threats:
            users[name].append((int(threats), user))
    counts = [_counted(kind, sorted(found, key=lambda one: (-one[0], one[1]))) for kind, found in users.items()]
    return tuple(sorted(counts, key=lambda one: (-one.count, one.type)))


def _counted(kind: str, found: list[tuple[int, str]]) -> ThreatCount:
    return ThreatCount(kind, sum(count for count, _ in found), tuple(user for _, user in found[:TOP_USERS]))


def _distinct(connection: Connection, window: Window, column: Column[Any]) -> int:
    statement = select(func.count(distinct(column))).join(ROLLUPS, SERIES.c.series_id == ROLLUPS.c.series_id)
    return connection.execute(statement.where(*_within(ROLLUPS, window), column != "")).scalar_one()
