"""Changes for rules: a record of tests/analytics/traffic.py, as it came, with fields overruled."""

from dataclasses import replace
from typing import Any

from analytics.ingest.decode import decode
from analytics.types import Change, DecisionRow, ThreatRow
from tests.analytics.traffic import record


def row(*, denied: bool = True, **fields: Any) -> DecisionRow:
    """Return an ordinary denied (or answered) exchange, with fields overruled."""
    return replace(decode(record(9 if denied else 1)), **fields)


def change(before: str = "", before_score: float = 0.0, **fields: Any) -> Change:
    """Return the change that brought this record."""
    return Change(row(**fields), before, before_score)


def threat(kind: str, score: float = 10.0, **fields: Any) -> ThreatRow:
    """Return a finding."""
    first = row().threats[0]
    return replace(first, type=kind, rule_id=f"{kind}.some_rule", score=score, **fields)
