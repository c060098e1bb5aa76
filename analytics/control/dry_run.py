"""What a policy would have done with records that are held: the question before a policy is put in force.

In: records, a policy document, the one in force. Out: counts by action, as recorded and by both policies, and the records on which
the two differ.
It judges as the sidecar does (sidecar/policy; a test compares the two) by what a record says: threats, coverage, failure,
names, size. What it cannot know is left out and told: text is not inspected again, so that after an exception the score is
the sum of what remains; use of budgets, risk and quarantine of users at that time, and answers held back are as if there
were none. Two policies are compared by the same means, and not one with what was recorded: that keeps these faults out of
the difference. Never: changes anything.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from analytics.control import scopes
from analytics.control.consistency import moment_unix_us
from analytics.control.policies import Document, defaults
from analytics.control.scopes import Scope
from analytics.types import DecisionRow, ThreatRow

EXAMPLES_MAX = 50
# What a record does not tell, for the answer to say.
NOT_TOLD = ("budgets", "user_risk", "max_tokens", "response", "output_leaks", "canaries", "new findings")
_LEAKS = ("secret_leak", "pii_leak")
_ACTING = ("redact", "pseudonymise", "deny")
OF_ANSWERS = ("output", "reasoning")
# RuleException.factor's default in the schema.
_FACTOR = 0.5
_LISTS = (("users", "user"), ("models", "model"), ("hosts", "host"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would have happened to a request (applied), what enforce mode would have done (would_be), and why."""

    applied: str
    would_be: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Override:
    scope: Scope
    set: Document


@dataclass(frozen=True, slots=True)
class _Waiver:
    """An exception to rules that has not ended. factor is what is left of a rule's weight."""

    scope: Scope
    rule: str
    factor: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A policy to be tried: its settings with every default, and what of it is scoped."""

    settings: Document
    overrides: tuple[_Override, ...]
    waivers: tuple[_Waiver, ...]
    _merged: dict[tuple[int, ...], Document] = field(default_factory=dict)

    def of(self, row: DecisionRow) -> Document:
        """Return the settings that hold for a record; of a setting the last override that covers it counts."""
        places = tuple(place for place, one in enumerate(self.overrides) if one.scope.covers(row))
        if places not in self._merged:
            settings = self.settings
            for place in places:
                settings = _over(settings, self.overrides[place].set)
            self._merged[places] = settings | {"alert_score": min(settings["alert_score"], settings["deny_score"])}
        return self._merged[places]

    def found(self, row: DecisionRow) -> list[ThreatRow]:
        """Return what was found in a record's request, each weighing what exceptions leave of it."""
        waivers = [one for one in self.waivers if one.scope.covers(row)]
        weighed: list[ThreatRow] = []
        for threat in row.threats:
            if threat.surface in OF_ANSWERS or threat.type == "user_risk":
                continue
            factor = min((one.factor for one in waivers if scopes.named((one.rule,), threat.rule_id)), default=1.0)
            if factor > 0.0:
                weighed.append(threat if factor == 1.0 else replace(threat, score=threat.score * factor))
        return weighed


def prepare(document: Document, now_unix_us: int) -> Trial:
    """Return a document that has been checked, ready to be tried; exceptions that have ended by now are none."""
    overrides = [_Override(scopes.read(one.get("match")), one["set"]) for one in document.get("overrides") or ()]
    waivers = [
        _waiver(one) for one in document.get("exceptions") or () if (moment_unix_us(one["until"]) or 0) > now_unix_us
    ]
    plain = {name: value for name, value in document.items() if name not in ("overrides", "exceptions", "budgets")}
    return Trial(_over(defaults(), plain), tuple(overrides), tuple(waivers))


def _waiver(given: Mapping[str, Any]) -> _Waiver:
    ignored = given.get("action", "ignore") == "ignore"
    factor = 0.0 if ignored else float(given.get("factor", _FACTOR))
    return _Waiver(scopes.read(given.get("match")), given["rule"], factor)


def _over(held: Document, news: Mapping[str, Any]) -> Document:
    """Return settings with news over them, groups setting by setting."""
    merged = dict(held)
    for name, value in news.items():
        inner = merged.get(name)
        merged[name] = _over(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def judge(row: DecisionRow, trial: Trial) -> Verdict:
    """Return what a policy would have done with a record's request."""
    settings = trial.of(row)
    if row.failure != "unspecified":
        return _failed(row, settings)
    passing = "allow" if _coverage(row).get("complete", True) else "allow_unscanned"
    refusal = _refused(row, settings)
    action, reason = ("deny", refusal) if refusal else _weighed(row, settings, trial.found(row), passing)
    if settings["mode"] == "observe" and action not in (passing, "allow_unscanned"):
        return Verdict(passing, action, reason)
    return Verdict(action, action, reason)


def _failed(row: DecisionRow, settings: Document) -> Verdict:
    reason = f"inspection failed: {row.failure}"
    if row.failure == "spool_full" and settings["spool_full"] == "lose":
        return Verdict("allow_unscanned", "allow_unscanned", reason)
    if settings["on_failure"] == "open":
        return Verdict("allow_unscanned", "allow_unscanned", reason)
    open_ = settings["on_failure"] == "by_mode" and settings["mode"] == "observe"
    return Verdict("allow_unscanned" if open_ else "deny", "deny", reason)


def _refused(row: DecisionRow, settings: Document) -> str:
    """Return why a request is not admitted whatever it says, empty when it is."""
    for what, name in _LISTS:
        names, value = settings["lists"].get(what) or {}, scopes.field_of(row, name)
        if scopes.named(names.get("deny") or (), value):
            return f"{name} is on the policy's deny list"
        if names.get("allow") and not scopes.named(names["allow"], value):
            return f"{name} is not on the policy's allow list"
    if 0 < settings["max_body_bytes"] < _coverage(row).get("body_bytes", 0):
        return "larger than max_body_bytes"
    return ""


def _weighed(row: DecisionRow, settings: Document, found: list[ThreatRow], passing: str) -> tuple[str, str]:
    actions = settings["actions"]
    counted = [threat for threat in found if actions.get(threat.type) != "allow"]
    dangerous, reason = _reaches(counted, settings)
    if dangerous and settings["block_critical"]:
        return "deny", reason
    unscanned = _coverage(row).get("unscanned") or ()
    if any(one.get("reason") == "upgrade" for one in unscanned):
        action, reason = settings["websocket"], f"websocket is {settings['websocket']}"
    elif passing == "allow_unscanned":
        action, reason = settings["unscanned"], f"unscanned is {settings['unscanned']}"
    else:
        action = "allow"
    if action == "deny":
        return action, reason
    return _treated(counted, settings) or (passing, reason)


def _reaches(counted: list[ThreatRow], settings: Document) -> tuple[bool, str]:
    """Tell whether a threshold is reached: a surface with one of its own is judged by it alone, the others together."""
    rest = list(counted)
    for surface, limit in sorted(settings["thresholds"].items()):
        if limit.get("deny") is None:
            continue
        score = _sum(threat for threat in counted if threat.surface == surface)
        rest = [threat for threat in rest if threat.surface != surface]
        if counted and score >= limit["deny"]:
            return True, f"score {score:g} of {surface} reaches its deny threshold {limit['deny']:g}"
    score = _sum(rest)
    reaches = score >= settings["deny_score"]
    return reaches, f"score {score:g} {'reaches' if reaches else 'is below'} deny_score {settings['deny_score']:g}"


def _treated(counted: list[ThreatRow], settings: Document) -> tuple[str, str] | None:
    """Return what the kinds of threats call for that their score lets pass; None when they are only reported."""
    treated: dict[str, str] = {}
    for kind in sorted({threat.type for threat in counted}):
        action = settings["actions"].get(kind) or (settings["leaks"][kind] if kind in _LEAKS else "report")
        alone = kind in _LEAKS or _sum(t for t in counted if t.type == kind) >= settings["alert_score"]
        if action in _ACTING and (action != "deny" or alone):
            treated[kind] = action
    if not treated:
        return None
    reason = ", ".join(f"{kind} is {action}" for kind, action in treated.items())
    return ("deny" if "deny" in treated.values() else "redact"), reason


def _sum(threats: Iterable[ThreatRow]) -> float:
    return round(sum(threat.score for threat in threats), 1)


def _coverage(row: DecisionRow) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row.detail.get("request_coverage") or {}
    return found


@dataclass(frozen=True, slots=True)
class Differs:
    """A record on which two policies differ."""

    row: DecisionRow
    before: Verdict
    after: Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of trying a policy. Shape: counts are by action; differing has the newest records, at most EXAMPLES_MAX."""

    records: int
    recorded: Mapping[str, int]
    before: Mapping[str, int]
    after: Mapping[str, int]
    changes: Mapping[tuple[str, str], int]
    differing: tuple[Differs, ...]


def compare(rows: Iterable[DecisionRow], before: Trial, after: Trial, examples: int = EXAMPLES_MAX) -> Outcome:
    """Return how two policies judge the same records."""
    recorded, old, new = Counter[str](), Counter[str](), Counter[str]()
    changes = Counter[tuple[str, str]]()
    differing: list[Differs] = []
    for row in rows:
        was, would = judge(row, before), judge(row, after)
        recorded[row.applied] += 1
        old[was.applied] += 1
        new[would.applied] += 1
        if was.applied != would.applied:
            changes[was.applied, would.applied] += 1
            if len(differing) < examples:
                differing.append(Differs(row, was, would))
    return Outcome(recorded.total(), recorded, old, new, changes, tuple(differing))
