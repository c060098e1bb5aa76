"""What a refused client reads: why, in the words of the API it called, so that its SDK raises its normal exception.

In: a Verdict, or what was found in an answer. Out: a Refused, and the JSON body that its protocol makes of it.
Never: the prompt or the matched text; a rule's id, its type and where it matched are enough to find it.
Source: DESIGN 4; the formats: each protocol's module.
"""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from sidecar.protocols import protocol_for
from sidecar.protocols.wire import Refused
from sidecar.types import Assessment, InspectionFailed, Threat, Verdict

_MAX_THREATS = 10
_TOO_MANY = 429
_OURS = "request refused: "  # how what policy refuses begins (sidecar/policy)
_CODES = {_TOO_MANY: "douane_throttled", 413: "douane_too_large"}


def refusal_body(verdict: Verdict) -> bytes:
    """Return the body of a 400, 403, 413, 415, 429 or 503 of ours."""
    inspection, decision = verdict.inspection, verdict.decision
    # A failed inspection that was let pass is not why a request is throttled or its user in quarantine.
    failure = inspection.failure if not decision.message.startswith(_OURS) else None
    told = refused(verdict.decision_id, decision.status, decision.message, inspection.assessment, failure)
    if decision.wait_s:
        told = replace(told, details={**told.details, "retry_after_s": decision.wait_s})
    return msgspec.json.encode(protocol_for(verdict.head).refusal(told))


def refused(
    decision_id: str, status: int, message: str, assessment: Assessment, failure: InspectionFailed | None
) -> Refused:
    """Return why a client is refused."""
    kind = "permission_denied" if status != _TOO_MANY else "rate_limited"
    return Refused(
        status=status,
        kind=kind if failure is None else "inspection_failed",
        code=_CODES.get(status, "douane_denied") if failure is None else f"douane_{failure.kind.value}",
        message=f"Douane: {message} (decision {decision_id})",
        details={
            "decision_id": decision_id,
            "risk_score": assessment.score,
            "risk_level": assessment.level.value.upper(),
            "threats": _threats(assessment.threats),
        },
    )


def _threats(threats: Iterable[Threat]) -> list[dict[str, object]]:
    return [_threat(threat) for threat in tuple(threats)[:_MAX_THREATS]]


def _threat(threat: Threat) -> dict[str, object]:
    return {
        "type": threat.finding.type.value,
        "rule_id": threat.finding.rule_id,
        "detector": threat.finding.detector,
        "surface": threat.segment.surface.value,
        "message_index": threat.segment.message_index,
        "score": threat.score,
    }
