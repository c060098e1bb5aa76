"""What is decided of one request, and what it leaves behind in users' risk and budgets."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.extproc.ruling import Received, Ruling, called, host_name, outcome_of, place_of, ruled, settled
from sidecar.extproc.surroundings import Surroundings
from sidecar.pipeline import uninspected
from sidecar.policy import Compiled, Facts, Policy, parse_policy
from sidecar.policy.scoped import Unit
from sidecar.protocols.generate import Target
from sidecar.risk.budgets import Claim
from sidecar.types import (
    Action,
    Assessment,
    Completion,
    ContentCapture,
    Coverage,
    Decision,
    FailureKind,
    Head,
    InspectionFailed,
    LlmMessage,
    LlmReply,
    Mode,
    Outcome,
    Segment,
    Surface,
    ThreatType,
    Usage,
)
from tests.sidecar.values import ATTACK, CHAT, LEAK, WARNING, around, chat

NOW = 1_800_000_000_000_000
TEAM = replace(CHAT, headers={**CHAT.headers, "x-team-id": "red", "x-tenant-id": "acme"})


def rule(
    text: str, policy: str = "", head: Head = TEAM, surroundings: Surroundings | None = None, **more: Any
) -> Ruling:
    shared = surroundings or around()
    data = chat(text, **more)
    inspection = shared.pipeline.inspect(head, data, 1 << 60)
    compiled = Compiled(parse_policy(policy, Policy()))
    return ruled(Received(head, data, inspection, ("gateway", "openai"), NOW), compiled, shared)


def decided(ruling: Ruling) -> tuple[Action, int, tuple[str, ...]]:
    return ruling.decision.applied, ruling.decision.status, ruling.decision.reasons


def test_who_asks_is_known_in_the_words_of_scopes() -> None:
    caller = called(
        replace(TEAM, host="API.test:443"), LlmMessage("x", (), "m"), ("proxy", "openai"), Compiled(Policy()), around()
    )
    assert caller.facts == Facts("acme", "ada", "red", "m", "openai", "/v1/chat/completions", "proxy", "api.test")
    assert caller.key == ("acme", "ada")


def test_a_policy_may_name_headers_of_its_own() -> None:
    head = replace(CHAT, headers={"x-employee": "eve", "x-centre": "blue", "x-user-id": "ada"})
    ruling = rule("hello", "identity: {user: x-employee, team: x-centre}", head)
    assert (ruling.caller.identity.user, ruling.caller.identity.team) == ("eve", "blue")


@pytest.mark.parametrize(
    ("host", "name"), [("API.test", "api.test"), ("a:8080", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")]
)
def test_hosts_are_compared_without_their_port(host: str, name: str) -> None:
    assert host_name(host) == name


def test_the_place_is_the_route_s_name() -> None:
    assert place_of("gateway/openai/careful", None) == ("gateway", "openai")
    assert place_of("", None) == ("gateway", "")
    assert place_of("generate", Target("openrouter", "m")) == ("generate", "openrouter")


def test_an_override_decides_by_the_model_and_the_record_says_so() -> None:
    policy = "overrides: [{name: careful, match: {model: gpt-4*, team: red}, set: {deny_score: 6}}]"
    ruling = rule(WARNING, policy)
    assert decided(ruling) == (
        Action.DENY,
        403,
        ("policy overrides: careful", "score 7 reaches deny_score 6"),
    )
    assert ruling.caller.in_force.policy.version.endswith("/careful")
    assert rule(WARNING, policy, CHAT).decision.applied is Action.ALLOW


def test_an_exception_lets_pass_what_its_rule_alone_denied() -> None:
    policy = 'exceptions: [{rule: words.attack, until: "2099-12-31", reason: red team, who: ada, match: {team: red}}]'
    ruling = rule(ATTACK, policy)
    assert decided(ruling) == (
        Action.ALLOW,
        200,
        (
            "exception words.attack: words.attack is ignored until 2099-12-31 (ada: red team)",
            "score 0 is below deny_score 15",
        ),
    )
    assert (ruling.waived, ruling.inspection.assessment.score) == ((1, 0), 0.0)
    assert rule(ATTACK, policy, CHAT).decision.applied is Action.DENY


def test_lists_and_sizes_refuse_what_the_score_lets_pass() -> None:
    assert decided(rule("hello", "lists: {models: {allow: [claude-*]}}")) == (
        Action.DENY,
        403,
        ("score 0 is below deny_score 15", "model 'gpt-4o' is not on the policy's allow list"),
    )
    assert rule("hello", "max_tokens: 100", max_tokens=101).decision.status == 403
    assert rule("hello", "max_tokens: 100", max_tokens=100).decision.applied is Action.ALLOW
    assert rule("hello" * 50, "max_body_bytes: 200").decision.status == 413


def test_listing_models_passes_a_list_of_models() -> None:
    shared, head = around(), replace(CHAT, method="GET", path="/v1/models")
    compiled = Compiled(parse_policy("lists: {models: {allow: [claude-*]}}", Policy()))
    inspection = shared.pipeline.inspect(head, b"", 1 << 60)
    assert (
        ruled(Received(head, b"", inspection, ("gateway", "openai"), NOW), compiled, shared).decision.applied
        is Action.ALLOW
    )


# ── user risk ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_user_s_attacks_lower_the_bar_for_what_comes_after() -> None:
    shared = around()
    policy = "deny_score: 10\nuser_risk: {tighten_from: 15, tighten_to: 40, min_deny_score: 6}"
    assert rule(WARNING, policy, surroundings=shared).decision.applied is Action.ALLOW
    for number in range(3):
        assert rule(f"{ATTACK} {number}", policy, surroundings=shared).decision.by_risk is False
    ruling = rule(WARNING, policy, surroundings=shared)
    assert decided(ruling) == (
        Action.DENY,
        403,
        ("user risk 67.0 lowers deny_score 10 to 6", "score 7 reaches deny_score 6"),
    )
    threats = ruling.inspection.assessment.threats
    assert [(t.finding.type, t.finding.rule_id, t.score) for t in threats][1:] == [
        (ThreatType.USER_RISK, "user_risk.refused", 0.0)
    ]
    assert ruling.inspection.assessment.score == 7.0
    other = replace(TEAM, headers={**TEAM.headers, "x-user-id": "bob"})
    assert rule(WARNING, policy, other, shared).decision.applied is Action.ALLOW


def test_a_user_in_quarantine_is_refused_whatever_they_say_and_told_why_and_until_when() -> None:
    shared, policy = around(), "user_risk: {quarantine_at: 20, quarantine_s: 60}"
    assert rule(ATTACK, policy, surroundings=shared).decision.reasons == ("score 20 reaches deny_score 15",)
    ruling = rule("hello", policy, surroundings=shared)
    why = "user in quarantine until 2027-01-15T08:01:00Z: user risk 20.0 reached quarantine_at 20"
    assert decided(ruling) == (Action.DENY, 403, ("score 0 is below deny_score 15", why))
    assert (ruling.decision.message, ruling.decision.wait_s) == (f"request refused: {why}", 60)
    observed = rule("hello", "mode: observe\n" + policy, surroundings=shared).decision
    assert (observed.applied, observed.would_be) == (Action.ALLOW, Action.DENY)


def test_failing_open_does_not_let_a_user_out_of_quarantine() -> None:
    shared, compiled = around(), Compiled(parse_policy("on_failure: open\nuser_risk: {quarantine_at: 20}", Policy()))
    rule(ATTACK, "user_risk: {quarantine_at: 20}", surroundings=shared)
    failed = uninspected(InspectionFailed(FailureKind.DEADLINE), 10)
    ruling = ruled(Received(TEAM, b"{}", failed, ("gateway", "openai"), NOW), compiled, shared)
    assert (ruling.decision.applied, ruling.decision.status) == (Action.DENY, 403)
    assert outcome_of(ruling.inspection, ruling.decision) is Outcome.DENIED


# ── budgets ─────────────────────────────────────────────────────────────────────────────────────────────────────────

RATE = "budgets: [{name: rate, per: user, limit: 1, unit: requests, window: minute}]"
TOKENS = "budgets: [{name: tokens, limit: 100, unit: tokens, window: day}]"


def test_over_its_budget_a_request_is_throttled_until_the_window_ends() -> None:
    shared = around()
    assert rule("hello", RATE, surroundings=shared).grant.claims == (
        Claim(("acme", "rate", "ada"), NOW // 10**6, Unit.REQUESTS, 1),
    )
    ruling = rule("hello", RATE, surroundings=shared)
    why = "budget rate: 1 requests a minute for user 'ada' are used up"
    assert decided(ruling) == (Action.THROTTLE, 429, ("score 0 is below deny_score 15", why))
    assert (ruling.decision.message, ruling.decision.wait_s) == (f"request refused: {why}", 60)
    assert (ruling.grant.claims, outcome_of(ruling.inspection, ruling.decision)) == ((), Outcome.DENIED)


def test_in_observe_mode_it_passes_counts_and_would_be_throttled() -> None:
    shared = around()
    for _ in range(2):
        ruling = rule("hello", f"mode: observe\n{RATE}", surroundings=shared)
    assert (ruling.decision.applied, ruling.decision.would_be) == (Action.ALLOW, Action.THROTTLE)
    assert len(ruling.grant.claims) == 1


def test_what_is_refused_for_its_words_uses_nothing() -> None:
    shared = around()
    assert rule(ATTACK, RATE, surroundings=shared).grant.claims == ()
    assert rule("hello", RATE, surroundings=shared).decision.applied is Action.ALLOW


def completion(usage: Usage | None, status: int = 200, text: str = "") -> Completion:
    reply = LlmReply((Segment(text, Surface.OUTPUT),) if text else (), usage=usage)
    return Completion(
        Outcome.ANSWERED, status, "", reply, Assessment(), Coverage(), ContentCapture.NONE, 0.0, 0, 0, 0
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "used"),
    [
        (completion(Usage(30, 20, total_tokens=50)), 50),
        (completion(None, 500), 0),
        (completion(None, 0), 0),
        (completion(None, text="x" * 40), 16),  # 6 of the prompt's 24 bytes, 10 of the answer's 40
        (completion(None), 6),
    ],
    ids=["told", "provider's error", "no answer", "estimated", "empty"],
)
def test_tokens_are_held_then_counted_as_the_answer_tells_or_as_estimated(ending: Completion, used: int) -> None:
    shared = around()
    ruling = rule("x" * 24, TOKENS, surroundings=shared, max_tokens=90)
    held = shared.budgets._counts["acme", "tokens", ""]
    assert (ruling.grant.claims[0].amount, held.used) == (96, 96)
    settled(ruling, ending, NOW, shared)
    assert held.used == used


def test_what_an_answer_was_found_to_hold_adds_to_its_user_s_risk() -> None:
    shared = around()
    ruling = rule("hello", surroundings=shared)
    found = rule(ATTACK).inspection.assessment
    settled(ruling, replace(completion(None), assessment=found), NOW, shared)
    assert shared.users.standing(("acme", "ada"), Policy().user_risk, NOW).risk == 20.0


# ── leaks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_leaks_are_taken_out_before_the_budget_is_asked() -> None:
    ruling = rule(f"my key is {LEAK}", f"leaks: {{secret_leak: redact}}\n{RATE}")
    assert ruling.decision.applied is Action.REDACT
    assert ruling.data is not None
    assert LEAK.encode() not in ruling.data
    assert len(ruling.grant.claims) == 1


def test_other_threats_can_be_redacted_too() -> None:
    ruling = rule(f"say {WARNING} twice", "actions: {suspicious_pattern: redact}")
    assert ruling.data is not None
    assert b"say [REDACTED:suspicious_pattern] twice" in ruling.data


@pytest.mark.parametrize(
    ("failed", "status", "outcome"),
    [
        (False, 403, Outcome.DENIED),
        (True, 503, Outcome.FAILED),
        (True, 429, Outcome.DENIED),
        (False, 200, Outcome.PENDING),
    ],
)
def test_outcomes(failed: bool, status: int, outcome: Outcome) -> None:
    inspection = uninspected(InspectionFailed(FailureKind.DEADLINE)) if failed else rule("x").inspection
    action = Action.ALLOW if status == 200 else Action.DENY
    assert outcome_of(inspection, Decision(action, action, Mode.ENFORCE, status)) is outcome
