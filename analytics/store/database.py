"""Connections: one engine a process, its SQLite settings, the one-writer lock, and the schema's migrations.

In: a database URL. Out: an Engine, `writing` transactions, the schema at its newest revision.
One writer at a time on both engines (BEGIN IMMEDIATE; an advisory lock on PostgreSQL): storing reads what is held and
adds to it, so two transactions at once could count an exchange twice. Readers are never held up by it. Within a process
writers queue at a lock of their engine: SQLite's own waiting is a poll that a busy writer can starve.
Never: statements about the data; they stand with the functions that return their rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    Table,
    Text,
    any_,
    bindparam,
    create_engine,
    event,
    select,
)
from sqlalchemy import func as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.dml import Insert

_MIGRATIONS = Path(__file__).parent / "migrations"
_JSON = msgspec.json.Encoder()
_WRITER_LOCK = 0x646F75616E65  # "douane": the key of PostgreSQL's advisory lock
# A writer asks by keys only; while a table fills, its statistics lag behind and would have whole tables read for them.
_KEYED = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off"
_TURNS: WeakKeyDictionary[Engine, Lock] = WeakKeyDictionary()
# WAL: readers see the last commit while one writes. FULL: a commit survives a power cut too, which it must: a sidecar
# forgets what was acknowledged. One flush a batch. Source: sqlite.org/pragma.html#pragma_synchronous.
# A checkpoint every 16 MB instead of 4: pages that many batches touch are written back once (a third of the commit's time).
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -32768",
    "PRAGMA wal_autocheckpoint = 4000",
)


def connect(url: str) -> Engine:
    """Return the engine of a database URL; a SQLite file's folder is made.

    Raises: sqlalchemy.exc.ArgumentError for an unknown URL; nothing is connected yet.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, pool_size=10)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, pool_size=10)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: see _begin_sqlite
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that nobody writes beside; committed at the end, rolled back on raise."""
    with (
        _TURNS.setdefault(engine, Lock()),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        if connection.dialect.name == "postgresql":
            connection.execute(select(sql.pg_advisory_xact_lock(_WRITER_LOCK)))
            connection.exec_driver_sql(_KEYED)
        yield connection


def migrate(engine: Engine) -> None:
    """Bring the schema to its newest revision. Doing it again changes nothing; two processes take turns."""
    with writing(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """Return the schema revision that the database is at, None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    """Return the schema revision that this program needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def among(dialect: Dialect, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return the condition that a column is one of the values given, through `listed`, as the parameter `name`.

    Bounds: one statement text however many values; with Core's in_() and a statement built anew for each batch, these
    reads cost three times as much (measured with tests/analytics/bench_ingest.py).
    """
    if dialect.name == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    values = sql.json_each(bindparam(name, type_=Text())).table_valued("value")
    return column.in_(select(values.c.value))


def listed(dialect: Dialect, values: Iterable[Any]) -> Any:
    """Return values as the parameter that `among` takes."""
    return list(values) if dialect.name == "postgresql" else _JSON.encode(list(values)).decode()


def one_of(dialect: Dialect, column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return the condition that a column is one of the given values, however many, as one parameter of no name."""
    given = listed(dialect, values)
    if dialect.name == "postgresql":
        return column == any_(bindparam(None, given, type_=ARRAY(column.type), unique=True))
    each = sql.json_each(bindparam(None, given, type_=Text(), unique=True)).table_valued("value")
    return column.in_(select(each.c.value))


def insert(dialect: Dialect, table: Table) -> Any:
    """Return the dialect's INSERT into a table: the one with ON CONFLICT, which Core itself does not have."""
    return postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)


@cache
def _compiled(statement: Insert, dialect: Dialect, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...] | None]:
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    positions = compiled.positiontup if compiled.positional else None
    return str(compiled), tuple(positions) if positions is not None else None


def write_many(connection: Connection, statement: Insert, columns: tuple[str, ...], rows: Sequence[Any]) -> None:
    """Run an INSERT for many rows, each a tuple of the columns' values as the driver takes them.

    Bounds: the statement is compiled once a process; without this, SQLAlchemy's handling of each row's parameters costs
    more than the insert itself (measured with tests/analytics/bench_ingest.py).
    """
    if not rows:
        return
    text, positions = _compiled(statement, connection.dialect, columns)
    if positions is None:
        connection.exec_driver_sql(text, [dict(zip(columns, row, strict=True)) for row in rows])
    else:
        if positions != columns:
            raise ValueError(f"the statement's placeholders {positions} are not in the order of {columns}")
        connection.exec_driver_sql(text, list(rows))
