"""What a policy says of some requests only: the scope, exceptions to rules, budgets, overrides.

In: plain values of a policy document. Out: Match, RuleException, Budget, Override, frozen and within their bounds.
A pattern is a text in which * stands for any characters and ? for one; everything else, capitals too, stands for itself.
Never: a set of characters in brackets, a negation: what a scope covers shall be seen at a glance.
"""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import msgspec

# No name in a record is longer (record/build), and control characters in one are a mistake or an attack on who reads it.
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
MaybeText = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
Patterns = MaybeText | Annotated[tuple[MaybeText, ...], msgspec.Meta(max_length=1000)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

NANO_USD = 1_000_000_000
# Sums in nano dollars stay within what 64 bits hold (9.2e18).
_USD_MAX, _COUNT_MAX = 1_000_000_000, 1_000_000_000_000


class ExceptionAction(StrEnum):
    """ignore: what the rule finds counts for nothing. lower: its weight is multiplied by `factor`."""

    IGNORE = "ignore"
    LOWER = "lower"


class Per(StrEnum):
    """For whom a budget is counted: each its own count, always within one tenant."""

    TENANT = "tenant"
    USER = "user"
    TEAM = "team"
    MODEL = "model"


class Unit(StrEnum):
    """What a budget counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    USD = "usd"


class Window(StrEnum):
    """How long a budget counts before it begins anew: on the full minute, the full hour, at midnight UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        """How long it is."""
        return _SECONDS[self]


_SECONDS = {Window.MINUTE: 60, Window.HOUR: 3600, Window.DAY: 86400}


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests are meant: every field that is given must fit, one of its patterns is enough."""

    tenant: Patterns = ()
    user: Patterns = ()
    team: Patterns = ()
    model: Patterns = ()
    provider: Patterns = ()
    endpoint: Patterns = ()
    door: Patterns = ()
    host: Patterns = ()

    def of(self, field: str) -> tuple[str, ...]:
        """Return the patterns of a field, none where it does not matter."""
        given: Patterns = getattr(self, field)
        return (given,) if isinstance(given, str) else given


FIELDS: tuple[str, ...] = Match.__struct_fields__


class RuleException(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rule that is not to count, or to count less, for some requests until a date. reason and who are for the record.

    Units: until is a date (to its end, UTC) or a moment with its offset, as RFC 3339 writes them.
    """

    rule: Text
    until: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d([Tt ].{5,40})?$")]
    reason: Text
    who: Text
    action: ExceptionAction = ExceptionAction.IGNORE
    factor: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.5
    name: MaybeText = ""
    match: Match = Match()

    def __post_init__(self) -> None:
        _ = self.until_us

    @property
    def title(self) -> str:
        """What records call it."""
        return self.name or self.rule

    @property
    def until_us(self) -> int:
        """When it ends, as Unix time in microseconds."""
        return _moment_us(self.until)


def _moment_us(text: str) -> int:
    """Raises: ValueError for what is neither a date nor a moment with its offset."""
    try:
        if len(text) == len("2026-12-31"):
            end = dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC) + dt.timedelta(days=1)
        else:
            end = dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        end = dt.datetime.min
    if end.tzinfo is None:
        raise ValueError(
            f"exceptions.until {text[:40]!r} is no date: 2026-12-31, or 2026-12-31T12:00:00Z with its offset"
        ) from None
    return int(end.timestamp() * 1e6)


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much may be used in a window, each for its own user, team, model or tenant.

    Units: limit is in requests, tokens or US dollars, as unit says.
    """

    name: Name
    limit: Annotated[float, msgspec.Meta(ge=0, le=_COUNT_MAX)]
    unit: Unit
    window: Window
    per: Per = Per.TENANT
    match: Match = Match()

    def __post_init__(self) -> None:
        if self.unit is Unit.USD and self.limit > _USD_MAX:
            raise ValueError(f"budgets.{self.name}.limit is 0 to {_USD_MAX} usd")
        if self.unit is not Unit.USD and self.limit != int(self.limit):
            raise ValueError(f"budgets.{self.name}.limit is a whole number of {self.unit}")

    @property
    def amount(self) -> int:
        """The limit in what is counted: requests, tokens, nano US dollars."""
        return round(self.limit * NANO_USD) if self.unit is Unit.USD else int(self.limit)


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings for some requests only. All that match apply, in their order: of a setting the last one counts.

    Shape: set holds settings of the policy; a setting that has settings of its own is changed one by one, a list as a whole.
    """

    name: Name
    match: Match
    set: dict[str, Any]

    def __post_init__(self) -> None:
        if not any(self.match.of(field) for field in FIELDS):
            raise ValueError(
                f"overrides.{self.name}.match is empty: what holds for all requests stands outside of overrides"
            )


def check_unique(field: str, names: Sequence[str]) -> None:
    """Raises: ValueError when two have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{field}: the name {twice[0]!r} stands twice")
