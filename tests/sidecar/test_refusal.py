"""What a refused client reads."""

import json
from dataclasses import replace
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
    Head,
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


def error(
    inspection: Inspection, message: str, status: int = 403, wait_s: int = 0, head: Head = CHAT
) -> dict[str, Any]:
    decision = Decision(Action.DENY, Action.DENY, Mode.ENFORCE, status, message, wait_s=wait_s)
    verdict = Verdict(
        "d-1", head, "gateway", "openai", IDENTIFIER.identify(CHAT), inspection, decision, Outcome.DENIED,
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


NOTHING = Inspection(LlmMessage("x", ()), Assessment(), Coverage(1, 1))
OVER = "request refused: budget rate: 60 requests a minute for user 'ada' are used up"


def test_who_is_over_a_budget_is_told_so_and_until_when() -> None:
    found = error(NOTHING, OVER, 429, 17)
    assert (found["type"], found["code"], found["retry_after_s"]) == ("rate_limited", "douane_throttled", 17)
    assert found["message"] == f"Douane: {OVER} (decision d-1)"


def test_what_is_too_large_for_the_policy_says_so() -> None:
    assert error(NOTHING, "request refused: 9 bytes, and the policy takes 5", 413)["code"] == "douane_too_large"


def test_a_failure_that_was_let_pass_is_not_why_a_request_is_throttled() -> None:
    failed = uninspected(InspectionFailed(FailureKind.DEADLINE))
    assert error(failed, OVER, 429)["code"] == "douane_throttled"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/messages", "rate_limit_error"),
        ("/v1beta/models/gemini-2.0-flash:generateContent", "RESOURCE_EXHAUSTED"),
        ("/model/anthropic.claude-3/converse", "ThrottlingException"),
        ("/v2/chat", "rate_limited"),
        ("/api/chat", "rate_limited"),
    ],
)
def test_every_provider_has_its_own_word_for_it(path: str, kind: str) -> None:
    decision = Decision(Action.THROTTLE, Action.THROTTLE, Mode.ENFORCE, 429, OVER, wait_s=17)
    head = replace(CHAT, path=path)
    verdict = Verdict(
        "d-1", head, "gateway", "openai", IDENTIFIER.identify(head), NOTHING, decision, Outcome.DENIED,
        "p", "r", ContentCapture.NONE, 0, 0, 0,
    )  # fmt: skip
    body = refusal_body(verdict).decode()
    assert kind in body
    assert "17" in body


def test_google_s_clients_find_the_wait_where_they_look() -> None:
    found = error(NOTHING, OVER, 429, 17, replace(CHAT, path="/v1beta/models/gemini-2.0-flash:generateContent"))
    assert found["details"][1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}
