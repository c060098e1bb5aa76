"""The tables, as SQLAlchemy Core metadata; store/migrations brings a database to them.

Shape: a column of `records` and `threats` has the name of its field in analytics/types.py; `detail` holds as JSON what
nobody filters by. Rollups are a star: `series` names a combination of dimensions once, under an id computed from it,
`rollups` and `threat_rollups` count per (grain, bucket, series).
Units: as in analytics/types.py; times are integers, so that both engines hold them alike.
Bounds: few indexes, because each is paid for by every record: the primary keys (decision_id sorts by time) and one each
by user and by threat type.
Never: a server-side default or trigger; what a row holds is decided in Python.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_name)s",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
_JSON = JSON().with_variant(JSONB(), "postgresql")

# What a rollup counts beside its latency sketch, by the names of analytics.types.Totals.
COUNTERS = (
    *("requests", "action_allow", "action_allow_unscanned", "action_redact", "action_throttle", "action_deny"),
    *("would_refuse", "level_low", "level_medium", "level_high", "level_critical"),
    *("outcome_answered", "outcome_denied", "outcome_failed", "outcome_upstream_error"),
    *("outcome_client_aborted", "outcome_unknown", "inspection_failures", "unscanned", "threats"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "latency_count", "latency_us_sum", "verdict_us_sum"),
)

# What `door_calls` counts, by the names of analytics.types.DoorCalls.
CALL_COUNTERS = (
    *("requests", "answered", "denied", "failed", "upstream_error", "client_aborted", "unknown"),
    *("allow_unscanned", "fail_open", "passed_unscanned", "body_bytes", "scanned_bytes"),
)
# What sidecars report of connections that passed uninspected, by the names of analytics.types.PassThroughRow.
PASS_COUNTERS = ("connections", "failed", "bytes_out", "bytes_in")

RECORDS = Table(
    "records",
    METADATA,
    Column("decision_id", Text, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("applied", Text, nullable=False),
    Column("would_be", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("level", Text, nullable=False),
    Column("failure", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("refusal", Boolean, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("total_tokens", BigInteger),
    Column("started_unix_us", BigInteger, nullable=False),
    Column("verdict_us", BigInteger, nullable=False),
    Column("first_byte_us", BigInteger, nullable=False),
    Column("total_us", BigInteger, nullable=False),
    Column("detail", _JSON, nullable=False),
    Index("records_user", "user", "decision_id"),
    sqlite_with_rowid=False,
)

THREATS = Table(
    "threats",
    METADATA,
    Column("decision_id", Text, ForeignKey(RECORDS.c.decision_id, ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("detector", Text, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("message_index", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("span_start", BigInteger, nullable=False),
    Column("span_end", BigInteger, nullable=False),
    Column("match_chars", BigInteger, nullable=False),
    Column("match_digest", Text, nullable=False),
    Column("view", Text, nullable=False),
    Index("threats_type", "type", "decision_id"),
    sqlite_with_rowid=False,
)

SERIES = Table(
    "series",
    METADATA,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("provider", Text, nullable=False),
)

ROLLUPS = Table(
    "rollups",
    METADATA,
    Column("grain_s", Integer, primary_key=True, autoincrement=False),
    Column("bucket_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in COUNTERS),
    Column("latency_sketch", Text, nullable=False),
    sqlite_with_rowid=False,
)

THREAT_ROLLUPS = Table(
    "threat_rollups",
    METADATA,
    Column("grain_s", Integer, primary_key=True, autoincrement=False),
    Column("bucket_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Text, primary_key=True),
    Column("level", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

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
