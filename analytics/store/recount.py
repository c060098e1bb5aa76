"""Counting again: the sums of whole days, made anew from the records that are held.

In: the first day, an engine. Out: the same rows of rollups, label_rollups and door_calls that storing the records left.
One day is one transaction of the writer: deleted and counted again, so that readers see the old sums or the new ones, and
records that come meanwhile wait and are then added. Sidecars send what waited too long for its answer again.
Only days whose records are all held are counted: not those before the first record, nor those that retention has reached.
Bounds: BATCH records and the sums of a batch in memory; the writer is held for a day at a time.
Never: sums of a day whose records are gone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, select

from analytics.store import calls, database, partitions, records, rollups
from analytics.store.tables import DOOR_CALLS, LABEL_ROLLUPS, RECORDS, ROLLUPS
from analytics.types import DAY_S

BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Day:
    """What was counted again: a day (since 1970) and how many exchanges it had."""

    day: int
    exchanges: int


def since(engine: Engine, first: int, oldest: int, tell: Callable[[Day], None]) -> list[Day]:
    """Count every day from `first` on again; return them. oldest is the first day that retention has left whole.

    tell is given each day when it is committed. Raises: sqlalchemy.exc.DBAPIError; days told stay counted.
    """
    done: list[Day] = []
    for day in _days(engine, max(first, oldest)):
        with database.writing(engine) as connection:
            one = Day(day, _count(connection, day))
        tell(one)
        done.append(one)
    return done


def _days(engine: Engine, first: int) -> Iterator[int]:
    """Yield the days from the first record's on, up to the last record's or sum's."""
    started = RECORDS.c.started_unix_us
    with engine.connect() as connection:
        held = connection.execute(select(func.min(started), func.max(started))).one()
        counted = connection.execute(select(func.max(ROLLUPS.c.bucket_unix_s))).scalar() or 0
    if held[0] is not None:
        yield from range(max(first, partitions.today(held[0] / 1e6)), partitions.today(max(held[1] / 1e6, counted)) + 1)


def _count(connection: Connection, day: int) -> int:
    begin, end = day * DAY_S, (day + 1) * DAY_S
    for table in (ROLLUPS, LABEL_ROLLUPS):
        connection.execute(delete(table).where(table.c.bucket_unix_s >= begin, table.c.bucket_unix_s < end))
    hour = DOOR_CALLS.c.hour_unix_s
    connection.execute(delete(DOOR_CALLS).where(hour >= begin, hour < end))
    exchanges = 0
    for rows in records.finals_between(connection, begin * 1_000_000, end * 1_000_000, BATCH):
        rollups.apply(connection, rows)
        calls.apply(connection, rows)
        exchanges += len(rows)
    return exchanges
