"""Coverage: what sidecars report of what they did not inspect, stored; and the view of a window, inspected and not.

In: CoverageRows. Out: how many rows were new or later; a CoverageView.
Storing is idempotent: a row holds sums since its hour began under a revision, a later revision replaces it, others change nothing.
Bounds: reading costs rows of hours, not calls.
Never: a commit; the caller's transaction decides. Never a count of calls from anything but records.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, func, select
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import database
from analytics.store.tables import CALL_COUNTERS, COVERAGE_SOURCES, DOOR_CALLS, PASS_COUNTERS, PASS_THROUGH, SIGHTS
from analytics.types import (
    DAY_S,
    HOUR_S,
    CoverageRows,
    CoverageView,
    DoorCalls,
    PassedHost,
    PassThroughRow,
    SightRow,
    Window,
    Workload,
    WorkloadCoverage,
)

_HOURLY_DAYS = 14
_WORKLOAD = ("namespace", "pod", "service_account", "machine")
_HOST_KEY = ("hour_unix_s", "source", "door", "host", "llm", "listed")
_SIGHT_KEY = ("hour_unix_s", "source", "door", "kind")


def store(connection: Connection, rows: CoverageRows, now_unix_s: int) -> int:
    """Store a report; return how many of its rows were new or of a later revision."""
    workload = rows.workload
    source = {"source": rows.source, "last_seen_unix_s": now_unix_s}
    named = {name: getattr(workload, name) for name in _WORKLOAD}
    connection.execute(_upsert_source(connection.dialect), source | named)
    hosts = sum(_changed(connection, PASS_THROUGH, _values(rows.source, row)) for row in rows.hosts)
    return hosts + sum(_changed(connection, SIGHTS, _values(rows.source, row)) for row in rows.sights)


def _changed(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Write a row; return 1 when it was new or later. SQLAlchemy keeps an INSERT's rowcount only when asked to."""
    options = {"preserve_rowcount": True}
    result = connection.execute(_upsert(connection.dialect, table), values, execution_options=options)
    return int(result.rowcount)


def _values(source: str, row: PassThroughRow | SightRow) -> dict[str, Any]:
    return {"source": source} | {name: getattr(row, name) for name in row.__slots__}


@cache
def _upsert_source(dialect: Dialect) -> Any:
    statement = database.insert(dialect, COVERAGE_SOURCES)
    changed = {name: statement.excluded[name] for name in (*_WORKLOAD, "last_seen_unix_s")}
    return statement.on_conflict_do_update(index_elements=[COVERAGE_SOURCES.c.source], set_=changed)


@cache
def _upsert(dialect: Dialect, table: Table) -> Any:
    """Return the INSERT that replaces a row by a later revision only; its rowcount is 0 when nothing changed."""
    statement = database.insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    later = table.c.revision < statement.excluded.revision
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed, where=later)


def last(days: int, now_unix_s: float) -> Window:
    """Return the window of the last days, the bucket under way included: in hours up to two weeks, else in days."""
    grain_s = HOUR_S if days <= _HOURLY_DAYS else DAY_S
    end = int(now_unix_s) // grain_s * grain_s + grain_s
    return Window(end - days * DAY_S, end, grain_s)


def read(connection: Connection, window: Window) -> CoverageView:
    """Return what was inspected and what was not in a window of whole hours."""
    calls = _calls(connection, window)
    hosts = _hosts(connection, window)
    sights = _sights(connection, window)
    seen = _seen(connection)
    workloads = [
        _workload(one, seen.get(one), calls.get(one, ()), hosts.get(one, ()), sights.get(one, ()))
        for one in {*calls, *hosts, *sights}
    ]
    workloads.sort(key=_urgency)
    return CoverageView(window, tuple(workloads), _timeline(connection, window))


def _urgency(one: WorkloadCoverage) -> tuple[Any, ...]:
    llm = sum(host.connections for host in one.llm_hosts)
    return (
        -llm,
        -sum(host.connections for host in one.hosts),
        one.workload.namespace,
        one.workload.pod,
        one.workload.machine,
    )


def _workload(
    workload: Workload,
    seen: int | None,
    calls: Sequence[DoorCalls],
    hosts: Sequence[PassedHost],
    sights: Sequence[tuple[str, str, int]],
) -> WorkloadCoverage:
    ordered = sorted(hosts, key=lambda host: (not host.llm, not host.reached, -host.connections, host.host, host.door))
    return WorkloadCoverage(workload, seen, tuple(calls), tuple(ordered), tuple(sights))


def _within(table: Table, window: Window) -> Any:
    return table.c.hour_unix_s.between(window.start_unix_s, window.end_unix_s - 1)


def _named(table: Table) -> list[Any]:
    return [table.c[name] for name in _WORKLOAD]


def _calls(connection: Connection, window: Window) -> dict[Workload, list[DoorCalls]]:
    keys = [*_named(DOOR_CALLS), DOOR_CALLS.c.door]
    sums = [func.sum(DOOR_CALLS.c[name]).label(name) for name in CALL_COUNTERS]
    found: dict[Workload, list[DoorCalls]] = defaultdict(list)
    statement = select(*keys, *sums).where(_within(DOOR_CALLS, window)).group_by(*keys).order_by(*keys)
    for row in connection.execute(statement):
        counts = {name: int(getattr(row, name)) for name in CALL_COUNTERS}
        found[Workload(*row[:4])].append(DoorCalls(row.door, **counts))
    return found


def _hosts(connection: Connection, window: Window) -> dict[Workload, list[PassedHost]]:
    keys = [*_named(COVERAGE_SOURCES), *(PASS_THROUGH.c[name] for name in ("door", "host", "llm", "listed"))]
    sums = [func.sum(PASS_THROUGH.c[name]).label(name) for name in PASS_COUNTERS]
    # The newest moment and the client of it: moments have 16 digits (ingest sees to it), so their texts sort as they do.
    latest = func.max(cast(PASS_THROUGH.c.last_unix_us, Text) + " " + PASS_THROUGH.c.last_client).label("latest")
    joined = select(*keys, *sums, latest).join(COVERAGE_SOURCES, COVERAGE_SOURCES.c.source == PASS_THROUGH.c.source)
    found: dict[Workload, list[PassedHost]] = defaultdict(list)
    for row in connection.execute(joined.where(_within(PASS_THROUGH, window)).group_by(*keys)):
        moment, _, client = row.latest.partition(" ")
        values: dict[str, Any] = {name: int(getattr(row, name)) for name in PASS_COUNTERS}
        values |= {"door": row.door, "host": row.host, "llm": row.llm, "listed": bool(row.listed)}
        host = PassedHost(**values, last_client=client, last_unix_us=int(moment))
        found[Workload(*row[:4])].append(host)
    return found


def _sights(connection: Connection, window: Window) -> dict[Workload, list[tuple[str, str, int]]]:
    keys = [*_named(COVERAGE_SOURCES), SIGHTS.c.door, SIGHTS.c.kind]
    total = func.sum(SIGHTS.c["count"]).label("total")
    joined = select(*keys, total).join(COVERAGE_SOURCES, COVERAGE_SOURCES.c.source == SIGHTS.c.source)
    found: dict[Workload, list[tuple[str, str, int]]] = defaultdict(list)
    for row in connection.execute(joined.where(_within(SIGHTS, window)).group_by(*keys).order_by(*keys)):
        found[Workload(*row[:4])].append((row.door, row.kind, int(row.total)))
    return found


def _seen(connection: Connection) -> dict[Workload, int]:
    keys = _named(COVERAGE_SOURCES)
    statement = select(*keys, func.max(COVERAGE_SOURCES.c.last_seen_unix_s)).group_by(*keys)
    return {Workload(*row[:4]): int(row[4]) for row in connection.execute(statement)}


def _timeline(connection: Connection, window: Window) -> tuple[tuple[int, int, int, int], ...]:
    calls = _by_bucket(connection, DOOR_CALLS, window, DOOR_CALLS.c.requests)
    passed = _by_bucket(connection, PASS_THROUGH, window, PASS_THROUGH.c.connections)
    llm = _by_bucket(connection, PASS_THROUGH, window, PASS_THROUGH.c.connections, PASS_THROUGH.c.llm != "")
    buckets = range(window.start_unix_s, window.end_unix_s, window.grain_s)
    return tuple((start, calls[start], passed[start], llm[start]) for start in buckets)


def _by_bucket(connection: Connection, table: Table, window: Window, column: Any, *narrowed: Any) -> Counter[int]:
    hour = table.c.hour_unix_s
    statement = select(hour, func.sum(column)).where(_within(table, window), *narrowed).group_by(hour)
    buckets: Counter[int] = Counter()
    for start, total in connection.execute(statement):
        buckets[start - start % window.grain_s] += int(total)
    return buckets
