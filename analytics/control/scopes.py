"""Which records a `match` of a policy is about, and whether a name is on a list.

In: a match as a policy writes it; records. Out: yes or no.
A pattern is a text in which * stands for any characters and ? for one; everything else, capitals too, stands for itself.
A field that is not named does not matter; of one that is, one pattern is enough. Source: the sidecar's own reading
(sidecar/policy/match).
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from analytics.types import DecisionRow

_PATTERNS_KEPT = 4_096
_PORT = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True)
class Scope:
    """A match, compiled. Shape: (field, its patterns as one) for the fields that it names."""

    fields: tuple[tuple[str, re.Pattern[str]], ...] = ()

    def covers(self, row: DecisionRow) -> bool:
        """Tell whether a record is meant."""
        return all(pattern.match(field_of(row, name)) for name, pattern in self.fields)


EVERYTHING = Scope()


def read(given: Mapping[str, Any] | None) -> Scope:
    """Return a policy's match, compiled."""
    named = ((name, texts) for name, texts in sorted((given or {}).items()) if texts)
    return Scope(tuple((name, pattern(_texts(texts))) for name, texts in named))


def _texts(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


@lru_cache(_PATTERNS_KEPT)
def pattern(texts: tuple[str, ...]) -> re.Pattern[str]:
    """Return patterns as one. Bounds: fnmatch makes each * atomic, so that none is tried twice."""
    return re.compile("|".join(f"(?:{fnmatch.translate(text.replace('[', '[[]'))})" for text in texts))


def named(texts: Sequence[str], value: str) -> bool:
    """Tell whether one of the patterns fits a name."""
    return bool(texts) and pattern(tuple(texts)).match(value) is not None


def field_of(row: DecisionRow, name: str) -> str:
    """Return a field of a record by its name in a policy's `match`; a host without its port."""
    if name == "host":
        return _PORT.sub("", str(row.detail.get("host", "")).lower())
    return str(getattr(row, name))
