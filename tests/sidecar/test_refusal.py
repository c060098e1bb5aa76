"""What a refused client reads."""

import json
from typing import Any

import pytest

from sidecar.pipeline import uninspected
from sidecar.refusal import refusal_body
from sidecar.types import (
    Action,
    Assessment,
    ContentCapture,
    Coverage,
    Decision,
    FailureKind,
    Finding,
    Inspection,
    InspectionFailed,
    LlmMessage,
    Mode,
    Outcome,
    Segment,
    Span,
    Surface,
    Threat,
    ThreatType,
    Verdict,
)
from tests.sidecar.values import CHAT, IDENTIFIER

PROMPT = "the prompt that must not be told"
FOUND = Threat(
    Finding(ThreatType.JAILBREAK, "patterns", "jailbreak.x", Span(0, 3), 9.0),
    Segment(PROMPT, Surface.USER, 2, "/messages/2/content"),
    8.5,
)


def error(inspection: Inspection, message: str) -> dict[str, Any]:
    decision = Decision(Action.DENY, Action.DENY, Mode.ENFORCE, 403, message)
    verdict = Verdict(
        "d-1", CHAT, "gateway", "openai", IDENTIFIER.identify(CHAT), inspection, decision, Outcome.DENIED,
        "p", "r", ContentCapture.FULL, 0, 0, 0,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(refusal_body(verdict))
    assert list(found) == ["error"]
    return dict(found["error"])


def test_denial_tells_why_but_not_what() -> None:
    inspection = Inspection(LlmMessage("x", ()), Assessment(17.0, (FOUND,)), Coverage(1, 1))
    found = error(inspection, "request refused: jailbreak")
    assert found == {
        "message": "Douane: request refused: jailbreak (decision d-1)",
        "type": "permission_denied",
        "param": None,
        "code": "douane_denied",
        "decision_id": "d-1",
        "risk_score": 17.0,
        "risk_level": "CRITICAL",
        "threats": [
            {
                "type": "jailbreak",
                "rule_id": "jailbreak.x",
                "detector": "patterns",
                "surface": "user",
                "message_index": 2,
                "score": 8.5,
            }
        ],
    }
    assert PROMPT not in json.dumps(found)


def test_threats_are_bounded() -> None:
    inspection = Inspection(LlmMessage("x", ()), Assessment(17.0, (FOUND,) * 50), Coverage(1, 1))
    assert len(error(inspection, "no")["threats"]) == 10


@pytest.mark.parametrize("kind", list(FailureKind))
def test_failure_names_its_kind(kind: FailureKind) -> None:
    found = error(uninspected(InspectionFailed(kind, "why")), "why")
    assert (found["type"], found["code"], found["threats"]) == ("inspection_failed", f"douane_{kind.value}", [])
