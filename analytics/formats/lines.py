"""JSON lines: an object a line, whole, with its threats and its detail as they are.

In: lists of rows. Out: bytes, a piece for each list, UTF-8, each line ended by LF. Names are those of the columns, without
the ones that a flat table needs (threat_types, rule_ids). Source: jsonlines.org.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from analytics.formats.columns import COLUMNS
from analytics.types import DecisionRow

_FLAT = {"threat_types", "rule_ids"}
_NESTED = {"threats", "detail"}
_KEPT = tuple(
    (column.name, attrgetter(column.name) if column.name in _NESTED else column.read)
    for column in COLUMNS
    if column.name not in _FLAT
)
_JSON = msgspec.json.Encoder()


def json_lines(rows: Sequence[DecisionRow]) -> bytes:
    """Return the lines of some rows."""
    return _JSON.encode_lines([_object(row) for row in rows])


def _object(row: DecisionRow) -> dict[str, Any]:
    return {name: read(row) for name, read in _KEPT}


def encode(batches: Iterable[Sequence[DecisionRow]]) -> Iterator[bytes]:
    """Yield the file piece by piece."""
    for rows in batches:
        yield json_lines(rows)
