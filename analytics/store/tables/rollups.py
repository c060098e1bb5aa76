"""Rollups: sums per bucket of time and series, in four cubes.

Shape: a star. `series` names a combination of dimensions once, under an id computed from it; a dimension that its cube
does not tell apart is empty. `rollups` counts per (cube, grain, bucket, series), `label_rollups` counts what has labels:
threats by type and level, rules, surfaces, finish reasons, doors.
  tenants  tenant                              a row a bucket and tenant: totals, timelines, heat map
  traffic  tenant, model, endpoint, provider   few rows: models, endpoints, providers
  users    tenant, user                        lists of users
  full     all five                            what one user did with which model
Units: buckets begin at seconds since 1970 UTC; cost_nanousd billionths of a US dollar; score_milli thousandths.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from analytics.store.tables.metadata import METADATA
from analytics.types.usage import COUNTERS

SERIES = Table(
    "series",
    METADATA,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Index("series_user", "user", "tenant"),
)

ROLLUPS = Table(
    "rollups",
    METADATA,
    Column("cube", Text, primary_key=True),
    Column("grain_s", Integer, primary_key=True, autoincrement=False),
    Column("bucket_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in COUNTERS),
    Column("latency_sketch", Text, nullable=False),
    Column("users_sketch", LargeBinary, nullable=False),
    Column("verdict_sketch", Text, nullable=False),  # of the time to our verdict; empty beside the cubes of few rows
    Index("rollups_series", "series_id", "grain_s", "bucket_unix_s"),
    sqlite_with_rowid=False,
)

LABEL_ROLLUPS = Table(
    "label_rollups",
    METADATA,
    Column("cube", Text, primary_key=True),
    Column("grain_s", Integer, primary_key=True, autoincrement=False),
    Column("bucket_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("level", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
