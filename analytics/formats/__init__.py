"""The formats that decisions are exported in. A new one is a file here and a line in FORMATS.

In: lists of DecisionRow. Out: pieces of bytes, each as soon as it can be made, so that memory stays bounded.
Never: a query, a file.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from analytics.formats import delimited, lines, parquet
from analytics.formats.lines import json_lines
from analytics.types import DecisionRow

__all__ = ["FORMATS", "Format", "json_lines"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format. Source of the media types: RFC 7111 (csv), the IANA's register (parquet), jsonlines.org."""

    media_type: str
    encode: Callable[[Iterable[Sequence[DecisionRow]]], Iterator[bytes]]


FORMATS = {
    "csv": Format("text/csv; charset=utf-8; header=present", delimited.encode),
    "jsonl": Format("application/jsonl", lines.encode),
    "parquet": Format("application/vnd.apache.parquet", parquet.encode),
}
