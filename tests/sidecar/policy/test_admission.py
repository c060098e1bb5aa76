"""What is refused whatever a request says."""

import pytest

from sidecar.policy import Bar, Facts, Policy
from sidecar.policy.admission import Admission, Asked, Refusal, bar_of, quarantine, refusals, stricter
from sidecar.policy.settings import Lists, Names, RiskSettings
from sidecar.types import Action, Decision, Mode

ADA = Facts("acme", "ada", "red", "gpt-4o", "openai", "/v1", "gateway", "api.openai.com")
NOW = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("lists", "facts", "complaint"),
    [
        (Lists(), ADA, ""),
        (Lists(users=Names(deny=("mal*",))), ADA, ""),
        (Lists(users=Names(deny=("a?a",))), ADA, "user 'ada' is on the policy's deny list"),
        (Lists(users=Names(allow=("ada",))), ADA, ""),
        (Lists(models=Names(allow=("claude-*",))), ADA, "model 'gpt-4o' is not on the policy's allow list"),
        (Lists(models=Names(allow=("*",), deny=("gpt-4*",))), ADA, "model 'gpt-4o' is on the policy's deny list"),
        (Lists(models=Names(allow=("gpt*",))), Facts(), "model (none named) is not on the policy's allow list"),
        (Lists(models=Names(allow=("gpt*", ""))), Facts(), ""),
        (Lists(hosts=Names(allow=("*.openai.com",))), ADA, ""),
        (Lists(hosts=Names(deny=("*.openai.com",))), ADA, "host 'api.openai.com' is on the policy's deny list"),
        (Lists(users=Names(allow=("x",))), ADA._replace(user="é" * 99), f"user {'é' * 64!a} is not on the policy's allow list"),
    ],
)  # fmt: skip
def test_lists(lists: Lists, facts: Facts, complaint: str) -> None:
    assert Admission(lists).complaint(facts) == complaint


def test_what_has_no_body_need_not_name_a_model() -> None:
    """Listing models, or reading a response that was stored."""
    lists = Lists(models=Names(allow=("gpt*",)))
    assert Admission(lists).complaint(Facts(), bare=True) == ""
    assert Admission(lists).complaint(Facts(model="claude"), bare=True) != ""


def asked(policy: Policy, body_bytes: int = 100, max_tokens: int | None = None) -> list[Refusal]:
    return list(refusals(Asked(ADA, body_bytes, max_tokens), policy, Admission(policy.lists)))


def test_sizes() -> None:
    limits = Policy(max_body_bytes=100, max_tokens=1000)
    assert asked(limits, 100, 1000) == asked(limits) == asked(Policy(), 10**9, 10**9) == []
    assert asked(limits, 101, 1001) == [
        Refusal(413, "request refused: 101 bytes, and the policy takes 100"),
        Refusal(403, "request refused: asks for 1001 tokens, and the policy allows 1000"),
    ]


def test_quarantine_says_why_and_until_when() -> None:
    assert quarantine(NOW, "why", NOW) is None
    assert quarantine(0, "", NOW) is None
    assert quarantine(NOW + 90_500_000, "attacks", NOW) == Refusal(
        403, "request refused: user in quarantine until 2027-01-15T08:01:30Z: attacks", 91, by_risk=True
    )
    endless = quarantine(2**63, "", NOW)
    assert endless is not None
    assert endless.message == "request refused: user in quarantine until further notice"


ALLOWED = Decision(Action.ALLOW, Action.ALLOW, Mode.ENFORCE, reasons=("fine",))
THROTTLED = Refusal(429, "request refused: too much", 30, Action.THROTTLE)


def test_a_refusal_takes_the_place_of_what_was_let_pass() -> None:
    assert stricter(ALLOWED, THROTTLED) == Decision(
        Action.THROTTLE,
        Action.THROTTLE,
        Mode.ENFORCE,
        429,
        "request refused: too much",
        ("fine", "too much"),
        wait_s=30,
    )


def test_a_refusal_adds_a_reason_to_what_was_refused() -> None:
    denied = Decision(Action.DENY, Action.DENY, Mode.ENFORCE, 403, "request refused: jailbreak", ("score",))
    found = stricter(denied, Refusal(403, "request refused: in quarantine", 30, by_risk=True))
    assert (found.status, found.message, found.wait_s) == (403, "request refused: jailbreak", 0)
    assert (found.reasons, found.by_risk) == (("score", "in quarantine"), True)


def test_observe_mode_only_says_what_it_would_be() -> None:
    observed = Decision(Action.ALLOW_UNSCANNED, Action.ALLOW_UNSCANNED, Mode.OBSERVE, reasons=("fine",))
    assert stricter(observed, THROTTLED) == Decision(
        Action.ALLOW_UNSCANNED, Action.THROTTLE, Mode.OBSERVE,
        reasons=("fine", "too much", "observe mode lets it pass"), wait_s=30,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("risk", "lowered"), [(0.0, 15.0), (30.0, 15.0), (75.0, 12.5), (120.0, 10.0), (10_000.0, 10.0), (-1.0, 15.0)]
)
def test_risk_lowers_deny_score_evenly_and_to_a_floor(risk: float, lowered: float) -> None:
    assert 15.0 * bar_of(risk, Policy()).factor == pytest.approx(lowered)


def test_the_bar_says_what_it_does() -> None:
    assert bar_of(75.0, Policy()).why == "user risk 75.0 lowers deny_score 15 to 12.5"
    assert bar_of(30.0, Policy()) == Bar()


def test_risk_never_raises_a_threshold() -> None:
    strict = Policy(deny_score=8.0, user_risk=RiskSettings(min_deny_score=10.0))
    assert bar_of(1e6, strict) == Bar()
