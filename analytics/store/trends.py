"""What the trend rules look at, read from the cube "traffic" and from coverage: the costs are buckets and series, not calls.

In: the settings, a moment. Out: Facts, without budgets and risks: those belong to analytics/control, and are handed in.
Bounds: minutes of the last alert_window_s or alert_silence_s, hours of the last alert_usual_days, of one cube.
Never: a read of records; a write.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from analytics.config import Settings
from analytics.store import sketch
from analytics.store.tables import COVERAGE_SOURCES, ROLLUPS, SERIES, SIGHTS
from analytics.types import DAY_S, HOUR_S, MINUTE_S
from analytics.types.trends import Calls, Facts, Recent, SidecarState, Spending

_LATE_S = 2 * DAY_S  # sidecars not heard of for longer are not looked at


def read(connection: Connection, settings: Settings, now_unix_s: int) -> Facts:
    """Return the facts of a moment."""
    recent, usual = _latency(connection, settings, now_unix_s)
    hours = _hours(connection, settings, now_unix_s)
    return Facts(
        now_unix_s=now_unix_s,
        recent=recent,
        usual=usual,
        spending=_spending(hours, settings, now_unix_s),
        calls=_calls(connection, hours, settings, now_unix_s),
        sidecars=_sidecars(connection, now_unix_s),
    )


def _of(grain_s: int, start_unix_s: int, end_unix_s: int) -> list[Any]:
    bucket = ROLLUPS.c.bucket_unix_s
    return [ROLLUPS.c.cube == "traffic", ROLLUPS.c.grain_s == grain_s, bucket >= start_unix_s, bucket < end_unix_s]


def _joined(*columns: Any) -> Any:
    return select(*columns).join(SERIES, SERIES.c.series_id == ROLLUPS.c.series_id)


def _latency(
    connection: Connection, settings: Settings, now: int
) -> tuple[dict[tuple[str, str], Recent], dict[tuple[str, str], dict[int, int]]]:
    """Return the calls of each (tenant, model) in the last window, and the latency of the same hours of the days before."""
    columns = (SERIES.c.tenant, SERIES.c.model, ROLLUPS.c.latency_sketch)
    sums = (ROLLUPS.c.requests, ROLLUPS.c.outcome_failed, ROLLUPS.c.outcome_upstream_error)
    start = (now - settings.alert_window_s) // MINUTE_S * MINUTE_S
    latency: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    counts: Counter[tuple[str, str]] = Counter()
    errors: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(_joined(*columns, *sums).where(*_of(MINUTE_S, start, now + MINUTE_S))):
        key = (row.tenant, row.model)
        sketch.merge(latency[key], sketch.decode(row.latency_sketch))
        counts[key] += row.requests
        errors[key] += row.outcome_failed + row.outcome_upstream_error
    usual: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    same = ROLLUPS.c.bucket_unix_s.in_(_same_hours(start, now, settings.alert_usual_days))
    for row in connection.execute(_joined(*columns).where(*_of(HOUR_S, 0, start), same)):
        sketch.merge(usual[row.tenant, row.model], sketch.decode(row.latency_sketch))
    recent = {key: Recent(counts[key], errors[key], found) for key, found in latency.items()}
    return recent, {key: usual[key] for key in recent if key in usual}


def _same_hours(start: int, now: int, days: int) -> list[int]:
    """Return the hours of earlier days that a window touches."""
    hours = range(start // HOUR_S * HOUR_S, now + 1, HOUR_S)
    return [hour - day * DAY_S for day in range(1, days + 1) for hour in hours]


def _hours(connection: Connection, settings: Settings, now: int) -> dict[str, dict[int, tuple[int, int]]]:
    """Return (requests, nanousd) by tenant and hour, of the last days and the hour under way."""
    this_hour = now // HOUR_S * HOUR_S
    bucket = ROLLUPS.c.bucket_unix_s
    sums = (func.sum(ROLLUPS.c.requests).label("requests"), func.sum(ROLLUPS.c.cost_nanousd).label("nanousd"))
    window = _of(HOUR_S, this_hour - settings.alert_usual_days * DAY_S, this_hour + HOUR_S)
    statement = _joined(SERIES.c.tenant, bucket, *sums).where(*window).group_by(SERIES.c.tenant, bucket)
    hours: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for row in connection.execute(statement):
        hours[row.tenant][row.bucket_unix_s] = int(row.requests), int(row.nanousd)
    return hours


def _spending(hours: Mapping[str, Mapping[int, tuple[int, int]]], settings: Settings, now: int) -> dict[str, Spending]:
    this_hour = now // HOUR_S * HOUR_S
    found = {}
    for tenant, buckets in hours.items():
        same = [buckets.get(this_hour - day * DAY_S, (0, 0))[1] for day in range(1, settings.alert_usual_days + 1)]
        before = {hour: nanousd for hour, (_, nanousd) in buckets.items() if hour < this_hour}
        length = (this_hour - min(before)) // HOUR_S if before else 0
        mean = sum(before.values()) / length if length else 0.0
        found[tenant] = Spending(buckets.get(this_hour, (0, 0))[1], tuple(same), mean)
    return found


def _calls(
    connection: Connection, hours: Mapping[str, Mapping[int, tuple[int, int]]], settings: Settings, now: int
) -> dict[str, Calls]:
    start = now - settings.alert_silence_s
    statement = _joined(SERIES.c.tenant, func.sum(ROLLUPS.c.requests).label("requests"))
    window = _of(MINUTE_S, start // MINUTE_S * MINUTE_S, now + MINUTE_S)
    counts = {
        row.tenant: int(row.requests) for row in connection.execute(statement.where(*window).group_by(SERIES.c.tenant))
    }
    share = settings.alert_silence_s / HOUR_S
    hour = start // HOUR_S * HOUR_S
    return {
        tenant: Calls(
            counts.get(tenant, 0),
            tuple(
                buckets.get(hour - day * DAY_S, (0, 0))[0] * share for day in range(1, settings.alert_usual_days + 1)
            ),
        )
        for tenant, buckets in hours.items()
    }


def _sidecars(connection: Connection, now: int) -> tuple[SidecarState, ...]:
    named = ("source", "namespace", "pod", "machine", "last_seen_unix_s")
    statement = select(*(COVERAGE_SOURCES.c[name] for name in named)).where(
        COVERAGE_SOURCES.c.last_seen_unix_s >= now - _LATE_S
    )
    rows = connection.execute(statement.order_by(COVERAGE_SOURCES.c.source)).all()
    sources = [row.source for row in rows]
    sights, running = _sights(connection, sources, now), _running(connection, sources)
    return tuple(
        SidecarState(
            name="/".join(part for part in (row.namespace, row.pod) if part) or row.machine,
            source=row.source,
            last_seen_unix_s=int(row.last_seen_unix_s),
            running=row.source in running,
            sights=sights[row.source],
        )
        for row in rows
    )


def _sights(connection: Connection, sources: list[str], now: int) -> dict[str, Counter[str]]:
    since = now // HOUR_S * HOUR_S - HOUR_S
    columns = (SIGHTS.c.source, SIGHTS.c.kind)
    statement = select(*columns, func.sum(SIGHTS.c["count"]).label("total")).group_by(*columns)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in connection.execute(statement.where(SIGHTS.c.source.in_(sources), SIGHTS.c.hour_unix_s >= since)):
        found[row.source][row.kind] += int(row.total)
    return found


def _running(connection: Connection, sources: list[str]) -> set[str]:
    """Return the sources that began after they last ended. A source's revisions grow with each change it makes."""
    columns = (SIGHTS.c.source, SIGHTS.c.kind)
    kinds = SIGHTS.c.kind.in_(("starts", "clean_stops"))
    statement = select(*columns, func.max(SIGHTS.c.revision).label("revision")).where(
        SIGHTS.c.source.in_(sources), kinds
    )
    newest: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(statement.group_by(*columns)):
        newest[row.source][row.kind] = int(row.revision)
    return {source for source, found in newest.items() if found.get("starts", 0) > found.get("clean_stops", 0)}
