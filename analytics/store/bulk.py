"""Many rows at once: COPY on PostgreSQL, one prepared INSERT on SQLite.

In: rows as tuples, a value for each column of the table in its order, as the driver takes them. Out: the rows, written:
`append` adds rows that nobody holds yet, `add_missing` those that nobody holds, `upsert` adds to the rows that are there.
COPY knows no conflicts, so on PostgreSQL the last two go through a temporary table and one INSERT ... SELECT ... ON CONFLICT.
Records are appended: under the writer's lock it is known what was there before, and that is deleted first (store/records);
COPY straight into their table costs 15 us a record, the way through a temporary table 25 (PostgreSQL 15, 2026-11).
Never: a commit; a value inside a statement.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Connection, MetaData, Table, delete, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError

from analytics.store import database

Row = tuple[Any, ...]


def append(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows whose keys nobody holds. Raises: sqlalchemy.exc.DBAPIError, IntegrityError when somebody does."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, rows)
    else:
        database.write_many(connection, _insert(connection.dialect, table), _columns(table), rows)


def add_missing(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add the rows whose keys nobody holds. Raises: sqlalchemy.exc.DBAPIError."""
    _write(connection, table, rows, None)


def upsert(connection: Connection, table: Table, rows: Sequence[Row], added: tuple[str, ...] = ()) -> None:
    """Add rows; where a key is held, sum up the columns `added` and replace the rest. No key twice in `rows`.

    Raises: sqlalchemy.exc.DBAPIError.
    """
    _write(connection, table, rows, added)


def _write(connection: Connection, table: Table, rows: Sequence[Row], added: tuple[str, ...] | None) -> None:
    if not rows:
        return
    dialect = connection.dialect
    if dialect.name != "postgresql":
        database.write_many(connection, _upsert(dialect, table, added), _columns(table), rows)
        return
    staging = f"{_staging(table).name} (LIKE {table.name})"
    connection.exec_driver_sql(f"CREATE TEMP TABLE IF NOT EXISTS {staging} ON COMMIT DELETE ROWS")
    connection.execute(delete(_staging(table)))  # of an earlier call in this transaction
    _copy(connection, _staging(table), rows)
    connection.execute(_merge(table, added))


def _copy(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    statement = _copying(connection.dialect, table)
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:  # as SQLAlchemy would have raised it: its classes are what callers know
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error


@cache
def _columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c)


@cache
def _copying(dialect: Dialect, table: Table) -> str:
    quoted = dialect.identifier_preparer
    return f"COPY {quoted.format_table(table)} ({', '.join(map(quoted.quote, _columns(table)))}) FROM STDIN"


@cache
def _staging(table: Table) -> Table:
    return table.to_metadata(MetaData(), name=f"staging_{table.name}")


@cache
def _insert(dialect: Dialect, table: Table) -> Any:
    return database.insert(dialect, table)


@cache
def _upsert(dialect: Dialect, table: Table, added: tuple[str, ...] | None) -> Any:
    return _on_conflict(database.insert(dialect, table), table, added)


@cache
def _merge(table: Table, added: tuple[str, ...] | None) -> Any:
    staged = postgresql.insert(table).from_select(list(_columns(table)), select(_staging(table)))
    return _on_conflict(staged, table, added)


def _on_conflict(statement: Any, table: Table, added: tuple[str, ...] | None) -> Any:
    keys = list(table.primary_key)
    if added is None:
        return statement.on_conflict_do_nothing(index_elements=keys)
    changed = {column.name: statement.excluded[column.name] for column in table.c if column not in keys}
    changed |= {name: table.c[name] + statement.excluded[name] for name in added}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)
