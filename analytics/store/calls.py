"""Inspected calls per hour, workload and door: a rollup of records for the question what went through customs.

In: final records that came (added) and final records that they replace (removed). Out: rows of door_calls, changed by the
difference. Every number is an integer and adding is all that happens, so `rebuild` from records gives the same rows.
Bounds: one upsert per (hour, workload, door) met in a batch.
Never: a commit; the caller holds the writer's transaction.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, delete
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import database
from analytics.store.tables import CALL_COUNTERS, DOOR_CALLS
from analytics.types import HOUR_S, DecisionRow

_COLUMNS = tuple(column.name for column in DOOR_CALLS.c)
_OUTCOMES = ("answered", "denied", "failed", "upstream_error", "client_aborted", "unknown")
_MAX_BYTES = 2**48  # more is no body; sums must stay below 63 bits
_Key = tuple[int, str, str, str, str, str]  # hour, namespace, pod, service account, machine, door


def apply(connection: Connection, added: Iterable[DecisionRow], removed: Iterable[DecisionRow] = ()) -> None:
    """Count the added records and take back the removed ones."""
    cells: dict[_Key, list[int]] = defaultdict(lambda: [0] * len(CALL_COUNTERS))
    for sign, rows in ((1, added), (-1, removed)):
        for row in rows:
            cell = cells[_key(row)]
            for place, value in enumerate(_counts(row)):
                cell[place] += sign * value
    changed = [(*key, *cell) for key, cell in sorted(cells.items()) if any(cell)]
    database.write_many(connection, _upsert(connection.dialect), _COLUMNS, changed)


def _key(row: DecisionRow) -> _Key:
    detail = row.detail
    machine = str(detail.get("sidecar", "")).rpartition("/")[0]  # the contract: host and worker index
    names = [str(detail.get(name, "")) for name in ("namespace", "pod", "service_account")]
    return row.started_unix_us // 1_000_000 // HOUR_S * HOUR_S, names[0], names[1], names[2], machine, row.door


def _counts(row: DecisionRow) -> tuple[int, ...]:
    """Return the values of CALL_COUNTERS."""
    parts = [row.detail.get(name) or {} for name in ("request_coverage", "response_coverage")]
    return (
        1,
        *(row.outcome == name for name in _OUTCOMES),
        row.applied == "allow_unscanned",
        row.fail_open,
        row.passed and not row.complete,
        *(sum(min(int(part[name]), _MAX_BYTES) for part in parts if part) for name in ("body_bytes", "scanned_bytes")),
    )


@cache
def _upsert(dialect: Dialect) -> Any:
    statement = database.insert(dialect, DOOR_CALLS)
    changed = {name: DOOR_CALLS.c[name] + statement.excluded[name] for name in CALL_COUNTERS}
    return statement.on_conflict_do_update(index_elements=list(DOOR_CALLS.primary_key), set_=changed)


def rebuild(connection: Connection, batches: Iterable[Iterable[DecisionRow]]) -> None:
    """Replace all rows by what the given final records say (records.all_finals reads them in batches)."""
    connection.execute(delete(DOOR_CALLS))
    for batch in batches:
        apply(connection, batch)
