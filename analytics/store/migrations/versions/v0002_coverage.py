"""Create door_calls, coverage_sources, pass_through and sights; fill door_calls from the records that are there.

Revision: 0002. Never changed after release.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_CALLS = (
    *("requests", "answered", "denied", "failed", "upstream_error", "client_aborted", "unknown"),
    *("allow_unscanned", "fail_open", "passed_unscanned", "body_bytes", "scanned_bytes"),
)
_KEY = ("hour_unix_s", "namespace", "pod", "service_account", "machine", "door")


def upgrade() -> None:
    """Create the tables, then count what is recorded already."""
    _create_door_calls()
    _create_sources()
    _create_rows()
    _fill_door_calls()


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _big(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _create_door_calls() -> None:
    op.create_table(
        "door_calls",
        *_big("hour_unix_s"),
        *_text(*_KEY[1:]),
        *_big(*_CALLS),
        sa.PrimaryKeyConstraint(*_KEY, name="door_calls_pkey"),
        sqlite_with_rowid=False,
    )


def _create_sources() -> None:
    op.create_table(
        "coverage_sources",
        *_text("source", "namespace", "pod", "service_account", "machine"),
        *_big("last_seen_unix_s"),
        sa.PrimaryKeyConstraint("source", name="coverage_sources_pkey"),
        sqlite_with_rowid=False,
    )


def _create_rows() -> None:
    op.create_table(
        "pass_through",
        *_big("hour_unix_s"),
        *_text("source", "door", "host", "llm"),
        sa.Column("listed", sa.Boolean, nullable=False),
        *_big("connections", "failed", "bytes_out", "bytes_in"),
        *_text("last_client"),
        *_big("last_unix_us", "revision"),
        sa.PrimaryKeyConstraint("hour_unix_s", "source", "door", "host", "llm", "listed", name="pass_through_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sights",
        *_big("hour_unix_s"),
        *_text("source", "door", "kind"),
        *_big("count", "revision"),
        sa.PrimaryKeyConstraint("hour_unix_s", "source", "door", "kind", name="sights_pkey"),
        sqlite_with_rowid=False,
    )


def _fill_door_calls() -> None:
    cells: dict[tuple[Any, ...], Counter[str]] = {}
    for row in _finals():
        detail = json.loads(row.detail) if isinstance(row.detail, str) else row.detail
        machine = str(detail.get("sidecar", "")).rpartition("/")[0]
        names = [str(detail.get(name, "")) for name in ("namespace", "pod", "service_account")]
        key = (row.started_unix_us // 3_600_000_000 * 3_600, *names, machine, row.door)
        cells.setdefault(key, Counter()).update(_counts(row, detail))
    target = sa.table("door_calls", *(sa.column(name) for name in (*_KEY, *_CALLS)))
    rows = [dict(zip(_KEY, key, strict=True)) | {name: cell[name] for name in _CALLS} for key, cell in cells.items()]
    if rows:
        op.bulk_insert(target, rows)


def _finals() -> Iterator[Any]:
    names = ("decision_id", "stage", "started_unix_us", "door", "outcome", "applied", "failure", "complete", "detail")
    records = sa.table("records", *(sa.column(name) for name in names))
    after = ""
    while True:
        statement = sa.select(records).where(records.c.decision_id > after, records.c.stage != "verdict")
        rows = op.get_bind().execute(statement.order_by(records.c.decision_id).limit(1_000)).all()
        if not rows:
            return
        yield from rows
        after = rows[-1].decision_id


def _counts(row: Any, detail: dict[str, Any]) -> dict[str, int]:
    passed = row.applied not in ("deny", "throttle") and row.outcome not in ("denied", "failed")
    parts = [detail.get(name) or {} for name in ("request_coverage", "response_coverage")]
    return {
        "requests": 1,
        row.outcome: 1,
        "allow_unscanned": int(row.applied == "allow_unscanned"),
        "fail_open": int(passed and row.failure != "unspecified" and row.outcome != "client_aborted"),
        "passed_unscanned": int(passed and not row.complete),
        "body_bytes": sum(int(part.get("body_bytes", 0)) for part in parts),
        "scanned_bytes": sum(int(part.get("scanned_bytes", 0)) for part in parts),
    }
