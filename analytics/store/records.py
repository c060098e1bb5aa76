"""Records and their threats: storing batches, reading one, reading pages.

In: DecisionRow values. Out: what storing did (Stored), DecisionRow values as they are held.
Storing is idempotent: a record with a later stage replaces the one held, the same or an earlier stage changes nothing,
and the rollups move in the same transaction, by difference where a final record is replaced by a fuller one.
Never: a commit; the caller's transaction (database.writing) decides. Never text of a record inside a statement.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, delete, exists, select
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import calls, database, rollups
from analytics.store.tables import RECORDS, THREATS
from analytics.types import FINAL_RANK, STAGE_RANKS, Change, DecisionRow, Stored, ThreatRow

_RECORD_COLUMNS = tuple(column.name for column in RECORDS.c)
_THREAT_COLUMNS = tuple(column.name for column in THREATS.c)
_RECORD_VALUES = attrgetter(*(name for name in _RECORD_COLUMNS if name != "detail"))
_THREAT_VALUES = attrgetter(*(one.name for one in fields(ThreatRow)))
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Filter:
    """What a page of decisions is narrowed to; None asks for nothing. Times are half-open [from, to)."""

    equal: Mapping[str, str] = field(default_factory=dict)
    min_score: float | None = None
    threat_type: str | None = None
    from_unix_us: int | None = None
    to_unix_us: int | None = None


def store(connection: Connection, rows: Sequence[DecisionRow]) -> Stored:
    """Store a batch and count it in the rollups; return what changed.

    Shape: several rows of one decision_id are taken in their order; stored + unchanged == len(rows).
    Raises: sqlalchemy.exc.DBAPIError; nothing of the batch is stored then, once the caller rolls back.
    """
    held = _stages(connection, rows)
    newest: dict[str, DecisionRow] = {}
    ranks = {decision_id: STAGE_RANKS[stage] for decision_id, (stage, _) in held.items()}
    stored = 0
    for row in rows:
        if STAGE_RANKS[row.stage] > ranks.get(row.decision_id, 0):
            ranks[row.decision_id] = STAGE_RANKS[row.stage]
            newest[row.decision_id] = row
            stored += 1
    counted = [one for one in newest if one in held and STAGE_RANKS[held[one][0]] >= FINAL_RANK]
    superseded = read(connection, counted)
    _write(connection, list(newest.values()), replaced=[one for one in newest if one in held])
    finals = [row for row in newest.values() if row.final]
    rollups.apply(connection, finals, superseded.values())
    calls.apply(connection, finals, superseded.values())
    first = tuple(row for row in finals if row.decision_id not in superseded)
    changes = tuple(Change(row, *held.get(one, ("", 0.0))) for one, row in newest.items())
    return Stored(stored, len(rows) - stored, first, changes)


def _stages(connection: Connection, rows: Iterable[DecisionRow]) -> dict[str, tuple[str, float]]:
    listed = database.listed(connection.dialect, dict.fromkeys(row.decision_id for row in rows))
    found = connection.execute(_select_stages(connection.dialect), {"ids": listed})
    return {row.decision_id: (row.stage, row.score) for row in found}


@cache
def _select_stages(dialect: Dialect) -> Select[Any]:
    among = database.among(dialect, RECORDS.c.decision_id, "ids")
    return select(RECORDS.c.decision_id, RECORDS.c.stage, RECORDS.c.score).where(among)


def _write(connection: Connection, rows: Sequence[DecisionRow], replaced: Sequence[str]) -> None:
    if replaced:
        connection.execute(delete(THREATS).where(THREATS.c.decision_id.in_(replaced)))
    records = [(*_RECORD_VALUES(row), _JSON.encode(row.detail).decode()) for row in rows]
    threats = [(row.decision_id, *_THREAT_VALUES(threat)) for row in rows for threat in row.threats]
    database.write_many(connection, _upsert_record(connection.dialect), _RECORD_COLUMNS, records)
    database.write_many(connection, _insert_threat(connection.dialect), _THREAT_COLUMNS, threats)


@cache
def _upsert_record(dialect: Dialect) -> Any:
    statement = database.insert(dialect, RECORDS)
    changed = {name: statement.excluded[name] for name in _RECORD_COLUMNS if name != "decision_id"}
    return statement.on_conflict_do_update(index_elements=[RECORDS.c.decision_id], set_=changed)


@cache
def _insert_threat(dialect: Dialect) -> Any:
    return database.insert(dialect, THREATS)


def read(connection: Connection, ids: Sequence[str]) -> dict[str, DecisionRow]:
    """Return the records held under the given ids, whole, by id; ids that are not held are absent."""
    if not ids:
        return {}
    rows = _with_threats(connection, select(RECORDS).where(RECORDS.c.decision_id.in_(ids)))
    return {row.decision_id: row for row in rows}


def page(connection: Connection, narrowed: Filter, limit: int, before: str | None = None) -> list[DecisionRow]:
    """Return at most `limit` records that pass the filter, newest first, those before the id `before` only."""
    statement = select(RECORDS).where(*_conditions(narrowed)).order_by(RECORDS.c.decision_id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(RECORDS.c.decision_id < before)
    return _with_threats(connection, statement)


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


def last_started_unix_us(connection: Connection) -> int | None:
    """Return when the newest exchange held began, None when none is held."""
    statement = select(RECORDS.c.started_unix_us).order_by(RECORDS.c.decision_id.desc()).limit(1)
    return connection.execute(statement).scalar()


def _conditions(narrowed: Filter) -> Iterable[ColumnElement[bool]]:
    for name, value in narrowed.equal.items():
        yield RECORDS.c[name] == value
    if narrowed.min_score is not None:
        yield RECORDS.c.score >= narrowed.min_score
    if narrowed.threat_type is not None:
        same = THREATS.c.decision_id == RECORDS.c.decision_id
        yield exists().where(same, THREATS.c.type == narrowed.threat_type)
    if narrowed.from_unix_us is not None:
        yield RECORDS.c.started_unix_us >= narrowed.from_unix_us
    if narrowed.to_unix_us is not None:
        yield RECORDS.c.started_unix_us < narrowed.to_unix_us


def _with_threats(connection: Connection, statement: Select[Any]) -> list[DecisionRow]:
    records = [row._mapping for row in connection.execute(statement)]  # noqa: SLF001 - SQLAlchemy's public name
    threats: dict[str, list[ThreatRow]] = defaultdict(list)
    ids = [record["decision_id"] for record in records]
    found = select(THREATS).where(THREATS.c.decision_id.in_(ids)).order_by(THREATS.c.decision_id, THREATS.c.position)
    for decision_id, *values in connection.execute(found):
        threats[decision_id].append(ThreatRow(*values))
    return [DecisionRow(**record, threats=tuple(threats[record["decision_id"]])) for record in records]
