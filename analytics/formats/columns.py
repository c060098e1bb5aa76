"""The columns of an export: a row flat enough for a spreadsheet, whole enough to be read back.

In: DecisionRow. Out: COLUMNS, each with its name, its type and how it is read. Names are those of the API and of the fields.
Units: started_at RFC 3339 in UTC; *_us microseconds; latency_us is empty where the provider gave no answer; cost_nanousd
billionths of a US dollar, empty without a price; threats and detail are JSON.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Literal

import msgspec

from analytics.types import DecisionRow

JSON = msgspec.json.Encoder()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. read gives a str, int, float or bool of its kind, or None."""

    name: str
    kind: Literal["text", "json", "integer", "number", "flag", "moment"]
    read: Callable[[DecisionRow], Any]


def moment(row: DecisionRow) -> datetime:
    """Return when the request came, to the microsecond."""
    return _EPOCH + timedelta(microseconds=row.started_unix_us)


def _fields(kind: Literal["text", "integer", "number", "flag"], *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind, attrgetter(name)) for name in names)


def _threat_types(row: DecisionRow) -> str:
    return " ".join(dict.fromkeys(threat.type for threat in row.threats))


def _rule_ids(row: DecisionRow) -> str:
    return " ".join(dict.fromkeys(threat.rule_id for threat in row.threats))


COLUMNS = (
    *_fields("text", "decision_id"),
    Column("started_at", "moment", moment),
    *_fields("text", "stage", "outcome", "applied", "would_be", "mode"),
    *_fields("number", "score"),
    *_fields("text", "level", "failure", "tenant", "user", "team", "session", "provider", "model", "endpoint"),
    *_fields("text", "protocol", "door", "finish_reason"),
    *_fields("flag", "stream", "complete", "refusal"),
    *_fields("integer", "http_status", "attempt", "prompt_chars", "response_chars"),
    *_fields("integer", "prompt_tokens", "completion_tokens", "total_tokens", "cost_nanousd"),
    *_fields("integer", "verdict_us", "first_byte_us", "total_us", "latency_us"),
    Column("threat_types", "text", _threat_types),
    Column("rule_ids", "text", _rule_ids),
    Column("threats", "json", lambda row: JSON.encode(row.threats).decode() if row.threats else "[]"),
    Column("detail", "json", lambda row: JSON.encode(row.detail).decode()),
)
