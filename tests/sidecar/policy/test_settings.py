"""The settings of a policy: what only several of them say together."""

from typing import Any

import pytest

from sidecar.policy import Leaks, OnLeak, OnResponse, OnThreat, Policy, parse_policy
from sidecar.policy.scoped import Budget, Match, Override, RuleException, Unit, Window
from sidecar.policy.settings import OnFailure, Threshold, plain
from sidecar.types import Action, Mode, Surface, ThreatType


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"unscanned": Action.ALLOW}, r"unscanned is allow_unscanned or deny"),
        ({"websocket": Action.REDACT}, r"websocket is deny or allow_unscanned"),
        ({"alert_score": 16.0}, r"alert_score is above 0 and at most deny_score"),
        ({"actions": {ThreatType.USER_RISK: OnThreat.DENY}}, r"actions: user_risk has settings of its own"),
        (
            {"actions": {ThreatType.JAILBREAK: OnThreat.PSEUDONYMISE}},
            r"actions.jailbreak: pseudonymise is for secret_leak",
        ),
        ({"thresholds": {Surface.OUTPUT: Threshold(deny=3.0)}}, r"thresholds.output: answers are judged by deny_score"),
        ({"budgets": (Budget("b", 1, Unit.USD, Window.DAY),) * 2}, r"budgets: the name 'b' stands twice"),
        (
            {"overrides": (Override("o", Match(user="a"), {"mode": "observe"}),) * 2},
            r"overrides: the name 'o' stands twice",
        ),
        (
            {"exceptions": (RuleException("r", "2026-12-31", "w", "a", name="e"),) * 2},
            r"exceptions: the name 'e' stands twice",
        ),
    ],
)
def test_settings_that_contradict_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Policy(**given)


def test_what_actions_say_goes_before_leaks() -> None:
    policy = Policy(
        leaks=Leaks(OnLeak.REDACT, OnLeak.DENY),
        actions={ThreatType.PII_LEAK: OnThreat.ALLOW, ThreatType.EXFILTRATION: OnThreat.DENY},
    )
    asked = (ThreatType.SECRET_LEAK, ThreatType.PII_LEAK, ThreatType.EXFILTRATION, ThreatType.JAILBREAK)
    assert [policy.treatment(kind) for kind in asked] == [
        OnThreat.REDACT,
        OnThreat.ALLOW,
        OnThreat.DENY,
        OnThreat.REPORT,
    ]


@pytest.mark.parametrize(
    ("mode", "on_failure", "opens"),
    [
        (Mode.ENFORCE, OnFailure.BY_MODE, False),
        (Mode.OBSERVE, OnFailure.BY_MODE, True),
        (Mode.ENFORCE, OnFailure.OPEN, True),
        (Mode.OBSERVE, OnFailure.CLOSED, False),
    ],
)
def test_failures_pass_by_mode_or_as_said(mode: Mode, on_failure: OnFailure, opens: bool) -> None:
    policy = Policy(mode=mode, on_failure=on_failure)
    assert (policy.fails_open, policy.always_fails_open) == (opens, opens)


def overriding(base: str, **given: str) -> Policy:
    sets = "".join(f"  - {{name: {name}, match: {{user: a}}, set: {{{value}}}}}\n" for name, value in given.items())
    return parse_policy(f"{base}\noverrides:\n{sets}", Policy())


def test_envoy_is_told_the_strictest_of_all_overrides() -> None:
    """One listener serves them all: it lets by only where every request may be, and shows what any may have held."""
    base = "mode: observe"
    assert overriding(base, a="deny_score: 10").always_fails_open
    assert not overriding(base, a="mode: enforce").always_fails_open
    assert not overriding(base, a="on_failure: closed").always_fails_open
    assert overriding("on_failure: open", a="mode: enforce").always_fails_open
    assert not overriding(base, a="response: enforce").may_hold_answers
    assert overriding(base, a="response: enforce", b="mode: enforce").may_hold_answers
    assert Policy(response=OnResponse.ENFORCE).may_hold_answers


def test_plain_settings_leave_the_version_out() -> None:
    assert plain(Policy()).keys() == set(Policy.__struct_fields__) - {"version"}
