"""Verdicts, feedback, judgements, reports; indexes for the searches of decisions.

Revision: 0005. Never changed after release.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Add the tables of what people and the judge say, and index records by what is searched for."""
    _create_verdicts()
    _create_feedback()
    _create_judgements()
    _create_reports()
    _add_verdict_sketch()
    op.create_index("records_tenant", "records", ["tenant", "decision_id"])
    op.create_index("threats_rule", "threats", ["rule_id", "decision_id"])
    for name, common in (("risky", "level <> 'low'"), ("refused", "applied <> 'allow'")):
        _create_partial(f"records_{name}", common)
    _create_partial("records_unanswered", "outcome <> 'answered'")


def _add_verdict_sketch() -> None:
    """Rollups held so far do not know it; `rollups rebuild` counts it for them."""
    op.add_column("rollups", sa.Column("verdict_sketch", sa.Text, nullable=False, server_default=""))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("rollups", "verdict_sketch", server_default=None)


def _create_partial(name: str, where: str) -> None:
    op.create_index(name, "records", ["decision_id"], postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _big(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable) for name in names]


def _create_verdicts() -> None:
    op.create_table(
        "verdicts",
        *_texts("decision_id"),
        sa.Column("number", sa.Integer, nullable=False),
        *_texts("tenant", "verdict"),
        sa.Column("rules", _JSON, nullable=False),
        *_texts("note", "author"),
        *_big("made_unix_us"),
        sa.PrimaryKeyConstraint("decision_id", "number", name="verdicts_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rule_verdicts",
        *_texts("decision_id", "rule_id", "tenant"),
        *_big("started_unix_us"),
        *_texts("verdict"),
        sa.PrimaryKeyConstraint("decision_id", "rule_id", name="rule_verdicts_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_index("rule_verdicts_started", "rule_verdicts", ["started_unix_us"])


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        *_texts("decision_id", "author", "tenant"),
        *_big("started_unix_us"),
        sa.Column("rating", sa.Integer),
        sa.Column("thumb", sa.Text),
        *_texts("comment"),
        *_big("made_unix_us"),
        sa.PrimaryKeyConstraint("decision_id", "author", name="feedback_pkey"),
        sqlite_with_rowid=False,
    )
    key = ("grain_s", "bucket_unix_s", "tenant", "model", "endpoint", "provider", "label")
    op.create_table(
        "feedback_rollups",
        sa.Column("grain_s", sa.Integer, nullable=False),
        *_big("bucket_unix_s"),
        *_texts(*key[2:]),
        *_big("count"),
        sa.PrimaryKeyConstraint(*key, name="feedback_rollups_pkey"),
        sqlite_with_rowid=False,
    )


def _create_judgements() -> None:
    op.create_table(
        "judgements",
        *_texts("judgement_id", "decision_id", "tenant"),
        *_big("made_unix_us"),
        *_texts("reason", "model", "prompt_version", "verdict"),
        sa.Column("confidence", sa.Double),
        sa.Column("findings", _JSON, nullable=False),
        *_texts("raw_reply"),
        *_big("prompt_tokens", "completion_tokens", "cost_nanousd", nullable=True),
        sa.PrimaryKeyConstraint("judgement_id", name="judgements_pkey"),
    )
    op.create_index("judgements_decision", "judgements", ["decision_id"])
    op.create_index("judgements_tenant", "judgements", ["tenant", "judgement_id"])


def _create_reports() -> None:
    op.create_table(
        "reports",
        *_texts("report_id", "tenant", "kind"),
        *_big("start_unix_s", "end_unix_s", "made_unix_us"),
        *_texts("made_by", "media_type", "document", "document_sha256"),
        *_big("document_bytes"),
        sa.PrimaryKeyConstraint("report_id", name="reports_pkey"),
    )
    op.create_index("reports_tenant", "reports", ["tenant", "report_id"])
