"""What to do about what was found."""

import pytest

from sidecar.policy import (
    Bar,
    Leaks,
    OnLeak,
    OnThreat,
    Policy,
    SpoolFull,
    decide,
    on_failure,
    parse_policy,
    refusal_of,
    refuses_answer,
)
from sidecar.policy.settings import OnFailure, Threshold
from sidecar.scoring import assess
from sidecar.types import (
    Action,
    Assessment,
    Coverage,
    Decision,
    FailureKind,
    Finding,
    InspectionFailed,
    Mode,
    Segment,
    Span,
    Surface,
    Threat,
    ThreatType,
    Unscanned,
    UnscannedReason,
)

OBSERVE = Policy(mode=Mode.OBSERVE)
READ = Coverage(100, 100)
HALF = Coverage(100, 40, (Unscanned(UnscannedReason.BINARY, 60),))


def scored(score: float, *kinds: ThreatType) -> Assessment:
    segment = Segment("x", Surface.USER)
    threats = tuple(Threat(Finding(kind, "d", "r", Span(0, 1), 1.0), segment, 1.0) for kind in kinds)
    return Assessment(score, threats)


ATTACK = scored(15.0, ThreatType.JAILBREAK, ThreatType.PROMPT_INJECTION, ThreatType.JAILBREAK)


@pytest.mark.parametrize(
    ("assessment", "coverage", "policy", "decision"),
    [
        pytest.param(
            scored(14.9),
            READ,
            Policy(),
            Decision(Action.ALLOW, Action.ALLOW, Mode.ENFORCE, reasons=("score 14.9 is below deny_score 15",)),
            id="below",
        ),
        pytest.param(
            ATTACK,
            READ,
            Policy(),
            Decision(
                Action.DENY,
                Action.DENY,
                Mode.ENFORCE,
                403,
                "request refused: jailbreak, prompt_injection",
                ("score 15 reaches deny_score 15",),
            ),
            id="denied",
        ),
        pytest.param(
            ATTACK,
            READ,
            OBSERVE,
            Decision(
                Action.ALLOW,
                Action.DENY,
                Mode.OBSERVE,
                reasons=("score 15 reaches deny_score 15", "observe mode lets it pass"),
            ),
            id="observed",
        ),
        pytest.param(
            ATTACK,
            HALF,
            OBSERVE,
            Decision(
                Action.ALLOW_UNSCANNED,
                Action.DENY,
                Mode.OBSERVE,
                reasons=("score 15 reaches deny_score 15", "observe mode lets it pass"),
            ),
            id="observed and not fully read",
        ),
        pytest.param(
            ATTACK,
            READ,
            Policy(block_critical=False),
            Decision(
                Action.ALLOW,
                Action.ALLOW,
                Mode.ENFORCE,
                reasons=("score 15 reaches deny_score 15, but block_critical is off",),
            ),
            id="blocking switched off",
        ),
        pytest.param(
            scored(0.0),
            HALF,
            Policy(),
            Decision(
                Action.ALLOW_UNSCANNED,
                Action.ALLOW_UNSCANNED,
                Mode.ENFORCE,
                reasons=("60 of 100 bytes were not scanned",),
            ),
            id="not fully read",
        ),
        pytest.param(
            scored(7.0, ThreatType.SUSPICIOUS_PATTERN),
            HALF,
            Policy(unscanned=Action.DENY),
            Decision(
                Action.DENY,
                Action.DENY,
                Mode.ENFORCE,
                403,
                "request refused: not fully inspected",
                ("60 of 100 bytes were not scanned",),
            ),
            id="not fully read, denied for that and not for its threats",
        ),
    ],
)
def test_decision(assessment: Assessment, coverage: Coverage, policy: Policy, decision: Decision) -> None:
    assert decide(assessment, coverage, policy) == decision


@pytest.mark.parametrize("kind", list(FailureKind))
def test_failure_is_refused_in_enforce_and_passed_in_observe(kind: FailureKind) -> None:
    statuses = {"malformed_body": 400, "unknown_model": 400, "too_large": 413, "unsupported_encoding": 415}
    statuses["not_editable"] = 422
    status = statuses.get(kind.value, 503)
    reason = f"inspection failed: {kind} (why)"
    message = "why" if status == 400 else reason
    failure = InspectionFailed(kind, "why")
    assert on_failure(failure, Policy()) == Decision(Action.DENY, Action.DENY, Mode.ENFORCE, status, message, (reason,))
    assert on_failure(failure, OBSERVE) == Decision(
        Action.ALLOW_UNSCANNED, Action.DENY, Mode.OBSERVE, reasons=(reason, "observe mode lets it pass")
    )
    assert refusal_of(failure, OBSERVE) == Decision(Action.DENY, Action.DENY, Mode.OBSERVE, status, message, (reason,))


def test_failure_without_detail_names_its_kind() -> None:
    assert on_failure(InspectionFailed(FailureKind.DEADLINE), Policy()).message == "inspection failed: deadline"


def test_full_spool_passes_when_the_policy_loses_records() -> None:
    decision = on_failure(InspectionFailed(FailureKind.SPOOL_FULL), Policy(spool_full=SpoolFull.LOSE))
    assert (decision.applied, decision.would_be) == (Action.ALLOW_UNSCANNED, Action.ALLOW_UNSCANNED)


# ── leaks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def leaking(*kinds: ThreatType, score: float = 9.0) -> Assessment:
    segment = Segment("x", Surface.USER)
    return Assessment(score, found=tuple((segment, Finding(kind, "d", "r", Span(0, 1), 1.0)) for kind in kinds))


BOTH = leaking(ThreatType.SECRET_LEAK, ThreatType.PII_LEAK)
REDACT = Leaks(OnLeak.REDACT, OnLeak.PSEUDONYMISE)
TOLD = ("leaks.pii_leak is pseudonymise", "leaks.secret_leak is redact")


def test_leaks_are_only_reported_by_default() -> None:
    assert decide(BOTH, READ, Policy()).applied is Action.ALLOW


def test_leaks_are_edited_or_denied_as_the_file_says() -> None:
    policy = parse_policy("leaks: {secret_leak: redact, pii_leak: pseudonymise}", Policy())
    assert policy.leaks == REDACT
    assert decide(BOTH, READ, policy) == Decision(Action.REDACT, Action.REDACT, Mode.ENFORCE, reasons=TOLD)
    assert decide(leaking(ThreatType.JAILBREAK), READ, policy).applied is Action.ALLOW
    denied = decide(BOTH, READ, Policy(leaks=Leaks(OnLeak.DENY, OnLeak.REDACT)))
    assert (denied.applied, denied.status, denied.message) == (Action.DENY, 403, "request refused: secret_leak")


def test_observe_mode_only_says_that_it_would_have_edited() -> None:
    policy = Policy(mode=Mode.OBSERVE, leaks=REDACT)
    reasons = (*TOLD, "observe mode lets it pass")
    assert decide(BOTH, READ, policy) == Decision(Action.ALLOW, Action.REDACT, Mode.OBSERVE, reasons=reasons)
    assert decide(BOTH, HALF, policy).applied is Action.ALLOW_UNSCANNED


def test_the_score_denies_before_leaks_are_edited() -> None:
    assert decide(leaking(ThreatType.SECRET_LEAK, score=15.0), READ, Policy(leaks=REDACT)).applied is Action.DENY


def test_output_leaks_name_the_types_to_take_out() -> None:
    assert parse_policy("output_leaks: {pii_leak: redact}", Policy()).output_leaks.redacted == {ThreatType.PII_LEAK}


SOCKET = Coverage(0, 0, (Unscanned(UnscannedReason.UPGRADE, 0),))


def test_a_websocket_goes_by_its_own_setting() -> None:
    """Whatever unscanned says: an image in a body and a whole conversation unseen are different things."""
    denied = decide(Assessment(), SOCKET, Policy())
    assert (denied.applied, denied.status) == (Action.DENY, 403)
    assert "websocket: allow_unscanned" in denied.message
    allowed = Policy(unscanned=Action.DENY, websocket=Action.ALLOW_UNSCANNED)
    assert decide(Assessment(), SOCKET, allowed).applied is Action.ALLOW_UNSCANNED
    assert decide(Assessment(), HALF, allowed).applied is Action.DENY


def test_observe_mode_lets_a_websocket_by_and_says_so() -> None:
    found = decide(Assessment(), SOCKET, OBSERVE)
    assert (found.applied, found.would_be) == (Action.ALLOW_UNSCANNED, Action.DENY)


# ── thresholds of surfaces, actions, the bar, failures ──────────────────────────────────────────────────────────────


def on(**weights: float) -> Assessment:
    """Return an assessment with one finding of some weight on each surface, each of its own type."""
    kinds = iter((ThreatType.JAILBREAK, ThreatType.EXFILTRATION, ThreatType.CODE_INJECTION))
    pairs = tuple(
        (Segment(name, Surface(name)), Finding(next(kinds), "d", f"r.{name}", Span(0, 2), weight))
        for name, weight in weights.items()
    )
    made = assess(pairs)
    return Assessment(made.score, made.threats, made.reasons, pairs)


def told(assessment: Assessment, policy: Policy, **more: Bar) -> tuple[Action, tuple[str, ...], bool]:
    decision = decide(assessment, READ, policy, **more)
    return decision.would_be, decision.reasons, decision.by_risk


def test_a_surface_with_a_threshold_is_judged_by_it_alone() -> None:
    tight = Policy(thresholds={Surface.TOOL_RESULT: Threshold(alert=4.0, deny=9.0)})
    assert told(on(tool_result=9.0), tight)[:2] == (
        Action.DENY,
        (
            "score 9 of tool_result reaches its alert threshold 4",
            "score 9 of tool_result reaches its deny threshold 9",
        ),
    )
    assert told(on(user=9.0), tight)[:2] == (Action.ALLOW, ("score 9 is below deny_score 15",))
    loose = Policy(thresholds={Surface.TOOL_DEFINITION: Threshold(deny=40.0)})
    assert told(on(tool_definition=30.0, user=8.0), loose)[:2] == (Action.ALLOW, ("score 8 is below deny_score 15",))
    assert told(on(tool_definition=30.0, user=16.0), loose)[0] is Action.DENY


def test_a_surface_is_weighed_even_where_another_place_is_stronger() -> None:
    """The message scores as its strongest place; a tool result's own threshold is not hidden behind the user's words."""
    segments = (Segment("u" * 10, Surface.USER), Segment("t" * 10, Surface.TOOL_RESULT))
    pairs = tuple(
        (segment, Finding(ThreatType.JAILBREAK, "d", "r", Span(0, 2), weight))
        for segment, weight in zip(segments, (12.0, 9.5), strict=True)
    )
    made = assess(pairs)
    both = Assessment(made.score, made.threats, made.reasons, pairs)
    assert decide(both, READ, Policy()).would_be is Action.ALLOW
    assert decide(both, READ, Policy(thresholds={Surface.TOOL_RESULT: Threshold(deny=9.0)})).would_be is Action.DENY


def test_types_can_be_allowed_denied_and_redacted() -> None:
    threat = on(user=16.0)
    allowed = Policy(actions={ThreatType.JAILBREAK: OnThreat.ALLOW})
    assert told(threat, allowed)[:2] == (
        Action.ALLOW,
        ("actions.jailbreak is allow", "score 0 is below deny_score 15"),
    )
    denied = Policy(actions={ThreatType.JAILBREAK: OnThreat.DENY})
    assert told(on(user=6.0), denied)[:2] == (Action.DENY, ("actions.jailbreak is deny",))
    assert told(on(user=4.0), denied)[0] is Action.ALLOW  # a weak sign of something is not that thing
    redacted = Policy(actions={ThreatType.JAILBREAK: OnThreat.REDACT})
    assert told(on(user=4.0), redacted)[:2] == (Action.REDACT, ("actions.jailbreak is redact",))
    assert told(threat, redacted)[0] is Action.DENY


def test_a_user_s_risk_lowers_every_threshold_and_is_named_when_it_decides() -> None:
    bar = Bar(0.8, "user risk 84.0 lowers deny_score 15 to 12")
    assert told(on(user=12.5), Policy(), bar=bar) == (Action.DENY, (bar.why, "score 12.5 reaches deny_score 12"), True)
    assert told(on(user=16.0), Policy(), bar=bar)[2] is False  # it would have been refused whoever asked
    assert told(on(user=3.0), Policy(), bar=bar)[:2] == (Action.ALLOW, (bar.why, "score 3 is below deny_score 12"))
    tight = Policy(thresholds={Surface.USER: Threshold(deny=10.0)})
    assert told(on(user=8.0), tight, bar=bar)[2] is True
    assert told(on(user=12.5), Policy(block_critical=False), bar=bar)[0] is Action.ALLOW


def test_an_answer_meets_the_same_bar() -> None:
    seen = on(user=12.5)
    assert [refuses_answer(seen, Policy(), bar) for bar in (Bar(), Bar(0.8))] == [False, True]
    assert refuses_answer(on(user=50.0), Policy(block_critical=False)) is False


@pytest.mark.parametrize("mode", list(Mode))
def test_failures_pass_or_not_as_the_policy_says_whatever_the_mode(mode: Mode) -> None:
    failure = InspectionFailed(FailureKind.DEADLINE)
    opened = on_failure(failure, Policy(mode=mode, on_failure=OnFailure.OPEN))
    assert (opened.applied, opened.would_be, opened.reasons) == (
        Action.ALLOW_UNSCANNED,
        Action.ALLOW_UNSCANNED,
        ("inspection failed: deadline", "on_failure is open in the policy"),
    )
    closed = on_failure(failure, Policy(mode=mode, on_failure=OnFailure.CLOSED))
    assert (closed.applied, closed.status) == (Action.DENY, 503)
