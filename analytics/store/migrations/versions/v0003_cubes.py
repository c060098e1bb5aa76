"""Columns for team, session, cost and lengths; rollups in three cubes instead of one; the audit trail.

Revision: 0003. Never changed after release. The new rollups are empty: the program counts them again from the records
when it next starts (store/rollups.py), since only it knows how.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_COUNTERS = (
    *("requests", "action_allow", "action_allow_unscanned", "action_redact", "action_throttle", "action_deny"),
    *("would_refuse", "level_low", "level_medium", "level_high", "level_critical"),
    *("outcome_answered", "outcome_denied", "outcome_failed", "outcome_upstream_error"),
    *("outcome_client_aborted", "outcome_unknown", "inspection_failures", "unscanned", "threats"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "latency_count", "latency_us_sum", "verdict_us_sum"),
    *("fail_open", "streams", "refusals", "retries", "prompt_chars", "response_chars", "score_milli"),
    *("priced", "cost_nanousd", "first_byte_count", "first_byte_us_sum"),
)
_MOVED: dict[str, Any] = {
    "session": sa.Text,
    "finish_reason": sa.Text,
    "prompt_chars": sa.BigInteger,
    "response_chars": sa.BigInteger,
}


def upgrade() -> None:
    """Widen the records, replace the rollups, add the audit trail."""
    _widen_records()
    op.drop_table("threat_rollups")
    op.drop_table("rollups")
    op.create_index("series_user", "series", ["user", "tenant"])
    _create_rollups()
    _create_audit()


def _widen_records() -> None:
    new: dict[str, Any] = {"team": sa.Text, **_MOVED, "attempt": sa.Integer}
    for name, kind in new.items():
        default = "" if kind is sa.Text else "0"
        op.add_column("records", sa.Column(name, kind, nullable=False, server_default=default))
    op.add_column("records", sa.Column("cost_nanousd", sa.BigInteger))
    postgres = op.get_bind().dialect.name == "postgresql"
    for name, kind in _MOVED.items():
        held = f"detail->>'{name}'" if postgres else f"json_extract(detail, '$.{name}')"
        typed = f"({held})::bigint" if postgres and kind is sa.BigInteger else held
        op.execute(f"UPDATE records SET {name} = {typed} WHERE {held} IS NOT NULL")  # noqa: S608 - our own names
    if postgres:
        for name in new:
            op.alter_column("records", name, server_default=None)


def _bucket() -> list[sa.Column[Any]]:
    return [
        sa.Column("cube", sa.Text, nullable=False),
        sa.Column("grain_s", sa.Integer, nullable=False),
        sa.Column("bucket_unix_s", sa.BigInteger, nullable=False),
        sa.Column("series_id", sa.BigInteger, nullable=False),
    ]


def _create_rollups() -> None:
    key = ("cube", "grain_s", "bucket_unix_s", "series_id")
    op.create_table(
        "rollups",
        *_bucket(),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTERS),
        sa.Column("latency_sketch", sa.Text, nullable=False),
        sa.Column("users_sketch", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint(*key, name="rollups_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_index("rollups_series", "rollups", ["series_id", "grain_s", "bucket_unix_s"])
    op.create_table(
        "label_rollups",
        *_bucket(),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "label", "level")),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*key, "kind", "label", "level", name="label_rollups_pkey"),
        sqlite_with_rowid=False,
    )


def _create_audit() -> None:
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.Text, nullable=False),
        sa.Column("at_unix_us", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("actor", "tenant", "action", "subject")),
        sa.Column("before", json),
        sa.Column("after", json),
        sa.PrimaryKeyConstraint("audit_id", name="audit_pkey"),
    )
    op.create_index("audit_tenant", "audit", ["tenant", "audit_id"])
