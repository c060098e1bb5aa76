"""What the judge found, and the reports that were made.

Shape: a judgement keeps the model, the prompt's version and the raw reply beside its verdict, and alters no record; a report
keeps its kind, its window, and where its rendered document is (a reference into the store of documents, with its digest).
Units: times are microseconds (unix_us) or seconds (unix_s) since 1970 UTC; cost_nanousd billionths of a US dollar.
"""

from sqlalchemy import BigInteger, Column, Double, Index, Table, Text

from analytics.store.tables.metadata import JSON_VALUE, METADATA

JUDGEMENTS = Table(
    "judgements",
    METADATA,
    Column("judgement_id", Text, primary_key=True),  # UUIDv7: sorts by time
    Column("decision_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("made_unix_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),  # why this decision was sampled
    Column("model", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    Column("verdict", Text, nullable=False),  # `unreadable` is one of its own
    Column("confidence", Double),
    Column("findings", JSON_VALUE, nullable=False),  # the reply as it was read, empty where it could not be
    Column("raw_reply", Text, nullable=False),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cost_nanousd", BigInteger),
    Index("judgements_decision", "decision_id"),
    Index("judgements_tenant", "tenant", "judgement_id"),
)

REPORTS = Table(
    "reports",
    METADATA,
    Column("report_id", Text, primary_key=True),  # UUIDv7: sorts by time
    Column("tenant", Text, nullable=False),  # empty: of the whole installation
    Column("kind", Text, nullable=False),
    Column("start_unix_s", BigInteger, nullable=False),
    Column("end_unix_s", BigInteger, nullable=False),
    Column("made_unix_us", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("document_sha256", Text, nullable=False),
    Column("document_bytes", BigInteger, nullable=False),
    Index("reports_tenant", "tenant", "report_id"),
)
