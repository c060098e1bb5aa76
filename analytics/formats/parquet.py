"""Parquet, compressed with zstd, for pandas, DuckDB, Spark and the like.

In: lists of rows. Out: bytes, piece by piece. Columns that say the same many times are dictionaries; moments are timestamps
in UTC, to the microsecond; threats and detail are text that holds JSON.
Bounds: one row group is held at a time, at most GROUP rows or about 32 million characters of detail; the footer comes last,
so a file that was cut off cannot be read, and does not look as if it were whole.
Source: parquet.apache.org/docs/file-format.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from analytics.formats.columns import COLUMNS
from analytics.types import DecisionRow

GROUP = 16_384
_STEP = 512
_GROUP_CHARS = 32_000_000
_LONGEST = [column.name for column in COLUMNS].index("detail")
_TYPES: dict[str, Any] = {
    "text": pa.string(),
    "json": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "moment": pa.timestamp("us", tz="UTC"),
}
SCHEMA = pa.schema([pa.field(column.name, _TYPES[column.kind]) for column in COLUMNS])
_UNLIKE = {"decision_id", "session", "threats", "detail"}  # every value is another one: a dictionary would only cost
_DICTIONARIES = [column.name for column in COLUMNS if column.kind == "text" and column.name not in _UNLIKE]


class _Pieces(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._held.append(piece)
        self._written += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        piece, self._held = b"".join(self._held), []
        return piece


def encode(batches: Iterable[Sequence[DecisionRow]]) -> Iterator[bytes]:
    """Yield the file piece by piece, one for each row group, and the footer."""
    pieces = _Pieces()
    writer = parquet.ParquetWriter(pieces, SCHEMA, compression="zstd", use_dictionary=_DICTIONARIES)
    try:
        yield pieces.take()
        for table in _groups(batches):
            writer.write_table(table, row_group_size=GROUP)
            yield pieces.take()
    finally:
        writer.close()
    yield pieces.take()  # the footer: nobody gets it of a file that ended early


def _groups(batches: Iterable[Sequence[DecisionRow]]) -> Iterator[pa.Table]:
    """Yield a table for each row group: at most GROUP rows, and fewer where they hold long texts."""
    held: list[list[Any]] = [[] for _ in COLUMNS]
    chars = 0
    for rows in batches:
        for start in range(0, len(rows), _STEP):
            for column, values in zip(COLUMNS, held, strict=True):
                values += map(column.read, rows[start : start + _STEP])
            chars += sum(map(len, held[_LONGEST][-_STEP:]))
            if len(held[0]) > GROUP - _STEP or chars > _GROUP_CHARS:
                yield _table(held)
                held, chars = [[] for _ in COLUMNS], 0
    if held[0]:
        yield _table(held)


def _table(values: list[list[Any]]) -> pa.Table:
    columns = [pa.array(read, _TYPES[column.kind]) for column, read in zip(COLUMNS, values, strict=True)]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
