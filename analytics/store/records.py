"""Records and their threats: storing batches, reading some by their ids, reading all.

In: DecisionRow values. Out: what storing did (Stored), DecisionRow values as they are held.
Storing is idempotent: a record with a later stage replaces the one held, the same or an earlier stage changes nothing,
and the rollups move in the same transaction, by difference where a final record is replaced by a fuller one.
Never: a commit; the caller's transaction (database.writing) decides. Never text of a record inside a statement.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Delete, RowMapping, Select, Table, bindparam, delete, select
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import bulk, calls, database, partitions, rollups
from analytics.store.tables import RECORDS, THREATS
from analytics.types import FINAL_RANK, STAGE_RANKS, Change, DecisionRow, Stored, ThreatRow

_RECORD_COLUMNS = tuple(column.name for column in RECORDS.c)
_RECORD_VALUES = attrgetter(*(name for name in _RECORD_COLUMNS if name != "detail"))
_THREAT_VALUES = attrgetter(*(one.name for one in fields(ThreatRow)))
_JSON = msgspec.json.Encoder()
_NOTHING = ("", 0.0)  # stage and score of what was not held before


def store(connection: Connection, rows: Sequence[DecisionRow]) -> Stored:
    """Store a batch and count it in the rollups; return what changed.

    Shape: several rows of one decision_id are taken in their order; stored + unchanged == len(rows).
    Raises: sqlalchemy.exc.DBAPIError; nothing of the batch is stored then, once the caller rolls back.
    """
    held, owners = _stages(connection, rows)
    newest: dict[str, DecisionRow] = {}
    ranks = {decision_id: STAGE_RANKS[stage] for decision_id, (stage, _) in held.items()}
    taken = []
    for row in rows:
        rank = STAGE_RANKS[row.stage]
        # A record stays its tenant's: an id that another tenant's sidecar sends again changes nothing.
        mine = owners.setdefault(row.decision_id, row.tenant) == row.tenant
        taken.append(mine and rank > ranks.get(row.decision_id, 0))
        if taken[-1]:
            ranks[row.decision_id] = rank
            newest[row.decision_id] = row
    counted = [one for one in newest if one in held and STAGE_RANKS[held[one][0]] >= FINAL_RANK]
    superseded = read(connection, counted)
    _write(connection, list(newest.values()), replaced=[one for one in newest if one in held])
    finals = [row for row in newest.values() if row.final]
    if finals:
        rollups.apply(connection, finals, superseded.values())
        calls.apply(connection, finals, superseded.values())
    first = tuple(row for row in finals if row.decision_id not in superseded)
    changes = tuple(Change(row, *held.get(one, _NOTHING)) for one, row in newest.items())
    return Stored(sum(taken), len(rows) - sum(taken), first, changes, tuple(taken))


def _stages(connection: Connection, rows: Iterable[DecisionRow]) -> tuple[dict[str, tuple[str, float]], dict[str, str]]:
    """Return (stage, score), and the tenant, of what is held, by id."""
    statement = _select_stages(connection.dialect)
    found = [
        row
        for given in _by_day(connection.dialect, {row.decision_id for row in rows})
        for row in connection.execute(statement, given)
    ]
    return {row[0]: (row[1], row[2]) for row in found}, {row[0]: row[3] for row in found}


def _by_day(dialect: Dialect, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield ids as parameters of `_among`, those of a day together: PostgreSQL looks into the partition of it only."""
    days: dict[int | None, list[str]] = defaultdict(list)
    for one in sorted(ids):
        days[partitions.day_of(one)].append(one)
    for found in days.values():
        yield {"first": found[0], "last": found[-1], "ids": database.listed(dialect, found)}


def _among(dialect: Dialect, table: Table) -> ColumnElement[bool]:
    column = table.c.decision_id
    return column.between(bindparam("first"), bindparam("last")) & database.among(dialect, column, "ids")


@cache
def _select_stages(dialect: Dialect) -> Select[Any]:
    columns = RECORDS.c.decision_id, RECORDS.c.stage, RECORDS.c.score, RECORDS.c.tenant
    return select(*columns).where(_among(dialect, RECORDS))


@cache
def _delete(dialect: Dialect, table: Table) -> Delete:
    return delete(table).where(_among(dialect, table))


def _write(connection: Connection, rows: Sequence[DecisionRow], replaced: Sequence[str]) -> None:
    for given in _by_day(connection.dialect, replaced):
        for table in (THREATS, RECORDS):
            connection.execute(_delete(connection.dialect, table), given)
    records = [values(row) for row in rows]
    threats = [(row.decision_id, *_THREAT_VALUES(threat)) for row in rows for threat in row.threats]
    bulk.append(connection, RECORDS, records)
    bulk.append(connection, THREATS, threats)


def values(row: DecisionRow) -> bulk.Row:
    """Return a record's columns, as drivers take them."""
    return (*_RECORD_VALUES(row), _JSON.encode(row.detail).decode())


def read(connection: Connection, ids: Sequence[str]) -> dict[str, DecisionRow]:
    """Return the records held under the given ids, whole, by id; ids that are not held are absent."""
    if not ids:
        return {}
    rows = _with_threats(connection, select(RECORDS).where(RECORDS.c.decision_id.in_(ids)))
    return {row.decision_id: row for row in rows}


def all_finals(connection: Connection, batch: int = 1_000) -> Iterator[list[DecisionRow]]:
    """Yield every final record, oldest first, in lists of at most `batch`."""
    after = ""
    while True:
        statement = select(RECORDS).where(RECORDS.c.decision_id > after, RECORDS.c.stage != "verdict")
        rows = _with_threats(connection, statement.order_by(RECORDS.c.decision_id).limit(batch))
        if not rows:
            return
        yield rows
        after = rows[-1].decision_id


def finals_between(connection: Connection, from_us: int, to_us: int, batch: int) -> Iterator[list[DecisionRow]]:
    """Yield the final records that started in [from_us, to_us), in no order, in lists of at most `batch`.

    Bounds: a batch in memory: the rows are streamed from the database.
    """
    within = (RECORDS.c.started_unix_us >= from_us) & (RECORDS.c.started_unix_us < to_us)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = on")  # what an index of block ranges is read by
    statement = select(RECORDS).where(within, RECORDS.c.stage != "verdict")
    found = connection.execute(statement, execution_options={"yield_per": batch})
    for part in found.mappings().partitions():
        yield _whole(connection, part)


def last_started_unix_us(connection: Connection) -> int | None:
    """Return when the newest exchange held began, None when none is held."""
    statement = select(RECORDS.c.started_unix_us).order_by(RECORDS.c.decision_id.desc()).limit(1)
    return connection.execute(statement).scalar()


def _with_threats(connection: Connection, statement: Select[Any]) -> list[DecisionRow]:
    return _whole(connection, connection.execute(statement).mappings().all())


def _whole(connection: Connection, records: Sequence[RowMapping]) -> list[DecisionRow]:
    """Return records with their threats."""
    threats: dict[str, list[ThreatRow]] = defaultdict(list)
    ids = [record["decision_id"] for record in records]
    mine = database.one_of(connection.dialect, THREATS.c.decision_id, ids)
    found = select(THREATS).where(mine).order_by(THREATS.c.decision_id, THREATS.c.position)
    for decision_id, *values in connection.execute(found):
        threats[decision_id].append(ThreatRow(*values))
    return [DecisionRow(**record, threats=tuple(threats[record["decision_id"]])) for record in records]
