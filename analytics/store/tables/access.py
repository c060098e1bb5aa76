"""Who may do what: tenants, people's accounts and sessions, tokens, counted log-ins.

Units: times are whole seconds since 1970 UTC; NULL is never.
Never: a password, a session's or a token's secret; hashes and digests only.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from analytics.store.tables.metadata import METADATA

TENANTS = Table(
    "tenants",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("created_unix_s", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# tenant NULL: the whole installation. subject: who it is at the OIDC provider ("issuer subject"), NULL for passwords.
ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("tenant", Text, ForeignKey(TENANTS.c.name)),
    Column("password_hash", Text),
    Column("subject", Text, unique=True),
    Column("disabled", Boolean, nullable=False),
    Column("created_unix_s", BigInteger, nullable=False),
    Column("last_login_unix_s", BigInteger),
    sqlite_with_rowid=False,
)

# scopes: names separated by spaces; empty: what the role allows.
TOKENS = Table(
    "tokens",
    METADATA,
    Column("token_id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("tenant", Text, ForeignKey(TENANTS.c.name)),
    Column("scopes", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_unix_s", BigInteger, nullable=False),
    Column("expires_unix_s", BigInteger),
    Column("last_used_unix_s", BigInteger),
    Column("revoked_unix_s", BigInteger),
    sqlite_with_rowid=False,
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("account", Text, ForeignKey(ACCOUNTS.c.name, ondelete="CASCADE"), nullable=False),
    Column("began_unix_s", BigInteger, nullable=False),
    Column("seen_unix_s", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Index("sessions_account", "account"),
    sqlite_with_rowid=False,
)

# Log-ins tried, by account and by address, in windows; a row of an old window means nothing.
LOGIN_ATTEMPTS = Table(
    "login_attempts",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("window_unix_s", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)
