"""What to do about what was found."""

import pytest

from sidecar.policy import (
    Leaks,
    OnLeak,
    Policy,
    SpoolFull,
    decide,
    on_failure,
    parse_policy,
    policy_version,
    refusal_of,
)
from sidecar.types import (
    Action,
    Assessment,
    ContentCapture,
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


# ── the file's text ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["", "  \n", "# only a comment\n", "{}"])
def test_text_that_says_nothing_means_the_defaults(text: str) -> None:
    defaults = Policy(mode=Mode.OBSERVE, alert_score=7.0)
    assert parse_policy(text, defaults) == Policy(mode=Mode.OBSERVE, alert_score=7.0, version=policy_version(text))


def test_text_changes_what_it_names() -> None:
    text = "mode: observe\nunscanned: deny\nspool_full: lose\ncontent_capture: redacted\ndeadline_ms: 100\ndeny_score: 12\n"
    assert parse_policy(text, Policy()) == Policy(
        mode=Mode.OBSERVE,
        deny_score=12.0,
        unscanned=Action.DENY,
        spool_full=SpoolFull.LOSE,
        content_capture=ContentCapture.REDACTED,
        deadline_ms=100,
        version=policy_version(text),
    )


def test_version_is_the_text_s() -> None:
    assert policy_version("a") == policy_version("a") != policy_version("b")
    assert len(policy_version("a")) == 12


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mode: enforced", r"mode.*allowed: enforce or observe"),
        ("leaks: {pii_leak: mask}", r"leaks.pii_leak.*allowed: .*report, redact, pseudonymise or deny"),
        ("leaks: {credit: deny}", r"credit.*leaks.*allowed: secret_leak and pii_leak"),
        ("leaks: deny", r"leaks.*allowed"),
        ("output_leaks: {pii_leak: deny}", r"output_leaks.pii_leak.*allowed: .*report or redact"),
        ("canaries: [short]", r"canaries: each text has 8 to 200 characters"),
        ("canaries: otter", r"canaries.*allowed: a list of texts"),
        ("mood: enforce", r"mood"),
        ("alert_score: high", r"alert_score"),
        ("alert_score: 16", r"alert_score is above 0 and at most deny_score"),
        ("alert_score: 0", r"alert_score is above 0"),
        ("deny_score: .nan", r"alert_score is above 0"),
        ("deadline_ms: 601", r"deadline_ms is 1 to 600"),
        ("deadline_ms: 0", r"deadline_ms is 1 to 600"),
        ("unscanned: allow", r"unscanned is allow_unscanned or deny"),
        ("unscanned: pass", r"unscanned"),
        ("websocket: allow", r"websocket is deny or allow_unscanned"),
        ("websocket: pass", r"websocket.*deny or allow_unscanned"),
        ("version: mine", r"version is computed"),
        ("- mode", r"not a mapping"),
        ("mode: [", r"."),
        ("block_critical: 1", r"block_critical"),
    ],
)
def test_wrong_text_says_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_policy(text, Policy())


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
