"""The tables, as SQLAlchemy Core metadata, one module a concern; store/migrations brings a database to them."""

from analytics.store.tables.audit import AUDIT
from analytics.store.tables.coverage import (
    CALL_COUNTERS,
    COVERAGE_SOURCES,
    DOOR_CALLS,
    PASS_COUNTERS,
    PASS_THROUGH,
    SIGHTS,
)
from analytics.store.tables.metadata import METADATA
from analytics.store.tables.records import RECORDS, THREATS
from analytics.store.tables.rollups import LABEL_ROLLUPS, ROLLUPS, SERIES

__all__ = [
    "AUDIT",
    "CALL_COUNTERS",
    "COVERAGE_SOURCES",
    "DOOR_CALLS",
    "LABEL_ROLLUPS",
    "METADATA",
    "PASS_COUNTERS",
    "PASS_THROUGH",
    "RECORDS",
    "ROLLUPS",
    "SERIES",
    "SIGHTS",
    "THREATS",
]
