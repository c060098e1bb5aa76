"""What went through the doors, inspected or not, per hour.

Shape: `door_calls` counts records; the others hold what sidecars report, each row naming its report's source.
Units: hours are seconds since 1970 UTC, bytes are bytes.
"""

from sqlalchemy import BigInteger, Boolean, Column, Table, Text

from analytics.store.tables.metadata import METADATA

# What `door_calls` counts, by the names of analytics.types.DoorCalls.
CALL_COUNTERS = (
    *("requests", "answered", "denied", "failed", "upstream_error", "client_aborted", "unknown"),
    *("allow_unscanned", "fail_open", "passed_unscanned", "body_bytes", "scanned_bytes"),
)
# What sidecars report of connections that passed uninspected, by the names of analytics.types.PassThroughRow.
PASS_COUNTERS = ("connections", "failed", "bytes_out", "bytes_in")

# Inspected calls per hour, workload and door: a rollup of records, like `rollups`, for the question what went through customs.
DOOR_CALLS = Table(
    "door_calls",
    METADATA,
    Column("hour_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("namespace", Text, primary_key=True),
    Column("pod", Text, primary_key=True),
    Column("service_account", Text, primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("door", Text, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in CALL_COUNTERS),
    sqlite_with_rowid=False,
)

# A sidecar's tally of what was not inspected. The rest of its rows name it by its id.
COVERAGE_SOURCES = Table(
    "coverage_sources",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("pod", Text, nullable=False),
    Column("service_account", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("last_seen_unix_s", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

PASS_THROUGH = Table(
    "pass_through",
    METADATA,
    Column("hour_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),
    Column("door", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("llm", Text, primary_key=True),
    Column("listed", Boolean, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in PASS_COUNTERS),
    Column("last_client", Text, nullable=False),
    Column("last_unix_us", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

SIGHTS = Table(
    "sights",
    METADATA,
    Column("hour_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),
    Column("door", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
