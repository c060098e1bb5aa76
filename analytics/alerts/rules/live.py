"""Rules over records, as they come: security score, leaks, fail-open, slow calls.

In: a Change: a record that is new or went on to a later stage. Out: an Occurrence, or None.
A record is told of once: its security when its score crosses a threshold, the rest when its exchange has ended.
Source: thresholds are settings (config/thresholds, config/alerts); levels are the mission's: CRITICAL asks for action now,
WARNING for attention, INFO informs.
Never: text of a match (records hold none); I/O.
"""

from dataclasses import dataclass

from analytics.alerts.rules.naming import keyed
from analytics.config import Settings
from analytics.types import FINAL_RANK, STAGE_RANKS, Change, DecisionRow, ThreatRow
from analytics.types.alerts import Occurrence

CRITICAL_SCORE = 15.0  # the mission's scale
LEAKS = ("secret_leak", "exfiltration", "pii_leak", "system_prompt_leak")
# A key that left must be replaced now, and data that was carried off does not come back.
_URGENT_LEAKS = frozenset({"secret_leak", "exfiltration"})
_DONE = {
    "allow": "let through",
    "allow_unscanned": "let through",
    "redact": "redacted",
    "throttle": "throttled",
    "deny": "denied",
}
SHOWN_THREATS = 5


def security(change: Change, settings: Settings) -> Occurrence | None:
    """A score at ALERT_SECURITY_THRESHOLD or above is a WARNING, the level CRITICAL is one; told when it gets there."""
    row = change.row
    level = _severity(row.score, settings, critical=row.level == "critical")
    before = _severity(change.before_score, settings, critical=change.before_score >= CRITICAL_SCORE)
    if not level or (not change.new and level <= before):
        return None
    threat = _worst(row)
    what = threat.type.replace("_", " ") if threat else "risk"
    return _occurrence(
        row,
        "security",
        "critical" if level == 2 else "warning",
        _Said(
            about=(row.user, threat.type if threat else ""),
            title=f"{what} by {_who(row)} was {_done(row)}",
            text=f"The exchange scored {row.score:g} ({row.level}). {_mode(row)}",
        ),
    )


def _severity(score: float, settings: Settings, *, critical: bool) -> int:
    if critical:
        return 2
    return 1 if score >= settings.alert_security_threshold else 0


def leak(change: Change, settings: Settings) -> Occurrence | None:
    """Secrets, personal data, system prompts that left although they were found: nothing was taken out, nothing denied."""
    row = change.row
    if not row.threats or not row.passed or row.applied == "redact" or row.score < settings.alert_leak_score:
        return None
    found = [one for one in row.threats if one.type in LEAKS and one.score >= settings.alert_leak_score]
    if not found or not (change.new or row.score > change.before_score):
        return None
    worst = min(found, key=lambda one: (LEAKS.index(one.type), -one.score))
    what = worst.type.replace("_", " ")
    return _occurrence(
        row,
        "leak",
        "critical" if worst.type in _URGENT_LEAKS else "warning",
        _Said(
            about=(row.user, worst.type),
            title=f"{what} by {_who(row)} was let through",
            text=f"It stood in {_surfaces(found)} and left as it was. {_mode(row)}",
        ),
    )


def fail_open(change: Change, settings: Settings) -> Occurrence | None:  # noqa: ARG001 - every rule is called alike
    """A request passed although its inspection failed."""
    row = change.row
    if not row.fail_open or not _ended(change):
        return None
    why = row.failure.replace("_", " ")
    return _occurrence(
        row,
        "fail_open",
        "warning",
        _Said(
            about=(row.failure,),
            title=f"a call passed uninspected: {why}",
            text="Inspection failed and the failure policy let the call pass. Nobody looked at what it holds.",
        ),
    )


def slow_call(change: Change, settings: Settings) -> Occurrence | None:
    """An answer took ALERT_LATENCY_THRESHOLD or longer; one is INFO, many make a WARNING (alerts/group)."""
    row = change.row
    latency_us = row.latency_us
    if latency_us is None or row.stage != "complete" or latency_us < settings.alert_latency_threshold * 1e6:
        return None
    return _occurrence(
        row,
        "slow_call",
        "info",
        _Said(
            about=(row.model,),
            title=f"slow answers of {row.model or row.provider or 'an unnamed model'}",
            text=f"The slowest answer took {latency_us / 1e6:.1f} s; the threshold is {settings.alert_latency_threshold:g} s.",
            measure=latency_us / 1e6,
        ),
    )


def _ended(change: Change) -> bool:
    """Return True when this change is the one in which the exchange ended."""
    return change.row.final and STAGE_RANKS.get(change.before_stage, 0) < FINAL_RANK


def _worst(row: DecisionRow) -> ThreatRow | None:
    return max(row.threats, key=lambda one: one.score, default=None)


def _who(row: DecisionRow) -> str:
    return row.user or "an unknown user"


def _done(row: DecisionRow) -> str:
    if row.outcome == "failed":
        return "refused"
    return _DONE.get(row.applied, "seen")


def _mode(row: DecisionRow) -> str:
    """Return what would have happened, where the mode kept it from happening."""
    if row.mode == "observe" and row.would_be != row.applied:
        return f"The policy only observes; in enforce mode it would have been {_DONE.get(row.would_be, row.would_be)}."
    return ""


def _surfaces(found: list[ThreatRow]) -> str:
    names = dict.fromkeys(one.surface.replace("_", " ") for one in found)
    return ", ".join(f"the {name}" for name in names)


@dataclass(frozen=True, slots=True)
class _Said:
    """What an occurrence is about, and how it is told. measure stands in the score's place where another number matters."""

    about: tuple[str, ...]
    title: str
    text: str
    measure: float | None = None


def _occurrence(row: DecisionRow, rule: str, level: str, said: _Said) -> Occurrence:
    return Occurrence(
        rule=rule,
        level=level,
        tenant=row.tenant,
        key=keyed(rule, *said.about),
        title=said.title,
        text=said.text.strip(),
        moment_unix_us=row.started_unix_us,
        user=row.user,
        model=row.model,
        endpoint=row.endpoint,
        decisions=(row.decision_id,),
        score=row.score if said.measure is None else said.measure,
        facts=_facts(row),
    )


def _facts(row: DecisionRow) -> tuple[tuple[str, str], ...]:
    worst = sorted(row.threats, key=lambda one: -one.score)[:SHOWN_THREATS]
    threats = "; ".join(f"{one.rule_id} in {one.surface} (+{one.score:g})" for one in worst)
    more = f"; {len(row.threats) - SHOWN_THREATS} more" if len(row.threats) > SHOWN_THREATS else ""
    would = f", would be {row.would_be}" if row.would_be != row.applied else ""
    known = (
        ("Threats", threats + more),
        ("Action", row.applied + would),
        ("Failure", row.failure if row.failure != "unspecified" else ""),
        ("Provider", row.provider),
        ("Door", row.door),
        ("Decision", row.decision_id),
    )
    return tuple((label, value) for label, value in known if value)
