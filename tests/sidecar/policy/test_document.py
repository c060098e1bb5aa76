"""A policy's text: what it may say, and what is told when it says something else."""

import pytest

from sidecar.policy import Leaks, OnLeak, Policy, SpoolFull, parse_policy, policy_version
from sidecar.policy.document import merged
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


# ── overrides ───────────────────────────────────────────────────────────────────────────────────────────────────────


def one(name: str = "x", match: str = "user: ada", change: str = "deny_score: 9") -> str:
    return f"overrides: [{{name: {name}, match: {{{match}}}, set: {{{change}}}}}]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (one(change="mode: watch"), r"overrides.x.set: .*mode.*allowed: enforce or observe"),
        (one(change="mood: good"), r"overrides.x.set: .*mood"),
        (one(change="deny_score: 0"), r"overrides.x.set: .*deny_score"),
        (one(change="unscanned: redact"), r"overrides.x.set: unscanned is allow_unscanned or deny"),
        (one(change="unknown_hosts: deny"), r"overrides.x.set: unknown_hosts holds for the whole policy"),
        (one(change="identity: {user: x-u}"), r"overrides.x.set: identity holds for the whole policy"),
        (one(change="version: x"), r"overrides.x.set: version holds for the whole policy"),
        (one(change="budgets: []"), r"overrides.x.set: budgets holds for the whole policy"),
        (
            one(change="deadline_ms: 9"),
            r"overrides.x.set: deadline_ms is needed before the body is read, and user is known",
        ),
        (
            one(match="model: m", change="canaries: []"),
            r"canaries is needed before the body is read, and model is known",
        ),
        (one(match=""), r"overrides.x.match is empty"),
        (one(match="users: ada"), r"users.*allowed: name, match, set"),
        (one(name="a b"), r"name"),
        ("overrides: [{name: x, match: {user: a}}]", r"set"),
        ("budgets: [{name: b, limit: -1, unit: usd, window: day}]", r"limit.*allowed: name, limit, unit"),
        ("budgets: [{name: b, limit: 1, unit: eur, window: day}]", r"unit.*allowed: .*requests, tokens or usd"),
        ("budgets: [{name: b, limit: 1, unit: usd, window: week}]", r"window.*minute, hour or day"),
        ("exceptions: [{rule: r, until: 2026-12-31, reason: w}]", r"who.*allowed: rule, until, reason, who"),
        ("exceptions: [{rule: r, until: 2026-12-31, reason: w, who: a, action: lower, factor: 1}]", r"factor"),
        ("actions: {jailbreak: refuse}", r"actions.*allowed: .*report, redact, pseudonymise, deny or allow"),
        ("thresholds: {user: {deny: high}}", r"thresholds.*allowed: for each surface"),
        ("user_risk: {half_life_s: 1}", r"user_risk.half_life_s.*allowed: half_life_s"),
        ("lists: {users: {allow: ada}}", r"lists.users.allow.*allowed: users, models and hosts"),
        ("identity: {user: 'X User'}", r"identity.user.*names of headers"),
        ("on_failure: fail", r"on_failure.*allowed: by_mode, open or closed"),
        ("a: &a [*a]", r"."),
    ],
)
def test_wrong_scopes_are_told_by_name(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_policy(text, Policy())


def test_json_and_dates_are_read() -> None:
    entry = '{"rule": "r", "until": "2026-12-31", "reason": "w", "who": "a"}'
    told = parse_policy(f'{{"exceptions": [{entry}]}}', Policy())
    assert (
        told.exceptions
        == parse_policy("exceptions: [{rule: r, until: 2026-12-31, reason: w, who: a}]", Policy()).exceptions
    )


def test_overrides_change_inner_settings_one_by_one_and_lists_as_a_whole() -> None:
    text = "leaks: {secret_leak: redact}\ncanaries: [otter-one]\n" + one(
        match="team: red", change="leaks: {pii_leak: deny}, canaries: [otter-two]"
    )
    policy = parse_policy(text, Policy())
    found = merged(policy, policy.overrides, "v/x")
    assert (found.leaks, found.canaries) == (Leaks(OnLeak.REDACT, OnLeak.DENY), ("otter-two",))
    assert (found.version, found.overrides, policy.leaks) == ("v/x", (), Leaks(OnLeak.REDACT))


def test_an_alert_score_above_deny_score_comes_down_to_it() -> None:
    policy = parse_policy("alert_score: 12\n" + one(), Policy())
    assert merged(policy, policy.overrides, "v").alert_score == 9.0
