"""Partitions by day of records and threats on PostgreSQL: made ahead, made on demand, dropped when their time is over.

In: days, as numbers since 1970-01-01 UTC. Out: tables such as records_d20261118, holding the ids of that day.
The key of a partition is the decision_id itself: a UUIDv7 begins with its millisecond, so that an id leads to its partition,
stays the one primary key (an id is held once, whatever its record says of its start), and pages in its order.
Whatever has no partition of its own (a late day, a clock gone wrong, an id that is none) goes into <table>_default, so a
record never fails for want of one; making the partition of a day later moves its rows there.
Bounds: MOST partitions on demand, beyond them the default; a lock that is not had within LOCK_WAIT leaves things as they are.
Never: anything on SQLite, which has no partitions; there every function does nothing.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from analytics.store import database

TABLES = ("records", "threats")
AHEAD_DAYS = 7  # a week in which nobody need look after it
MOST = 1_000  # planning a query over all of them takes some 20 ms (PostgreSQL 15, measured 2026-11)
LOCK_WAIT = "2s"  # attaching wants the default partition alone for a moment; queries behind it wait as long
_DAY_MS = 86_400_000
_PARTITION = re.compile(rf"({'|'.join(TABLES)})_(d\d{{8}}|default)")
_EPOCH = date(1970, 1, 1)
_FIRST, _LAST = ((date(year, 1, 1) - _EPOCH).days for year in (2020, 2100))


def day_of(decision_id: str) -> int | None:
    """Return the day of an id, None when it holds no time between 2020 and 2100."""
    try:
        day = int(decision_id[:12], 16) // _DAY_MS
    except ValueError:
        return None
    return day if _FIRST <= day < _LAST else None


def first_id(unix_us: int) -> str:
    """Return what sorts before every id of that moment and later, and after every earlier id."""
    return f"{max(unix_us, 0) // 1_000:012x}"


def today(unix_s: float) -> int:
    """Return the day of a moment."""
    return int(unix_s // 86_400)


def named(day: int) -> str:
    """Return a day as people write it."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def is_one(table: str) -> bool:
    """Return True for the name of a partition."""
    return bool(_PARTITION.fullmatch(table))


def held(connection: Connection) -> set[int]:
    """Return the days that have a partition of records."""
    if connection.dialect.name != "postgresql":
        return set()
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'records'::regclass"
    names = [name.rpartition("_d")[2] for name in connection.execute(text(query)).scalars()]
    return {
        (datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC).date() - _EPOCH).days for name in names if name.isdigit()
    }


def make(engine: Engine, days: Iterable[int], most: int | None = None) -> bool:
    """Make the partitions of days that have none; return False when a lock was not to be had, and some may miss.

    Bounds: with `most`, none beyond so many in all; what they would have held goes to the default partition.
    """
    if engine.dialect.name != "postgresql":
        return True
    try:
        for day in sorted(days):
            with database.writing(engine) as connection:
                there = held(connection)
                if day not in there and (most is None or len(there) < most):
                    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'"))
                    for table in TABLES:
                        _attach(connection, table, day)
    except OperationalError as error:
        if not _timed_out(error):
            raise
        return False
    return True


def drop(engine: Engine, day: int) -> bool:
    """Drop the partitions of a day with all they hold; return False when a lock was not to be had."""
    if engine.dialect.name != "postgresql":
        return True
    try:
        with database.writing(engine) as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'"))
            for table in reversed(TABLES):
                connection.execute(text(f"DROP TABLE {_name(table, day)}"))
    except OperationalError as error:
        if not _timed_out(error):
            raise
        return False
    return True


def _timed_out(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlstate", "") == "55P03"  # lock_not_available


def _name(table: str, day: int) -> str:
    return f"{table}_d{_EPOCH + timedelta(days=day):%Y%m%d}"


def _attach(connection: Connection, table: str, day: int) -> None:
    """Make a partition beside its table, move into it what the default one holds of the day, and attach it.

    CREATE TABLE ... PARTITION OF would want the whole table alone; ATTACH wants the default partition only.
    """
    name, first, end = _name(table, day), f"{day * _DAY_MS:012x}", f"{(day + 1) * _DAY_MS:012x}"
    inside = f"decision_id >= '{first}' AND decision_id < '{end}'"
    taken = f"DELETE FROM {table}_default WHERE {inside} RETURNING *"  # noqa: S608 - our own names
    connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"))
    connection.execute(text(f"WITH moved AS ({taken}) INSERT INTO {name} SELECT * FROM moved"))  # noqa: S608
    connection.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{end}')"))
