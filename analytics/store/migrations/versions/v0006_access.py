"""Create tenants, accounts, tokens, sessions and login_attempts; the tenant `default`, which records without one belong to.

Revision: 0006. Never changed after release.
"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    _create_tenants()
    _create_accounts()
    _create_tokens()
    _create_sessions()


def _text(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=nullable) for name in names]


def _big(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable) for name in names]


def _create_tenants() -> None:
    made = op.create_table(
        "tenants",
        *_text("name", "title"),
        *_big("created_unix_s"),
        sa.PrimaryKeyConstraint("name", name="tenants_pkey"),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(made, [{"name": "default", "title": "", "created_unix_s": int(time.time())}])


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        *_text("name", "role"),
        *_text("tenant", "password_hash", "subject", nullable=True),
        sa.Column("disabled", sa.Boolean, nullable=False),
        *_big("created_unix_s"),
        *_big("last_login_unix_s", nullable=True),
        sa.PrimaryKeyConstraint("name", name="accounts_pkey"),
        sa.UniqueConstraint("subject", name="accounts_subject_key"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.name"], name="accounts_tenant_fkey"),
        sqlite_with_rowid=False,
    )


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        *_text("token_id", "digest", "name", "role"),
        *_text("tenant", nullable=True),
        *_text("scopes", "created_by"),
        *_big("created_unix_s"),
        *_big("expires_unix_s", "last_used_unix_s", "revoked_unix_s", nullable=True),
        sa.PrimaryKeyConstraint("token_id", name="tokens_pkey"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.name"], name="tokens_tenant_fkey"),
        sqlite_with_rowid=False,
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        *_text("digest", "account"),
        *_big("began_unix_s", "seen_unix_s"),
        *_text("address"),
        sa.PrimaryKeyConstraint("digest", name="sessions_pkey"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="sessions_account_fkey", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("sessions_account", "sessions", ["account"])
    op.create_table(
        "login_attempts",
        *_text("key"),
        *_big("window_unix_s"),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("key", name="login_attempts_pkey"),
        sqlite_with_rowid=False,
    )
