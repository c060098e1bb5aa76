"""Which scopes of a policy a request falls into: patterns compiled once, an answer in a few dictionary look-ups.

In: Match values; then the facts of requests. Out: an integer, of which bit n says that the n-th scope fits.
A field's value is matched with all patterns once and its bits are remembered, so that what a request pays does not grow with the
policy. What is remembered is bounded, and a long value, which only a stranger sends, is not remembered at all.
Source of the patterns' speed: fnmatch.translate makes each * atomic, so that none is tried twice.
"""

import fnmatch
import re
from collections.abc import Sequence
from typing import NamedTuple

from sidecar.policy.scoped import FIELDS, Match

_REMEMBERED = 4096
_LONG = 256


class Facts(NamedTuple):
    """What a scope can match, in the order of Match's fields. host is without its port, in lower case."""

    tenant: str = ""
    user: str = ""
    team: str = ""
    model: str = ""
    provider: str = ""
    endpoint: str = ""
    door: str = ""
    host: str = ""


if Facts._fields != FIELDS:
    raise RuntimeError("Facts and Match name different fields")


class Bits(dict[str, int]):
    """The bits of a value, by the patterns of each bit; `always` are those that no pattern guards. Grows by being asked."""

    __slots__ = ("_always", "_exact", "_globs")

    def __init__(self, patterns: Sequence[tuple[str, ...]], always: int = 0) -> None:
        super().__init__()
        self._always = always
        self._exact: dict[str, int] = {}
        self._globs: list[tuple[re.Pattern[str], int]] = []
        for place, guards in enumerate(patterns):
            for pattern in guards:
                if "*" in pattern or "?" in pattern:
                    self._globs.append((_compiled(pattern), 1 << place))
                else:
                    self._exact[pattern] = self._exact.get(pattern, 0) | 1 << place

    def __missing__(self, value: str) -> int:
        """Match a value seen for the first time. Bounds: linear in the value and the number of patterns."""
        bits = self._always | self._exact.get(value, 0)
        for pattern, bit in self._globs:
            if not bits & bit and pattern.match(value):
                bits |= bit
        if len(value) <= _LONG:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[value] = bits
        return bits


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


class Matcher:
    """Tells which of several scopes a request falls into."""

    __slots__ = ("_all", "_fields")

    def __init__(self, scopes: Sequence[Match]) -> None:
        self._all = (1 << len(scopes)) - 1
        self._fields: list[tuple[int, Bits]] = []
        for place, field in enumerate(FIELDS):
            guards = [scope.of(field) for scope in scopes]
            if any(guards):
                always = sum(1 << number for number, given in enumerate(guards) if not given)
                self._fields.append((place, Bits(guards, always)))

    def bits(self, facts: Facts) -> int:
        """Return the scopes that fit, a bit each. Bounds: a look-up for each field that any scope names."""
        bits = self._all
        for place, field in self._fields:
            bits &= field[facts[place]]
        return bits
