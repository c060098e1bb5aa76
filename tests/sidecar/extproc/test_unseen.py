"""Records of answers whose requests never reached us."""

import pytest

from sidecar.extproc.events import AnswerHead
from sidecar.extproc.unseen import judged
from sidecar.policy import Policy
from sidecar.types import Action, FailureKind, InspectionFailed, Mode, Outcome


@pytest.mark.parametrize(
    ("answer", "kind", "applied", "outcome"),
    [
        (AnswerHead(413, "request_payload_too_large"), FailureKind.TOO_LARGE, Action.DENY, Outcome.FAILED),
        (AnswerHead(413, "via_upstream"), FailureKind.NOT_INSPECTED, Action.ALLOW_UNSCANNED, Outcome.ANSWERED),
        (AnswerHead(503, "no_healthy_upstream"), FailureKind.NOT_INSPECTED, Action.DENY, Outcome.FAILED),
        (AnswerHead(403, "via_upstream"), FailureKind.NOT_INSPECTED, Action.ALLOW_UNSCANNED, Outcome.ANSWERED),
    ],
)
def test_it_is_recorded_as_what_it_is(answer: AnswerHead, kind: FailureKind, applied: Action, outcome: Outcome) -> None:
    found = judged(answer, Outcome.ANSWERED, Policy())
    assert found.inspection.failure == InspectionFailed(kind, answer.details)
    assert (found.decision.applied, found.decision.would_be, found.outcome) == (applied, Action.DENY, outcome)


@pytest.mark.parametrize("mode", list(Mode))
def test_an_upgrade_that_envoy_refused_is_denied_in_every_mode(mode: Mode) -> None:
    found = judged(AnswerHead(403, "upgrade_failed"), Outcome.ANSWERED, Policy(mode=mode))
    assert (found.inspection.failure, found.inspection.coverage.complete) == (None, False)
    assert (found.decision.applied, found.decision.status, found.outcome) == (Action.DENY, 403, Outcome.DENIED)
    assert found.decision.reasons == ("an Upgrade to anything but a WebSocket is always refused",)
