"""Create alerts, deliveries, silences, channels and sightings.

Revision: 0008. Never changed after release.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    _create_alerts()
    _create_deliveries()
    _create_silences()
    _create_channels()
    _create_sightings()


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _big(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable) for name in names]


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        *_text("alert_id", "tenant", "rule", "level", "key", "title", "text"),
        *_big("count", "first_unix_us", "last_unix_us", "opened_unix_us", "touched_unix_us"),
        *_text("user", "model", "endpoint"),
        sa.Column("score", sa.Double),
        sa.Column("facts", _JSON, nullable=False),
        sa.Column("decisions", _JSON, nullable=False),
        *_big("notified_unix_us", "acknowledged_unix_us", nullable=True),
        *_text("acknowledged_by"),
        *_big("resolved_unix_us", nullable=True),
        *_text("resolved_by", "note"),
        sa.PrimaryKeyConstraint("alert_id", name="alerts_pkey"),
    )
    op.create_index("alerts_tenant", "alerts", ["tenant", "alert_id"])
    unresolved = sa.text("resolved_unix_us IS NULL")
    op.create_index(
        "alerts_unresolved",
        "alerts",
        ["tenant", "key"],
        unique=True,
        sqlite_where=unresolved,
        postgresql_where=unresolved,
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        *_text("delivery_id", "alert_id", "tenant", "channel_id", "kind", "state"),
        sa.Column("attempts", sa.Integer, nullable=False),
        *_big("created_unix_us", "due_unix_us", "leased_until_unix_us"),
        *_text("lease"),
        *_big("finished_unix_us", nullable=True),
        *_text("detail"),
        sa.PrimaryKeyConstraint("delivery_id", name="deliveries_pkey"),
    )
    op.create_index("deliveries_alert", "deliveries", ["alert_id"])
    op.create_index("deliveries_state", "deliveries", ["state", "due_unix_us"])


def _create_silences() -> None:
    op.create_table(
        "silences",
        *_text("silence_id", "tenant", "rule", "user", "model", "level"),
        *_big("starts_unix_us", "ends_unix_us"),
        *_text("created_by", "why"),
        sa.PrimaryKeyConstraint("silence_id", name="silences_pkey"),
    )
    op.create_index("silences_end", "silences", ["ends_unix_us"])


def _create_channels() -> None:
    op.create_table(
        "channels",
        *_text("channel_id", "name", "kind", "tenant", "least"),
        sa.Column("rules", _JSON, nullable=False),
        *_text("quiet"),
        sa.Column("after_s", sa.Integer, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        *_text("sealed"),
        sa.PrimaryKeyConstraint("channel_id", name="channels_pkey"),
    )


def _create_sightings() -> None:
    op.create_table(
        "sightings",
        *_text("tenant", "attack", "user"),
        *_big("seen_unix_us"),
        sa.PrimaryKeyConstraint("tenant", "attack", "user", name="sightings_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_index("sightings_seen", "sightings", ["seen_unix_us"])
