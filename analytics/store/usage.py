"""Usage of a window, read from rollups: its cost is by buckets and series, not by requests.

In: a Window in whole buckets of one grain. Out: a Usage value; lists by one dimension, a page of it at a time; timelines; the
heat map of a week. Latency quantiles come from merged sketches.
Bounds: the lists of models, users and endpoints in Usage hold the TOP_NAMES busiest; totals hold everything.
Never: a read of records.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import Connection

from analytics.store import cubes, ranks, sketch
from analytics.store.cubes import BUCKET, Slice
from analytics.types import COUNTERS, DAY_S, HOUR_S, MINUTE_S, ThreatCount, Totals, Usage, Window

# What lists are made of; a list that adds up less is read faster.
LISTED = (
    *("requests", "outcome_answered", "outcome_denied", "outcome_failed", "outcome_upstream_error", "total_tokens"),
    *("prompt_tokens", "completion_tokens", "threats", "latency_count", "latency_us_sum", "priced", "cost_nanousd"),
    *("level_high", "level_critical"),
)
TOP_NAMES = 100
TOP_USERS = 3
# Up to two hours in minutes, up to two weeks in hours, days beyond: no timeline is longer than 366 buckets.
_GRAINS = ((2 * HOUR_S, MINUTE_S), (14 * DAY_S, HOUR_S))


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


def read(connection: Connection, window: Window, tenant: str | None = None) -> Usage:
    """Return what happened in a window."""
    asked = Slice(window, tenant)
    every = timeline(connection, asked)
    pairs = cubes.sums(connection, asked, ("model", "endpoint"), LISTED)
    return replace(
        _without_parts(connection, asked, _summed(every), _folded(pairs, 0)),
        users=_top_users(connection, asked),
        endpoints=_busiest(_folded(pairs, 1), {}),
        timeline=every,
        unique_users=cubes.distinct_users(connection, asked),
    )


def summary(connection: Connection, window: Window, tenant: str | None = None) -> Usage:
    """Return what happened in a window without its users, endpoints and timeline."""
    asked = Slice(window, tenant)
    models = cubes.sums(connection, asked, ("model",), LISTED)
    return _without_parts(connection, asked, totals(connection, asked), models)


def _without_parts(
    connection: Connection, asked: Slice, whole: Totals, models: Mapping[tuple[Any, ...], Totals]
) -> Usage:
    return Usage(
        window=asked.window,
        totals=whole,
        models=_busiest(models, cubes.sketches(connection, asked, ("model",))),
        threats=_threats(connection, asked),
        unique_models=sum(1 for (name,) in models if name),
    )


def _folded(sums: Mapping[tuple[Any, ...], Totals], place: int) -> dict[tuple[Any, ...], Totals]:
    """Return the sums by one part of their keys."""
    parts: dict[tuple[Any, ...], list[Totals]] = defaultdict(list)
    for key, one in sums.items():
        parts[(key[place],)].append(one)
    return {
        key: cubes.totals(LISTED, [sum(getattr(one, name) for one in found) for name in LISTED])
        for key, found in parts.items()
    }


def _summed(buckets: Sequence[tuple[int, Totals]]) -> Totals:
    """Return the sums of a timeline: a window's buckets hold everything in it."""
    latency: dict[int, int] = {}
    for _, one in buckets:
        sketch.merge(latency, one.latency)
    sums = {name: sum(getattr(one, name) for _, one in buckets) for name in COUNTERS}
    return replace(cubes.totals(COUNTERS, sums.values()), latency=latency)


def totals(connection: Connection, asked: Slice) -> Totals:
    """Return the sums of everything in a slice, with its latency sketch."""
    whole = cubes.sums(connection, asked).get((), Totals())
    return replace(whole, latency=cubes.sketches(connection, asked).get((), {}))


def counted(connection: Connection, asked: Slice, counters: Sequence[str]) -> dict[int, Totals]:
    """Return the sums of each bucket of a slice's window in which something happened, by its start."""
    return {start: one for (start,), one in cubes.sums(connection, asked, (BUCKET,), counters).items()}


def timeline(
    connection: Connection, asked: Slice, counters: Sequence[str] = COUNTERS
) -> tuple[tuple[int, Totals], ...]:
    """Return (bucket start, totals with latency sketch) of each bucket of a slice's window, with no gap."""
    held = counted(connection, asked, counters)
    latency = {start: one for (start,), one in cubes.sketches(connection, asked, (BUCKET,)).items()}
    window = asked.window
    return tuple(
        (start, replace(held.get(start, Totals()), latency=latency.get(start, {})))
        for start in range(window.start_unix_s, window.end_unix_s, window.grain_s)
    )


def heat(connection: Connection, asked: Slice, zone: tzinfo, counters: Sequence[str]) -> dict[tuple[int, int], Totals]:
    """Return the totals by (weekday from Monday 0, hour of the day) of a time zone; hours without requests are absent.

    Shape: an hour is a UTC hour; in zones that are off by half an hour it stands at the local hour it begins in.
    """
    window = asked.window
    hours = Window(window.start_unix_s // HOUR_S * HOUR_S, -(-window.end_unix_s // HOUR_S) * HOUR_S, HOUR_S)
    cells: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * len(counters))
    for (start,), one in cubes.sums(connection, replace(asked, window=hours), (BUCKET,), counters).items():
        local = datetime.fromtimestamp(start, zone)
        cell = cells[local.weekday(), local.hour]
        for place, name in enumerate(counters):
            cell[place] += getattr(one, name)
    return {key: cubes.totals(counters, cell) for key, cell in cells.items()}


def _top_users(connection: Connection, asked: Slice) -> tuple[tuple[str, Totals], ...]:
    found = ranks.top(connection, asked, ranks.By(("user",), "requests", TOP_NAMES, counters=LISTED))
    return tuple((name, one) for (name,), one in found)


def _busiest(
    sums: Mapping[tuple[Any, ...], Totals], sketches: Mapping[tuple[Any, ...], Mapping[int, int]]
) -> tuple[tuple[str, Totals], ...]:
    ordered = sorted(sums.items(), key=lambda one: (-one[1].requests, one[0]))[:TOP_NAMES]
    return tuple((str(key[0]), replace(one, latency=sketches.get(key, {}))) for key, one in ordered)


def _threats(connection: Connection, asked: Slice) -> tuple[ThreatCount, ...]:
    users: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for (name, user), threats in cubes.labels(connection, asked, "threat", ("label", "user")).items():
        users[name].append((threats, user))
    counts = [_counted(kind, sorted(found, key=lambda one: (-one[0], one[1]))) for kind, found in users.items()]
    return tuple(sorted(counts, key=lambda one: (-one.count, one.type)))


def _counted(kind: str, found: list[tuple[int, str]]) -> ThreatCount:
    return ThreatCount(kind, sum(count for count, _ in found), tuple(user for _, user in found[:TOP_USERS]))
