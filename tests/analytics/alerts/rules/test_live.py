"""The rules over records."""

from typing import Any

import pytest

from analytics import config
from analytics.alerts.rules import live
from analytics.types.alerts import Occurrence
from tests.analytics.alerts.rules.changes import change, row, threat

SETTINGS = config.load()


def levels(found: Occurrence | None) -> str | None:
    return None if found is None else found.level


def test_a_critical_record_is_critical_and_says_what_happened() -> None:
    held = row()
    assert live.security(change(), SETTINGS) == Occurrence(
        rule="security",
        level="critical",
        tenant="default",
        key="security/user-9/prompt_injection",
        title="prompt injection by user-9 was denied",
        text="The exchange scored 17.5 (critical).",
        moment_unix_us=held.started_unix_us,
        user="user-9",
        model=held.model,
        endpoint="/v1/chat/completions",
        decisions=(held.decision_id,),
        score=17.5,
        facts=(
            ("Threats", "prompt_injection.some_rule in user (+10); jailbreak.some_rule in user (+10)"),
            ("Action", "deny"),
            ("Provider", "openai"),
            ("Door", "gateway"),
            ("Decision", held.decision_id),
        ),
    )


@pytest.mark.parametrize(
    ("before", "before_score", "fields", "level"),
    [
        ("", 0.0, {"score": 4.9, "level": "low"}, None),
        ("", 0.0, {"score": 5.0, "level": "medium"}, "warning"),
        ("", 0.0, {"score": 14.9, "level": "high"}, "warning"),
        ("", 0.0, {"score": 15.0, "level": "critical"}, "critical"),
        ("verdict", 17.5, {}, None),  # told when the verdict came
        ("verdict", 6.0, {"score": 6.0, "level": "medium"}, None),
        ("verdict", 6.0, {}, "critical"),  # the answer made it worse
        ("verdict", 0.0, {"score": 6.0, "level": "medium"}, "warning"),
    ],
)
def test_security_is_told_when_a_score_crosses_a_threshold(
    before: str, before_score: float, fields: dict[str, Any], level: str | None
) -> None:
    assert levels(live.security(change(before, before_score, **fields), SETTINGS)) == level


def test_what_observe_mode_let_pass_says_so() -> None:
    found = live.security(change(applied="allow", mode="observe", outcome="answered"), SETTINGS)
    assert found is not None
    assert found.title == "prompt injection by user-9 was let through"
    assert found.text.endswith("The policy only observes; in enforce mode it would have been denied.")
    assert ("Action", "allow, would be deny") in found.facts


def test_a_refused_exchange_without_user_and_threats_is_named_as_well_as_can_be() -> None:
    found = live.security(change(user="", threats=(), outcome="failed"), SETTINGS)
    assert found is not None
    assert (found.title, found.key) == ("risk by an unknown user was refused", "security//")


def test_many_threats_are_counted() -> None:
    found = live.security(change(threats=tuple(threat("jailbreak", float(n)) for n in range(1, 9))), SETTINGS)
    assert found is not None
    assert found.facts[0][1].startswith("jailbreak.some_rule in user (+8); ")
    assert found.facts[0][1].endswith("; 3 more")


def passed(**fields: Any) -> dict[str, Any]:
    return {"applied": "allow", "outcome": "answered", "mode": "enforce", "would_be": "allow"} | fields


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        (passed(threats=(threat("secret_leak"),)), "critical"),
        (passed(threats=(threat("pii_leak"),)), "warning"),
        (passed(threats=(threat("pii_leak"), threat("exfiltration"))), "critical"),
        (passed(threats=(threat("pii_leak", 4.9),)), None),
        (passed(threats=(threat("jailbreak"),)), None),
        (passed(threats=(threat("secret_leak"),), applied="redact"), None),
        (passed(threats=(threat("secret_leak"),), applied="deny", outcome="denied"), None),
        (passed(threats=()), None),
    ],
)
def test_a_leak_is_told_when_it_left(fields: dict[str, Any], level: str | None) -> None:
    assert levels(live.leak(change(**fields), SETTINGS)) == level


def test_a_leak_is_told_once_and_named_by_the_worst() -> None:
    fields = passed(threats=(threat("pii_leak", surface="output"), threat("secret_leak", surface="tool_result")))
    assert live.leak(change("verdict", 17.5, **fields), SETTINGS) is None
    found = live.leak(change("verdict", 3.0, **fields), SETTINGS)
    assert found is not None
    assert (found.title, found.key) == ("secret leak by user-9 was let through", "leak/user-9/secret_leak")
    assert found.text == "It stood in the output, the tool result and left as it was."


@pytest.mark.parametrize(
    ("before", "fields", "told"),
    [
        ("", passed(failure="deadline"), True),
        ("verdict", passed(failure="deadline"), True),
        ("incomplete", passed(failure="deadline"), False),
        ("", passed(failure="deadline", stage="verdict", outcome="pending"), False),
        ("", passed(), False),
        ("", {"failure": "deadline"}, False),
        ("", passed(failure="deadline", outcome="failed"), False),
    ],
)
def test_fail_open_is_told_when_the_exchange_has_ended(before: str, fields: dict[str, Any], told: bool) -> None:
    found = live.fail_open(change(before, **fields), SETTINGS)
    assert (found is not None) is told
    if found is not None:
        assert (found.level, found.key) == ("warning", "fail_open/deadline")
        assert ("Failure", "deadline") in found.facts


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"total_us": 5_000_000}, True),
        ({"total_us": 4_999_999}, False),
        ({"total_us": 9_000_000, "outcome": "client_aborted"}, False),
        ({"total_us": 9_000_000, "outcome": "upstream_error"}, True),
        ({"total_us": 9_000_000, "stage": "verdict"}, False),
    ],
)
def test_slow_calls(fields: dict[str, Any], told: bool) -> None:
    found = live.slow_call(change("verdict", denied=False, **fields), SETTINGS)
    assert (found is not None) is told
    if found is not None:
        assert (found.level, found.key) == ("info", "slow_call/gpt-4o-mini")
        assert found.score == fields["total_us"] / 1e6
