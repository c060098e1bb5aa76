"""The tables, as SQLAlchemy Core metadata, one module a concern; store/migrations brings a database to them."""

from analytics.store.tables.access import ACCOUNTS, LOGIN_ATTEMPTS, SESSIONS, TENANTS, TOKENS
from analytics.store.tables.alerts import ALERTS, CHANNELS, DELIVERIES, SIGHTINGS, SILENCES
from analytics.store.tables.audit import AUDIT
from analytics.store.tables.control import (
    BUDGET_USE,
    CONTROL_STATE,
    POLICIES,
    POLICY_ACTIVATIONS,
    POLICY_VERSIONS,
    RISK_EVENTS,
    SIDECARS,
    USERS_RISK,
)
from analytics.store.tables.coverage import (
    CALL_COUNTERS,
    COVERAGE_SOURCES,
    DOOR_CALLS,
    PASS_COUNTERS,
    PASS_THROUGH,
    SIGHTS,
)
from analytics.store.tables.feedback import FEEDBACK, FEEDBACK_ROLLUPS, RULE_VERDICTS, VERDICTS
from analytics.store.tables.judge import JUDGEMENTS, REPORTS
from analytics.store.tables.metadata import METADATA
from analytics.store.tables.records import RECORDS, THREATS
from analytics.store.tables.rollups import LABEL_ROLLUPS, ROLLUPS, SERIES
from analytics.store.tables.schedule import JOB_RUNS, LEASES

__all__ = [
    "ACCOUNTS",
    "ALERTS",
    "AUDIT",
    "BUDGET_USE",
    "CALL_COUNTERS",
    "CHANNELS",
    "CONTROL_STATE",
    "COVERAGE_SOURCES",
    "DELIVERIES",
    "DOOR_CALLS",
    "FEEDBACK",
    "FEEDBACK_ROLLUPS",
    "JOB_RUNS",
    "JUDGEMENTS",
    "LABEL_ROLLUPS",
    "LEASES",
    "LOGIN_ATTEMPTS",
    "METADATA",
    "PASS_COUNTERS",
    "PASS_THROUGH",
    "POLICIES",
    "POLICY_ACTIVATIONS",
    "POLICY_VERSIONS",
    "RECORDS",
    "REPORTS",
    "RISK_EVENTS",
    "ROLLUPS",
    "RULE_VERDICTS",
    "SERIES",
    "SESSIONS",
    "SIDECARS",
    "SIGHTINGS",
    "SIGHTS",
    "SILENCES",
    "TENANTS",
    "THREATS",
    "TOKENS",
    "USERS_RISK",
    "VERDICTS",
]
