"""How long things are kept: partitions made ahead, old records and old sums taken away.

In: what is kept how long, a time. Out: what was taken away. On PostgreSQL the partitions of days gone by are dropped, and what
is old in the default ones is deleted; SQLite deletes in slices, so that ingest gets its turn between them.
A day is kept or goes as a whole, so that what is left can be counted again (store/recount.py).
Bounds: SLICE records a transaction; an hour of sums a minute each, 60 hours of sums an hour each, 60 days of sums a day each.
Never: a day that is to be kept. A lock that is not had leaves the rest for the next time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, MetaData, Table, delete, exists, func, select

from analytics.store import database, partitions
from analytics.store.tables import DOOR_CALLS, LABEL_ROLLUPS, RECORDS, ROLLUPS, SERIES, THREATS
from analytics.types import CUBES, DAY_S, HOUR_S, MINUTE_S

SLICE = 5_000
Guard = Callable[[Connection], None]


class Limits(Protocol):
    """The settings that say how long."""

    retention_days: int
    retention_minutes_days: int
    retention_hours_days: int
    retention_daily_days: int


@dataclass(frozen=True, slots=True)
class Keep:
    """How many days records, and sums of each grain, are kept; the day under way not counted. 0 days of sums: for ever."""

    records: int
    minutes: int
    hours: int
    days: int

    def grains(self) -> dict[int, int]:
        """Return the days by grain, those without end left out."""
        kept = {MINUTE_S: self.minutes, HOUR_S: self.hours, DAY_S: self.days}
        return {grain_s: days for grain_s, days in kept.items() if days}


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken away: days by dropping their partitions, and rows by deleting them."""

    days: int
    records: int
    sums: int


def keep_of(settings: Limits) -> Keep:
    """Return what the settings say."""
    limits = (settings.retention_minutes_days, settings.retention_hours_days, settings.retention_daily_days)
    return Keep(settings.retention_days, *limits)


def tend(engine: Engine, keep: Keep, now_unix_s: float, guard: Guard = lambda _connection: None) -> Removed:
    """Make the partitions of the days to come, take away what is too old. guard is called first in each transaction.

    Raises: what guard raises; nothing is half done then.
    """
    today = partitions.today(now_unix_s)
    partitions.make(engine, range(today, today + partitions.AHEAD_DAYS + 1))
    oldest = today - keep.records
    with engine.connect() as connection:
        gone = sorted(day for day in partitions.held(connection) if day < oldest)
    dropped = 0
    for day in gone:
        with database.writing(engine) as connection:
            guard(connection)
        dropped += partitions.drop(engine, day)
    deleted = _until_none(engine, guard, lambda connection: _delete_records(connection, oldest * DAY_S))
    sums = sum(_delete_sums(engine, guard, grain_s, (today - days) * DAY_S) for grain_s, days in keep.grains().items())
    if sums:
        _until_none(engine, guard, _delete_series)
    return Removed(dropped, deleted, sums)


def _until_none(engine: Engine, guard: Guard, work: Callable[[Connection], int]) -> int:
    """Do the work in transactions of its own until there is none; return how much there was."""
    whole = 0
    while True:
        with database.writing(engine) as connection:
            guard(connection)
            done = work(connection)
        whole += done
        if not done:
            return whole


def _delete_records(connection: Connection, before_unix_s: int) -> int:
    records, threats = _unparted(connection, RECORDS), _unparted(connection, THREATS)
    old = select(records.c.decision_id).where(records.c.started_unix_us < before_unix_s * 1_000_000).limit(SLICE)
    ids = list(connection.execute(old).scalars())
    for table in (threats, records):
        connection.execute(delete(table).where(database.one_of(connection.dialect, table.c.decision_id, ids)))
    return len(ids)


def _unparted(connection: Connection, table: Table) -> Table:
    """Return the table in which rows are old one by one: on PostgreSQL that of the days without a partition."""
    return (
        table.to_metadata(MetaData(), name=f"{table.name}_default")
        if connection.dialect.name == "postgresql"
        else table
    )


def _delete_sums(engine: Engine, guard: Guard, grain_s: int, before_unix_s: int) -> int:
    deleted = 0
    for table in (ROLLUPS, LABEL_ROLLUPS):
        for cube in CUBES:
            where = (table.c.cube == cube) & (table.c.grain_s == grain_s)
            chunk = _Chunk(table, table.c.bucket_unix_s, where, 60 * grain_s, before_unix_s)
            deleted += _until_none(engine, guard, chunk.delete)
    if grain_s == HOUR_S:
        hour = DOOR_CALLS.c.hour_unix_s
        deleted += _until_none(engine, guard, _Chunk(DOOR_CALLS, hour, hour >= 0, 60 * HOUR_S, before_unix_s).delete)
    return deleted


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The oldest part of a table's sums."""

    table: Table
    bucket: Any
    where: Any
    seconds: int
    before_unix_s: int

    def delete(self, connection: Connection) -> int:
        """Delete it, as far as it is too old; return how many rows that were."""
        first = connection.execute(select(func.min(self.bucket)).where(self.where)).scalar()
        if first is None or first >= self.before_unix_s:
            return 0
        end = min(first + self.seconds, self.before_unix_s)
        statement = delete(self.table).where(self.where, self.bucket < end)
        return int(connection.execute(statement).rowcount)


def _delete_series(connection: Connection) -> int:
    """Delete the names of series that nothing is left of: among them are people's."""
    used = exists().where(ROLLUPS.c.series_id == SERIES.c.series_id)
    unused = list(connection.execute(select(SERIES.c.series_id).where(~used).limit(SLICE)).scalars())
    connection.execute(delete(SERIES).where(database.one_of(connection.dialect, SERIES.c.series_id, unused)))
    return len(unused)
