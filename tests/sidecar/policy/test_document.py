"""A policy's text: what it may say, and what is told when it says something else."""

import pytest

from sidecar.policy import Policy, SpoolFull, parse_policy, policy_version
from sidecar.types import Action, ContentCapture, Mode


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
        ("canaries: [short]", r"canaries.*allowed: a list of texts of 8 to 200 characters"),
        ("canaries: otter", r"canaries.*allowed: a list of texts"),
        ("mood: enforce", r"mood"),
        ("alert_score: high", r"alert_score"),
        ("alert_score: 16", r"alert_score is above 0 and at most deny_score"),
        ("alert_score: 0", r"alert_score.*allowed: a number above 0"),
        ("deny_score: .nan", r"deny_score.*allowed: a number above 0"),
        ("deadline_ms: 601", r"deadline_ms.*1 to 600"),
        ("deadline_ms: 0", r"deadline_ms.*1 to 600"),
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
