"""What steers sidecars: policies and their versions, user risk, budgets, and which sidecar knows what.

Shape: a column has the name of its field in analytics/types/control.py. `control_state` has one row: the installation's name and
its version, which grows with every change that sidecars are told; `changed_version` of a row is that version, so that what is new
since a version is one read of an index.
"""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, Table, Text

from analytics.store.tables.metadata import JSON_VALUE, METADATA

CONTROL_STATE = Table(
    "control_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("installation", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("forgotten", BigInteger, nullable=False),
)

POLICIES = Table(
    "policies",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("active", Integer),
    Column("latest", Integer, nullable=False),
    Column("changed_version", BigInteger, nullable=False),
    Column("changed_unix_us", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
    sqlite_with_rowid=False,
)

POLICY_VERSIONS = Table(
    "policy_versions",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("document", JSON_VALUE, nullable=False),
    Column("note", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_unix_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

POLICY_ACTIVATIONS = Table(
    "policy_activations",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("number", Integer),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at_unix_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

USERS_RISK = Table(
    "users_risk",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("risk", Double, nullable=False),
    Column("as_of_unix_us", BigInteger, nullable=False),
    Column("forgiven", Double, nullable=False),
    Column("told", Double, nullable=False),
    Column("quarantined_until_unix_us", BigInteger, nullable=False),
    Column("reset_unix_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_version", BigInteger, nullable=False),
    Column("marks", JSON_VALUE, nullable=False),
    Index("users_risk_changed_version", "changed_version"),
    sqlite_with_rowid=False,
)

RISK_EVENTS = Table(
    "risk_events",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("at_unix_us", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("risk", Double, nullable=False),
    Column("until_unix_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

BUDGET_USE = Table(
    "budget_use",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("budget", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("window_s", Integer, primary_key=True, autoincrement=False),
    Column("window_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("sidecar", Text, primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("changed_version", BigInteger, nullable=False),
    Index("budget_use_changed_version", "changed_version"),
    Index("budget_use_window_unix_s", "window_unix_s"),
    sqlite_with_rowid=False,
)

SIDECARS = Table(
    "sidecars",
    METADATA,
    Column("sidecar", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("seen_unix_us", BigInteger, nullable=False),
    Column("policies", JSON_VALUE, nullable=False),
    sqlite_with_rowid=False,
)
