"""What the benchmark asks: every GET endpoint of the OpenAPI document, with typical windows.

In: the document, names that the database holds. Out: Question values. What a path or a required parameter needs is looked up
among the names; where it is not known a 1 stands for it, and the answer's status tells, so that no endpoint is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

HOUR, DAY, WEEK, MONTH = "1 hour", "1 day", "7 days", "30 days"
WINDOWS = {HOUR: timedelta(hours=1), DAY: timedelta(days=1), WEEK: timedelta(days=7), MONTH: timedelta(days=30)}
_ALWAYS = "–"
# A stream never ends and an export is as long as what it holds: of these the first piece is what is waited for.
STREAMED = ("/api/stream", "/api/export")


@dataclass(frozen=True, slots=True)
class Question:
    """One URL, asked many times. window says of what length its window is."""

    endpoint: str
    window: str
    url: str


def questions(document: Mapping[str, Any], known: Mapping[str, str], now: datetime) -> Iterator[Question]:
    """Yield every question. known holds the values of path parameters and of required ones, by name."""
    for path, operations in document["paths"].items():
        if "get" in operations:
            taken = operations["get"].get("parameters", [])
            place = _filled(path, taken, known)
            wanted = {
                one["name"]: known.get(one["name"], "1")
                for one in taken
                if one["in"] == "query" and one.get("required")
            }
            for window, given in _windows({one["name"] for one in taken if one["in"] == "query"} - set(wanted), now):
                asked = urlencode(wanted | given)
                yield Question(path, window, f"{place}?{asked}" if asked else place)


def _filled(path: str, taken: list[Mapping[str, Any]], known: Mapping[str, str]) -> str:
    filled = path
    for one in taken:
        if one["in"] == "path":
            filled = filled.replace("{" + one["name"] + "}", quote(known.get(one["name"], "1"), safe=""))
    return filled


def _windows(names: set[str], now: datetime) -> Iterator[tuple[str, dict[str, str]]]:
    if {"from", "to"} <= names:
        for window, length in WINDOWS.items():
            yield window, {"from": _text(now - length), "to": _text(now)}
    elif "days" in names:
        for window in (DAY, WEEK, MONTH):
            yield window, {"days": str(WINDOWS[window].days)}
    else:
        yield _ALWAYS, {}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
