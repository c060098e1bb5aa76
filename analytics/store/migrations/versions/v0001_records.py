"""Create records, threats, series and rollups.

Revision: 0001, the first. Never changed after release.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_COUNTERS = (
    *("requests", "action_allow", "action_allow_unscanned", "action_redact", "action_throttle", "action_deny"),
    *("would_refuse", "level_low", "level_medium", "level_high", "level_critical"),
    *("outcome_answered", "outcome_denied", "outcome_failed", "outcome_upstream_error"),
    *("outcome_client_aborted", "outcome_unknown", "inspection_failures", "unscanned", "threats"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "latency_count", "latency_us_sum", "verdict_us_sum"),
)


def upgrade() -> None:
    """Create the first tables."""
    _create_records()
    _create_threats()
    _create_rollups()


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _big(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable) for name in names]


def _flags(*names: str) -> list[sa.Column[bool]]:
    return [sa.Column(name, sa.Boolean, nullable=False) for name in names]


def _create_records() -> None:
    op.create_table(
        "records",
        *_text("decision_id", "stage", "outcome", "applied", "would_be", "mode"),
        sa.Column("score", sa.Double, nullable=False),
        *_text("level", "failure", "tenant", "user", "provider", "model", "endpoint", "protocol", "door"),
        *_flags("stream", "complete", "refusal"),
        sa.Column("http_status", sa.Integer, nullable=False),
        *_big("prompt_tokens", "completion_tokens", "total_tokens", nullable=True),
        *_big("started_unix_us", "verdict_us", "first_byte_us", "total_us"),
        sa.Column("detail", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name="records_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_index("records_user", "records", ["user", "decision_id"])


def _create_threats() -> None:
    op.create_table(
        "threats",
        *_text("decision_id"),
        sa.Column("position", sa.Integer, nullable=False),
        *_text("type", "detector", "rule_id", "surface"),
        sa.Column("message_index", sa.Integer, nullable=False),
        *_text("path"),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        *_big("span_start", "span_end", "match_chars"),
        *_text("match_digest", "view"),
        sa.PrimaryKeyConstraint("decision_id", "position", name="threats_pkey"),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["records.decision_id"], name="threats_decision_id_fkey", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("threats_type", "threats", ["type", "decision_id"])


def _bucket() -> list[sa.Column[int]]:
    return [sa.Column("grain_s", sa.Integer, nullable=False), *_big("bucket_unix_s", "series_id")]


def _create_rollups() -> None:
    op.create_table(
        "series",
        *_big("series_id"),
        *_text("tenant", "model", "user", "endpoint", "provider"),
        sa.PrimaryKeyConstraint("series_id", name="series_pkey"),
    )
    op.create_table(
        "rollups",
        *_bucket(),
        *_big(*_COUNTERS),
        *_text("latency_sketch"),
        sa.PrimaryKeyConstraint("grain_s", "bucket_unix_s", "series_id", name="rollups_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "threat_rollups",
        *_bucket(),
        *_text("type", "level"),
        *_big("count"),
        sa.PrimaryKeyConstraint("grain_s", "bucket_unix_s", "series_id", "type", "level", name="threat_rollups_pkey"),
        sqlite_with_rowid=False,
    )
