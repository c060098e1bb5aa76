"""Alerts, the outbox of their notices, silences, channels, and who met which attack lately.

Shape: a column has the name of its field in analytics/types/alerts.py. At most one alert of a tenant and key is unresolved,
which a unique index keeps. `deliveries` is the outbox: a row is written with the alert it tells of, and leaves `pending`
only after the channel has answered. `channels.sealed` is the channel's configuration, encrypted (alerts/vault).
"""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text

from analytics.store.tables.metadata import JSON_VALUE, METADATA

ALERTS = Table(
    "alerts",
    METADATA,
    Column("alert_id", Text, primary_key=True),  # UUIDv7: sorts by when it was opened
    Column("tenant", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_unix_us", BigInteger, nullable=False),
    Column("last_unix_us", BigInteger, nullable=False),
    Column("opened_unix_us", BigInteger, nullable=False),
    Column("touched_unix_us", BigInteger, nullable=False),
    Column("user", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("score", Double),
    Column("facts", JSON_VALUE, nullable=False),
    Column("decisions", JSON_VALUE, nullable=False),
    Column("notified_unix_us", BigInteger),
    Column("acknowledged_unix_us", BigInteger),
    Column("acknowledged_by", Text, nullable=False),
    Column("resolved_unix_us", BigInteger),
    Column("resolved_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Index("alerts_tenant", "tenant", "alert_id"),
)
_UNRESOLVED = ALERTS.c.resolved_unix_us.is_(None)
Index(
    "alerts_unresolved",
    ALERTS.c.tenant,
    ALERTS.c.key,
    unique=True,
    sqlite_where=_UNRESOLVED,
    postgresql_where=_UNRESOLVED,
)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("delivery_id", Text, primary_key=True),
    Column("alert_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_unix_us", BigInteger, nullable=False),
    Column("due_unix_us", BigInteger, nullable=False),
    Column("leased_until_unix_us", BigInteger, nullable=False),
    Column("lease", Text, nullable=False),
    Column("finished_unix_us", BigInteger),
    Column("detail", Text, nullable=False),
    Index("deliveries_alert", "alert_id"),
    Index("deliveries_state", "state", "due_unix_us"),
)

SILENCES = Table(
    "silences",
    METADATA,
    Column("silence_id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("starts_unix_us", BigInteger, nullable=False),
    Column("ends_unix_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Index("silences_end", "ends_unix_us"),
)

CHANNELS = Table(
    "channels",
    METADATA,
    Column("channel_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("least", Text, nullable=False),
    Column("rules", JSON_VALUE, nullable=False),
    Column("quiet", Text, nullable=False),
    Column("after_s", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("sealed", Text, nullable=False),
)

# Which users met an attack, and when last: what a campaign is seen by. `attack` is a matched text's digest or a rule's id.
SIGHTINGS = Table(
    "sightings",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("attack", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("seen_unix_us", BigInteger, nullable=False),
    Index("sightings_seen", "seen_unix_us"),
    sqlite_with_rowid=False,
)
