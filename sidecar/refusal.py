"""What a refused client reads: the error format of the API it called, with why.

In: a Verdict. Out: a JSON body. The OpenAI SDK turns `error` into its exception's body.
Never: the prompt or the matched text; a rule's id, its type and where it matched are enough to find it.
Source: OpenAI API reference, "Error codes", read 2026-11; DESIGN 4.
"""

import msgspec

from sidecar.types import Threat, Verdict

_MAX_THREATS = 10


def refusal_body(verdict: Verdict) -> bytes:
    """Return the body of a 400, 403, 413, 415, 429 or 503 of ours."""
    assessment, failure = verdict.inspection.assessment, verdict.inspection.failure
    error = {
        "message": f"Douane: {verdict.decision.message} (decision {verdict.decision_id})",
        "type": "permission_denied" if failure is None else "inspection_failed",
        "param": None,
        "code": "douane_denied" if failure is None else f"douane_{failure.kind.value}",
        "decision_id": verdict.decision_id,
        "risk_score": assessment.score,
        "risk_level": assessment.level.value.upper(),
        "threats": [_threat(threat) for threat in assessment.threats[:_MAX_THREATS]],
    }
    return msgspec.json.encode({"error": error})


def _threat(threat: Threat) -> dict[str, object]:
    return {
        "type": threat.finding.type.value,
        "rule_id": threat.finding.rule_id,
        "detector": threat.finding.detector,
        "surface": threat.segment.surface.value,
        "message_index": threat.segment.message_index,
        "score": threat.score,
    }
