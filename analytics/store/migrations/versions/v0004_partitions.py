"""Records and threats by day on PostgreSQL; no foreign key between them; an index by time; room in the pages of rollups.

Revision: 0004. Never changed after release. All rows are kept: they are copied into the partition of their day.
"""

from datetime import date, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_DAY_MS = 86_400_000
_FIRST, _LAST = (date(2020, 1, 1) - date(1970, 1, 1)).days, (date(2100, 1, 1) - date(1970, 1, 1)).days
_KEYS = {"records": "decision_id", "threats": "decision_id, position"}
_INDEXES = {"records": {"records_user": '"user", decision_id'}, "threats": {"threats_type": "type, decision_id"}}


def upgrade() -> None:
    """Bring both tables to their new shape."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("threats_decision_id_fkey", "threats")
        for table in _KEYS:
            _partition(table)
        for table in ("rollups", "label_rollups"):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 80)")
    else:
        _drop_foreign_key()
    op.create_index("records_started", "records", ["started_unix_us"], postgresql_using="brin")


def _partition(table: str) -> None:
    """Put a partitioned table in the place of a whole one."""
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_whole")
    op.execute(f"ALTER TABLE {table}_whole DROP CONSTRAINT {table}_pkey")
    for index in _INDEXES[table]:
        op.execute(f"DROP INDEX {index}")
    op.execute(f"CREATE TABLE {table} (LIKE {table}_whole) PARTITION BY RANGE (decision_id)")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY ({_KEYS[table]})")
    for index, columns in _INDEXES[table].items():
        op.execute(f"CREATE INDEX {index} ON {table} ({columns})")
    op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    for day in _days(f"{table}_whole"):
        name = f"{table}_d{date(1970, 1, 1) + timedelta(days=day):%Y%m%d}"
        first, end = f"{day * _DAY_MS:012x}", f"{(day + 1) * _DAY_MS:012x}"
        op.execute(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{end}')")
    op.execute(f"INSERT INTO {table} SELECT * FROM {table}_whole")  # noqa: S608 - our own names
    op.execute(f"DROP TABLE {table}_whole")


def _days(table: str) -> list[int]:
    """Return the days of the ids held: the first 48 bits of a UUIDv7 are milliseconds since 1970."""
    moment = f"('x' || substr(decision_id, 1, 12))::bit(48)::bigint / {_DAY_MS}"
    day = f"CASE WHEN decision_id ~ '^[0-9a-f]{{32}}$' THEN {moment} END"
    found = op.get_bind().execute(sa.text(f"SELECT DISTINCT {day} AS day FROM {table}"))  # noqa: S608 - our own names
    return sorted(row.day for row in found if row.day is not None and _FIRST <= row.day < _LAST)


def _drop_foreign_key() -> None:
    """Build threats again without it: SQLite cannot drop one."""
    op.drop_index("threats_type", "threats")
    op.rename_table("threats", "threats_whole")
    op.create_table(
        "threats",
        sa.Column("decision_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("type", "detector", "rule_id", "surface")),
        sa.Column("message_index", sa.Integer, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("score", "confidence")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("span_start", "span_end", "match_chars")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("match_digest", "view")),
        sa.PrimaryKeyConstraint("decision_id", "position", name="threats_pkey"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO threats SELECT * FROM threats_whole")
    op.drop_table("threats_whole")
    op.create_index("threats_type", "threats", ["type", "decision_id"])
