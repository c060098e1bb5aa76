"""Rules that are not to count, or to count less, for some requests until a date.

In: the exceptions whose scope a request falls into, an Assessment, the time. Out: the Assessment without them, and its reasons.
An exception that has ended has no effect; where it would have had one the record says so, and it is counted.
Never: what a rule found is forgotten: it is kept as `ignored`, so that captured content is masked as before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sidecar import reweigh
from sidecar.policy.match import Bits
from sidecar.policy.scoped import ExceptionAction, RuleException
from sidecar.types import Assessment, Finding

_RULES_TOLD = 3


@dataclass(frozen=True, slots=True)
class Waived:
    """An assessment after exceptions. applied and ended are how many of them met a finding."""

    assessment: Assessment
    reasons: tuple[str, ...] = ()
    applied: int = 0
    ended: int = 0


class Waivers:
    """Exceptions, compiled. They hold for one set of scopes."""

    __slots__ = ("_ends", "_items", "_rules")

    def __init__(self, items: Sequence[RuleException]) -> None:
        self._items = tuple(items)
        self._ends = tuple(item.until_us for item in items)
        self._rules = Bits([(item.rule,) for item in items])

    def __bool__(self) -> bool:
        """True when there is any."""
        return bool(self._items)

    def waive(self, assessment: Assessment, now_unix_us: int) -> Waived:
        """Return an assessment without what is excepted now. Bounds: nothing to do where nothing was found."""
        if not self._items or not assessment.found:
            return Waived(assessment)
        in_time = sum(1 << place for place, end in enumerate(self._ends) if end > now_unix_us)
        met = _Met()

        def factor(finding: Finding) -> float:
            bits = self._rules[finding.rule_id]
            met.note(bits, finding.rule_id)
            return min((_factor(self._items[place]) for place in _places(bits & in_time)), default=1.0)

        left = reweigh.lowered(assessment, factor)
        reasons = tuple(
            _reason(self._items[place], rules, bool(in_time >> place & 1)) for place, rules in sorted(met.rules.items())
        )
        applied = sum(in_time >> place & 1 for place in met.rules)
        return Waived(left, reasons, applied, len(met.rules) - applied)


@dataclass(slots=True)
class _Met:
    """Which exceptions met which rules."""

    rules: dict[int, list[str]] = field(default_factory=dict)

    def note(self, bits: int, rule_id: str) -> None:
        for place in _places(bits):
            known = self.rules.setdefault(place, [])
            if rule_id not in known:
                known.append(rule_id)


def _places(bits: int) -> list[int]:
    return [place for place in range(bits.bit_length()) if bits >> place & 1]


def _factor(item: RuleException) -> float:
    return 0.0 if item.action is ExceptionAction.IGNORE else item.factor


def _reason(item: RuleException, rules: list[str], in_time: bool) -> str:
    if not in_time:
        return f"exception {item.title} ended on {item.until}: {', '.join(rules[:_RULES_TOLD])} counts in full"
    what = "is ignored" if item.action is ExceptionAction.IGNORE else f"counts {item.factor:g} of its weight"
    told = f"exception {item.title}: {', '.join(rules[:_RULES_TOLD])} {what} until {item.until}"
    return f"{told} ({item.who}: {item.reason})"
