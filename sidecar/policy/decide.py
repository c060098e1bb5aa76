"""What is done about a request and about its answer, by one policy.

In: an Assessment and a Coverage, or an InspectionFailed; a Policy; the Bar that a user's risk sets. Out: a Decision.
The order of a request: its score; what of it was not read; what of it is to be taken out. What the score denies is not edited
and sent. admission.py refuses what may not be asked at all, budgets (sidecar/risk) what is too much.
Never: finds anything (detectors do), or knows of time.
"""

from dataclasses import dataclass, replace

from sidecar import reweigh
from sidecar.policy.settings import OnFailure, OnThreat, Policy, SpoolFull
from sidecar.types import (
    Action,
    Assessment,
    Coverage,
    Decision,
    FailureKind,
    InspectionFailed,
    Mode,
    Surface,
    ThreatType,
    UnscannedReason,
)

# Statuses of refusals after a failure. The client's fault gets the client's error; ours is 503 (fail closed).
_FAILURE_STATUS = {
    FailureKind.MALFORMED_BODY: 400,
    FailureKind.UNKNOWN_MODEL: 400,
    FailureKind.TOO_LARGE: 413,
    FailureKind.UNSUPPORTED_ENCODING: 415,
    FailureKind.NOT_EDITABLE: 422,
}
_LEAKS = (ThreatType.SECRET_LEAK, ThreatType.PII_LEAK)


@dataclass(frozen=True, slots=True)
class Bar:
    """How far a user's risk lowers the thresholds: by factor, 0 to 1. why is empty where it does not."""

    factor: float = 1.0
    why: str = ""


PLAIN = Bar()


@dataclass(frozen=True, slots=True)
class _Reached:
    """Which threshold a request reaches. without_risk: it would have reached it whoever asked."""

    text: str
    dangerous: bool
    without_risk: bool = True
    alerts: tuple[str, ...] = ()


def decide(assessment: Assessment, coverage: Coverage, policy: Policy, bar: Bar = PLAIN) -> Decision:
    """Return the decision on a request that was inspected. A REDACT has no edits yet: leaks.py makes them."""
    allowed = {kind for kind, action in policy.actions.items() if action is OnThreat.ALLOW} if policy.actions else set()
    counted = reweigh.without(assessment, allowed) if allowed else assessment
    reached = _reached(counted, policy, bar)
    action, reason = _judge(reached, coverage, policy)
    before = (*_allowed(assessment, counted, allowed), *reached.alerts, *((bar.why,) if bar.why else ()))
    reasons = (*before, reason)
    passing = Action.ALLOW if coverage.complete else Action.ALLOW_UNSCANNED
    if action is not Action.DENY:
        return _on_threats(counted, policy, passing, before) or Decision(action, action, policy.mode, reasons=reasons)
    dangerous = reached.dangerous and policy.block_critical
    message = f"request refused: {_kinds(counted)}" if dangerous else _not_inspected(coverage)
    decision = Decision(
        action, action, policy.mode, 403, message, reasons, by_risk=dangerous and not reached.without_risk
    )
    return applied(decision, passing)


def _allowed(assessment: Assessment, counted: Assessment, allowed: set[ThreatType]) -> tuple[str, ...]:
    if counted is assessment:
        return ()
    return tuple(f"actions.{kind} is allow" for kind in sorted(_found(assessment) & allowed))


def _found(assessment: Assessment) -> set[ThreatType]:
    return {finding.type for _, finding in assessment.found}


def _reached(counted: Assessment, policy: Policy, bar: Bar) -> _Reached:
    """Compare with the thresholds. A surface with one of its own is judged by it alone, the others together by deny_score."""
    score, alerts = counted.score, list[str]()
    own = policy.thresholds if counted.found else {}
    for surface, limit in sorted(own.items()):
        part = reweigh.on(counted, {surface}).score
        if limit.alert is not None and part >= limit.alert:
            alerts.append(f"score {part:g} of {surface} reaches its alert threshold {limit.alert:g}")
        if limit.deny is not None and part >= limit.deny * bar.factor:
            text = f"score {part:g} of {surface} reaches its deny threshold {limit.deny * bar.factor:g}"
            return _Reached(text, dangerous=True, without_risk=part >= limit.deny, alerts=tuple(alerts))
    judged = {surface for surface, limit in own.items() if limit.deny is not None}
    if judged:
        score = reweigh.on(counted, set(Surface) - judged).score
    deny = policy.deny_score * bar.factor
    verb = "reaches" if score >= deny else "is below"
    text = f"score {score:g} {verb} deny_score {deny:g}"
    return _Reached(text, score >= deny, score >= policy.deny_score, tuple(alerts))


def _judge(reached: _Reached, coverage: Coverage, policy: Policy) -> tuple[Action, str]:
    if reached.dangerous and policy.block_critical:
        return Action.DENY, reached.text
    if _upgrades(coverage):
        return policy.websocket, f"websocket is {policy.websocket} in the policy; frames are not inspected"
    if not coverage.complete:
        return policy.unscanned, f"{_unscanned(coverage)} of {coverage.body_bytes} bytes were not scanned"
    if reached.dangerous:
        return Action.ALLOW, f"{reached.text}, but block_critical is off"
    return Action.ALLOW, reached.text


def _upgrades(coverage: Coverage) -> bool:
    return any(item.reason is UnscannedReason.UPGRADE for item in coverage.unscanned)


def _not_inspected(coverage: Coverage) -> str:
    if _upgrades(coverage):
        return "WebSocket refused: its frames are not inspected; the policy setting websocket: allow_unscanned lets it through"
    return "request refused: not fully inspected"


def _unscanned(coverage: Coverage) -> int:
    return sum(item.bytes for item in coverage.unscanned)


def _kinds(assessment: Assessment) -> str:
    return ", ".join(dict.fromkeys(threat.finding.type.value for threat in assessment.threats))


def _on_threats(counted: Assessment, policy: Policy, passing: Action, before: tuple[str, ...]) -> Decision | None:
    """Return what the kinds of threats in a request that may pass call for; None when they are only reported."""
    if not counted.found:
        return None
    treated = {kind: action for kind in _found(counted) if (action := policy.treatment(kind)) in _ACTING}
    treated = {
        kind: action
        for kind, action in treated.items()
        if action is not OnThreat.DENY or _denies(kind, counted, policy)
    }
    if not treated:
        return None
    reasons = tuple(f"{_setting(kind, policy)}.{kind} is {action}" for kind, action in sorted(treated.items()))
    reasons = (*before, *reasons)
    denied = ", ".join(kind for kind, action in sorted(treated.items()) if action is OnThreat.DENY)
    if denied:
        refusal = Decision(Action.DENY, Action.DENY, policy.mode, 403, f"request refused: {denied}", reasons)
        return applied(refusal, passing)
    return applied(Decision(Action.REDACT, Action.REDACT, policy.mode, reasons=reasons), passing)


_ACTING = (OnThreat.REDACT, OnThreat.PSEUDONYMISE, OnThreat.DENY)


def _denies(kind: ThreatType, counted: Assessment, policy: Policy) -> bool:
    """Tell whether a kind that is denied is there: a leak however small, anything else where it alerts by itself."""
    if kind in _LEAKS:
        return True
    return sum(threat.score for threat in counted.threats if threat.finding.type is kind) >= policy.alert_score


def _setting(kind: ThreatType, policy: Policy) -> str:
    return "actions" if kind in policy.actions else "leaks"


def refuses_answer(assessment: Assessment, policy: Policy, bar: Bar = PLAIN) -> bool:
    """Tell whether an answer with this score is kept from its client."""
    return policy.block_critical and assessment.score >= policy.deny_score * bar.factor


def on_failure(failure: InspectionFailed, policy: Policy) -> Decision:
    """Return the decision on a request that could not be inspected.

    enforce fails closed, observe fails open, unless the policy says on_failure.
    """
    if failure.kind is FailureKind.SPOOL_FULL and policy.spool_full is SpoolFull.LOSE:
        reason = "the record could not be written; spool_full: lose lets the request pass"
        return Decision(Action.ALLOW_UNSCANNED, Action.ALLOW_UNSCANNED, policy.mode, reasons=(reason,))
    refusal = refusal_of(failure, policy)
    if policy.on_failure is OnFailure.CLOSED:
        return refusal
    if policy.on_failure is OnFailure.OPEN:
        reasons = (*refusal.reasons, "on_failure is open in the policy")
        return Decision(Action.ALLOW_UNSCANNED, Action.ALLOW_UNSCANNED, policy.mode, reasons=reasons)
    return applied(refusal, Action.ALLOW_UNSCANNED)


def refusal_of(failure: InspectionFailed, policy: Policy) -> Decision:
    """Return the refusal of a request that could not be inspected and, whatever the mode, cannot be passed on."""
    status = _FAILURE_STATUS.get(failure.kind, 503)
    reason = f"inspection failed: {failure.kind}" + (f" ({failure.detail})" if failure.detail else "")
    message = failure.detail if status == 400 and failure.detail else reason
    return Decision(Action.DENY, Action.DENY, policy.mode, status, message, (reason,))


def applied(refusal: Decision, passing: Action) -> Decision:
    """Carry a refusal or a redaction out, or in observe mode only say what it would have been."""
    if refusal.mode is not Mode.OBSERVE:
        return refusal
    return replace(
        refusal, applied=passing, status=200, message="", reasons=(*refusal.reasons, "observe mode lets it pass")
    )
