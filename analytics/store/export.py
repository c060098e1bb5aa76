"""Every decision that passes a filter, oldest first, for files: millions of rows in bounded memory.

In: an engine, a Filter. Out: lists of DecisionRow.
Each list is a query of its own on a connection of its own, which goes on after the last id (keyset): no transaction and no
cursor stay open while a client reads, so that neither PostgreSQL's vacuum nor SQLite's checkpoints wait for it, and who
stops asking has stopped the query. A query looks at SLICE_S of time at most, so that a filter which lets little pass does
not keep one of them going for minutes. What arrives after the beginning is left out; a record that is replaced by a later
stage meanwhile comes as it is when its turn is there.
Bounds: ROWS rows or about CHARS characters of content at a time.
Never: a row twice; ids sort by time (UUIDv7), and an id whose time is off from its record's start by more than SLACK_S is
not found by a window.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, select

from analytics.store import search
from analytics.store.search import Filter
from analytics.store.tables import RECORDS, THREATS
from analytics.types import HOUR_S, DecisionRow, ThreatRow

ROWS, FIRST_ROWS = 1_000, 100  # the first list is short, so that a client soon sees something
CHARS = 8_000_000
SLICE_S = 6 * HOUR_S
SLACK_S = HOUR_S  # as store/search: a sidecar takes id and start from one clock at one moment
_COLUMNS = tuple(column.name for column in RECORDS.c)
_LAST_ID = "g"  # sorts behind every hex digit


def batches(engine: Engine, narrowed: Filter, rows: int = ROWS) -> Iterator[list[DecisionRow]]:
    """Yield the records that pass the filter.

    Shape: in the order of their ids; lists are never empty. Raises: sqlalchemy.exc.DBAPIError.
    """
    limit, conditions = min(rows, FIRST_ROWS), tuple(search.conditions(narrowed))
    first, end = _bounds(narrowed)
    with engine.connect() as connection:
        newest = connection.execute(
            select(RECORDS.c.decision_id).order_by(RECORDS.c.decision_id.desc()).limit(1)
        ).scalar()
        start = _next(connection, first)
    while start is not None and newest is not None and start < end and start <= newest:
        stop = min(_later(start), end)
        with engine.connect() as connection:
            found = _page(connection, conditions, (start, stop), limit)
            whole = len(found) < limit
            start = _next(connection, stop) if whole else found[-1].decision_id + "0"  # what sorts right behind it
        if found := [row for row in found if row.decision_id <= newest]:
            limit = min(rows, max(1, CHARS * len(found) // max(1, sum(map(_chars, found)))))
            yield found


def _bounds(asked: Filter) -> tuple[str, str]:
    """Return the ids between which the window lies: the first 48 bits of a UUIDv7 are milliseconds."""
    first = 0 if asked.from_unix_us is None else max(0, asked.from_unix_us // 1_000 - SLACK_S * 1_000)
    if asked.to_unix_us is None:
        return f"{first:012x}", _LAST_ID
    return f"{first:012x}", f"{max(0, asked.to_unix_us // 1_000 + SLACK_S * 1_000):012x}"


def _later(decision_id: str) -> str:
    """Return the end of the slice that begins at an id."""
    end_ms = int(decision_id[:12], 16) + SLICE_S * 1_000
    return f"{end_ms:012x}" if end_ms < 2**48 else _LAST_ID


def _next(connection: Connection, start: str) -> str | None:
    """Return the first id held that does not sort before `start`, so that empty years cost nothing."""
    statement = select(RECORDS.c.decision_id).where(RECORDS.c.decision_id >= start)
    return connection.execute(statement.order_by(RECORDS.c.decision_id).limit(1)).scalar()


def _page(
    connection: Connection, conditions: tuple[ColumnElement[bool], ...], between: tuple[str, str], limit: int
) -> list[DecisionRow]:
    within = RECORDS.c.decision_id >= between[0], RECORDS.c.decision_id < between[1]
    statement: Select[Any] = select(RECORDS).where(*within, *conditions)
    found = connection.execute(statement.order_by(RECORDS.c.decision_id).limit(limit)).all()
    if not found:
        return []
    threats = _threats(connection, found[0].decision_id, found[-1].decision_id)
    return [DecisionRow(**dict(zip(_COLUMNS, row, strict=True)), threats=threats.get(row[0], ())) for row in found]


def _threats(connection: Connection, first: str, last: str) -> dict[str, tuple[ThreatRow, ...]]:
    """Return the threats of the records from one id to another, by id, in their order."""
    key = THREATS.c.decision_id
    held: dict[str, list[ThreatRow]] = defaultdict(list)
    statement = select(THREATS).where(key >= first, key <= last).order_by(key, THREATS.c.position)
    for decision_id, *values in connection.execute(statement):
        held[decision_id].append(ThreatRow(*values))
    return {decision_id: tuple(rows) for decision_id, rows in held.items()}


def _chars(row: DecisionRow) -> int:
    """Return about how many characters a row holds: captured content is what can be long."""
    content = row.detail.get("content") or {}
    return 2_000 + len(content.get("prompt", "")) + len(content.get("response", ""))
