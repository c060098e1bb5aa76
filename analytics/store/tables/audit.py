"""The audit trail: one row for each change that somebody made.

Shape: `before` and `after` are JSON, without secrets; tenant is empty for what concerns the whole installation.
"""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from analytics.store.tables.metadata import JSON_VALUE, METADATA

AUDIT = Table(
    "audit",
    METADATA,
    Column("audit_id", Text, primary_key=True),  # UUIDv7: sorts by time
    Column("at_unix_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", JSON_VALUE),
    Column("after", JSON_VALUE),
    Index("audit_tenant", "tenant", "audit_id"),
)
