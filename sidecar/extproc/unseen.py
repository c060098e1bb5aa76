"""An answer whose request never reached us: refused by Envoy itself (413, an Upgrade), or gone by.

In: what is known of the answer, a Policy. Out: the inspection, decision and outcome that the record keeps.
"""

from dataclasses import dataclass, replace

from sidecar.extproc.events import AnswerHead
from sidecar.pipeline import uninspected
from sidecar.policy import Policy, on_failure
from sidecar.types import (
    Action,
    Assessment,
    Coverage,
    Decision,
    FailureKind,
    Inspection,
    InspectionFailed,
    LlmMessage,
    Outcome,
    Unscanned,
    UnscannedReason,
)

# Envoy's response_code_details for an Upgrade that no upgrade configuration names (1.40, tried).
_UPGRADE_REFUSED = "upgrade_failed"


@dataclass(frozen=True, slots=True)
class Unseen:
    """The first half of a record without an inspection."""

    inspection: Inspection
    decision: Decision
    outcome: Outcome


def judged(answer: AnswerHead, outcome: Outcome, policy: Policy) -> Unseen:
    """Return what the record says; outcome is how the answer ends if it is the provider's."""
    if answer.local and answer.details == _UPGRADE_REFUSED:
        return _upgrade(answer, policy)
    kind = FailureKind.TOO_LARGE if answer.status == 413 and answer.local else FailureKind.NOT_INSPECTED
    failure = InspectionFailed(kind, answer.details)
    done = Action.DENY if answer.local else Action.ALLOW_UNSCANNED
    decision = replace(on_failure(failure, policy), applied=done, would_be=Action.DENY)
    return Unseen(uninspected(failure), decision, Outcome.FAILED if answer.local else outcome)


def _upgrade(answer: AnswerHead, policy: Policy) -> Unseen:
    """Protocols other than WebSocket are refused in every mode: there is nothing they could be let through as."""
    nothing = LlmMessage("none", ())
    coverage = Coverage(0, 0, (Unscanned(UnscannedReason.UPGRADE, 0),))
    reason = "an Upgrade to anything but a WebSocket is always refused"
    decision = Decision(Action.DENY, Action.DENY, policy.mode, answer.status, reason, (reason,))
    return Unseen(Inspection(nothing, Assessment(), coverage), decision, Outcome.DENIED)
