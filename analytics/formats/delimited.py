"""CSV as RFC 4180 has it: a line of names, CRLF, quotes where needed, UTF-8.

In: lists of rows. Out: bytes, a piece for each list. True and False are `true` and `false`, None is an empty cell.
Text in records comes from attackers, and spreadsheets run cells that begin like a formula: such a cell of text gets an
apostrophe in front, and so does one that begins with an apostrophe. Reading back: take one apostrophe off the front of a
cell of text. Source: OWASP, "CSV Injection" (its list of first characters, the full-width forms included); RFC 4180.
Never: a cell of JSON or a name without the same treatment; only numbers and flags, which are ours, go without.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from analytics.formats.columns import COLUMNS, Column
from analytics.types import DecisionRow

_DANGEROUS = tuple("=+-@\t\r\n＝＋－＠'")


def harmless(text: str) -> str:
    """Return the text as a cell that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(_DANGEROUS) else text


def _cell(column: Column) -> Callable[[DecisionRow], Any]:
    read = column.read
    if column.kind in ("text", "json"):
        return lambda row: harmless(read(row))
    if column.kind == "flag":
        return lambda row: "true" if read(row) else "false"
    return (lambda row: f"{read(row):%Y-%m-%dT%H:%M:%S.%fZ}") if column.kind == "moment" else read


_CELLS = tuple(_cell(column) for column in COLUMNS)


def encode(batches: Iterable[Sequence[DecisionRow]]) -> Iterator[bytes]:
    """Yield the file piece by piece: the names first, whatever follows."""
    yield _lines([[column.name for column in COLUMNS]])
    for rows in batches:
        yield _lines([[cell(row) for cell in _CELLS] for row in rows])


def _lines(lines: Iterable[Sequence[Any]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(lines)
    return buffer.getvalue().encode()
