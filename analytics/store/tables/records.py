"""Records and their threats.

Shape: a column has the name of its field in analytics/types/records.py; `detail` holds as JSON what nobody filters by.
Units: as in analytics/types; times are integers, so that both engines hold them alike. cost_nanousd: billionths of a US
dollar, NULL where no price is known.
On PostgreSQL both are partitioned by day (store/partitions.py). No foreign key leads to records: whoever takes records away
takes what hangs on them (store/retention.py); a key would hold up the dropping of partitions.
Bounds: few indexes, because each is paid for by every record: the primary keys (decision_id sorts by time) and one each
by user, by tenant, by time and by threat type. By time a block-range index does on PostgreSQL: records come in the order of
time. What is searched for most (risky, refused, unanswered) is rare: its indexes hold only it.
"""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text, text

from analytics.store.tables.metadata import JSON_VALUE, METADATA

# What the three partial indexes hold; a search names its condition in these very words (store/search.py).
RISKY, REFUSED, UNANSWERED = text("level <> 'low'"), text("applied <> 'allow'"), text("outcome <> 'answered'")
SCORED = text("score > 0")  # of one user: where risk comes from (store/risk.py)

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
    Column("team", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("refusal", Boolean, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("finish_reason", Text, nullable=False),
    Column("prompt_chars", BigInteger, nullable=False),
    Column("response_chars", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("total_tokens", BigInteger),
    Column("cost_nanousd", BigInteger),
    Column("started_unix_us", BigInteger, nullable=False),
    Column("verdict_us", BigInteger, nullable=False),
    Column("first_byte_us", BigInteger, nullable=False),
    Column("total_us", BigInteger, nullable=False),
    Column("detail", JSON_VALUE, nullable=False),
    Index("records_user", "user", "decision_id"),
    Index("records_tenant", "tenant", "decision_id"),
    Index("records_risky", "decision_id", sqlite_where=RISKY, postgresql_where=RISKY),
    Index("records_refused", "decision_id", sqlite_where=REFUSED, postgresql_where=REFUSED),
    Index("records_unanswered", "decision_id", sqlite_where=UNANSWERED, postgresql_where=UNANSWERED),
    Index("records_scored", "user", "decision_id", sqlite_where=SCORED, postgresql_where=SCORED),
    Index("records_started", "started_unix_us", postgresql_using="brin"),
    sqlite_with_rowid=False,
)

THREATS = Table(
    "threats",
    METADATA,
    Column("decision_id", Text, primary_key=True),
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
    Index("threats_rule", "rule_id", "decision_id"),
    sqlite_with_rowid=False,
)
