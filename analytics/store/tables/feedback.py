"""What people say about decisions: analysts their verdicts, users how content they were.

Shape: `verdicts` is a history, numbered from 1 for each decision; `rule_verdicts` holds the last word on each rule of each
decision, `feedback` the last rating of each author, `feedback_rollups` its counts per hour and day.
No row depends on its record: what was judged is kept with it, so that it outlives the record's retention.
Units: times are microseconds (unix_us) or seconds (unix_s) since 1970 UTC; started is that of the exchange.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from analytics.store.tables.metadata import JSON_VALUE, METADATA

VERDICTS = Table(
    "verdicts",
    METADATA,
    Column("decision_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("rules", JSON_VALUE, nullable=False),
    Column("note", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("made_unix_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

RULE_VERDICTS = Table(
    "rule_verdicts",
    METADATA,
    Column("decision_id", Text, primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("started_unix_us", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Index("rule_verdicts_started", "started_unix_us"),
    sqlite_with_rowid=False,
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("decision_id", Text, primary_key=True),
    Column("author", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("started_unix_us", BigInteger, nullable=False),
    Column("rating", Integer),
    Column("thumb", Text),
    Column("comment", Text, nullable=False),
    Column("made_unix_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

FEEDBACK_ROLLUPS = Table(
    "feedback_rollups",
    METADATA,
    Column("grain_s", Integer, primary_key=True, autoincrement=False),
    Column("bucket_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
