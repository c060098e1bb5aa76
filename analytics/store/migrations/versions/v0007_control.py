"""What steers sidecars: policies and their versions, user risk, budget use, and which sidecar knows what.

Revision: 0007. Never changed after release.
"""

from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables; the installation gets its name."""
    _create_state()
    _create_policies()
    _create_risk()
    _create_budgets()
    _create_sidecars()


def _text(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _big(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _table(name: str, keys: tuple[str, ...], *columns: sa.Column[Any]) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*keys, name=f"{name}_pkey"), sqlite_with_rowid=False)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False)


def _create_state() -> None:
    made = op.create_table(
        "control_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        *_text("installation"),
        *_big("version", "forgotten"),
    )
    op.bulk_insert(made, [{"id": 1, "installation": uuid4().hex, "version": 0, "forgotten": 0}])


def _create_policies() -> None:
    whole = sa.Column("latest", sa.Integer, nullable=False)
    _table(
        "policies",
        ("tenant",),
        *_text("tenant"),
        sa.Column("active", sa.Integer),
        whole,
        *_big("changed_version", "changed_unix_us"),
        *_text("changed_by"),
    )
    number = sa.Column("number", sa.Integer, nullable=False)
    words = _text("tenant", "digest", "text")
    _table(
        "policy_versions",
        ("tenant", "number"),
        words[0],
        number,
        *words[1:],
        _json("document"),
        *_text("note", "author"),
        *_big("created_unix_us"),
    )
    _table(
        "policy_activations",
        ("tenant", "sequence"),
        *_text("tenant"),
        sa.Column("sequence", sa.Integer, nullable=False),
        *_text("kind"),
        sa.Column("number", sa.Integer),
        *_text("actor", "note"),
        *_big("at_unix_us"),
    )


def _create_risk() -> None:
    risk, forgiven, told = (sa.Column(name, sa.Double, nullable=False) for name in ("risk", "forgiven", "told"))
    _table(
        "users_risk",
        ("tenant", "user"),
        *_text("tenant", "user"),
        risk,
        *_big("as_of_unix_us"),
        forgiven,
        told,
        *_big("quarantined_until_unix_us", "reset_unix_us"),
        *_text("reason"),
        *_big("changed_version"),
        _json("marks"),
    )
    op.create_index("users_risk_changed_version", "users_risk", ["changed_version"])
    _table(
        "risk_events",
        ("tenant", "user", "at_unix_us", "kind"),
        *_text("tenant", "user"),
        *_big("at_unix_us"),
        *_text("kind", "actor", "reason"),
        sa.Column("risk", sa.Double, nullable=False),
        *_big("until_unix_us"),
    )


def _create_budgets() -> None:
    _table(
        "budget_use",
        ("tenant", "budget", "key", "unit", "window_s", "window_unix_s", "sidecar"),
        *_text("tenant", "budget", "key", "unit"),
        sa.Column("window_s", sa.Integer, nullable=False),
        *_big("window_unix_s"),
        *_text("sidecar"),
        *_big("used", "changed_version"),
    )
    op.create_index("budget_use_changed_version", "budget_use", ["changed_version"])
    op.create_index("budget_use_window_unix_s", "budget_use", ["window_unix_s"])


def _create_sidecars() -> None:
    _table("sidecars", ("sidecar",), *_text("sidecar", "tenant"), *_big("version", "seen_unix_us"), _json("policies"))
