"""What a policy would have done with records that are held."""

from typing import Any

import pytest
from douane.v1 import decision_pb2 as pb

from analytics.control import dry_run, policies
from analytics.control.dry_run import Differs, Outcome, Verdict
from analytics.types import DecisionRow
from tests.analytics.control.steering import row
from tests.analytics.traffic import BEGAN_UNIX_US, threats

DENIED = ("deny", "deny")
ATTACK = threats(["prompt_injection", "jailbreak"])  # 10 each, on the surface user
UNREAD = {"body_bytes": 900, "scanned_bytes": 100, "complete": False}


def threat(kind: str, score: float, surface: int = pb.SURFACE_USER) -> pb.Threat:
    (made,) = threats([kind])
    made.score, made.surface = score, surface
    return made


def judged(text: str, **fields: Any) -> tuple[str, str]:
    document = policies.read_yaml(text)
    policies.check(document)
    verdict = dry_run.judge(row(1, **fields), dry_run.prepare(document, BEGAN_UNIX_US))
    return verdict.applied, verdict.would_be


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("", {"threats": ATTACK}, ("deny", "deny")),
        ("deny_score: 21", {"threats": ATTACK}, ("allow", "allow")),
        ("mode: observe", {"threats": ATTACK}, ("allow", "deny")),
        ("block_critical: false", {"threats": ATTACK}, ("allow", "allow")),
        ("thresholds: {user: {deny: 30}}", {"threats": ATTACK}, ("allow", "allow")),
        ("{deny_score: 100, thresholds: {user: {deny: 12}}}", {"threats": ATTACK}, ("deny", "deny")),
        ("actions: {jailbreak: allow}", {"threats": ATTACK}, ("allow", "allow")),
        ("{deny_score: 50, actions: {jailbreak: deny}}", {"threats": ATTACK}, ("deny", "deny")),
        ("{deny_score: 50, alert_score: 11, actions: {jailbreak: deny}}", {"threats": ATTACK}, ("allow", "allow")),
        ("leaks: {secret_leak: redact}", {"threats": [threat("secret_leak", 4.0)]}, ("redact", "redact")),
        ("leaks: {pii_leak: deny}", {"threats": [threat("pii_leak", 0.5)]}, ("deny", "deny")),
        ("{mode: observe, leaks: {pii_leak: pseudonymise}}", {"threats": [threat("pii_leak", 0.5)]}, ("allow", "redact")),
        ("{leaks: {pii_leak: deny}, actions: {pii_leak: report}}", {"threats": [threat("pii_leak", 0.5)]}, ("allow", "allow")),
        ("", {"threats": [threat("jailbreak", 50.0, pb.SURFACE_OUTPUT)]}, ("allow", "allow")),
        ("", {"request_coverage": UNREAD}, ("allow_unscanned", "allow_unscanned")),
        ("unscanned: deny", {"request_coverage": UNREAD}, ("deny", "deny")),
        ("{unscanned: deny, mode: observe}", {"request_coverage": UNREAD}, ("allow_unscanned", "deny")),
        ("", {"failure": pb.FAILURE_KIND_DEADLINE}, ("deny", "deny")),
        ("mode: observe", {"failure": pb.FAILURE_KIND_DEADLINE}, ("allow_unscanned", "deny")),
        ("on_failure: open", {"failure": pb.FAILURE_KIND_DEADLINE}, ("allow_unscanned", "allow_unscanned")),
        ("{on_failure: closed, mode: observe}", {"failure": pb.FAILURE_KIND_DEADLINE}, ("deny", "deny")),
        ("spool_full: lose", {"failure": pb.FAILURE_KIND_SPOOL_FULL}, ("allow_unscanned", "allow_unscanned")),
        ("lists: {users: {deny: [al*]}}", {}, ("deny", "deny")),
        ("lists: {models: {allow: [gpt-*]}}", {"model": "claude"}, ("deny", "deny")),
        ("lists: {models: {allow: [gpt-*]}}", {"model": "gpt-4o"}, ("allow", "allow")),
        ("max_body_bytes: 800", {}, ("deny", "deny")),
        ("overrides: [{name: o, match: {user: alice}, set: {mode: observe}}]", {"threats": ATTACK}, ("allow", "deny")),
        ("overrides: [{name: o, match: {user: bob}, set: {mode: observe}}]", {"threats": ATTACK}, ("deny", "deny")),
        ("overrides: [{name: o, match: {door: g*}, set: {leaks: {pii_leak: deny}}}]", {"threats": [threat("pii_leak", 1)]}, DENIED),
        (
            "overrides: [{name: a, match: {door: g*}, set: {deny_score: 30}}, {name: b, match: {door: g*}, set: {deny_score: 20}}]",
            {"threats": ATTACK},
            ("deny", "deny"),
        ),
    ],
)  # fmt: skip
def test_it_judges_as_a_sidecar_does(text: str, fields: dict[str, Any], expected: tuple[str, str]) -> None:
    assert judged(text, **fields) == expected


@pytest.mark.parametrize(
    ("exception", "applied"),
    [
        ("{rule: 'jailbreak.*', until: 2099-01-01, reason: r, who: w}", "allow"),
        ("{rule: 'jailbreak.*', until: 2020-01-01, reason: r, who: w}", "deny"),
        ("{rule: 'jailbreak.*', until: 2099-01-01, reason: r, who: w, match: {user: bob}}", "deny"),
        ("{rule: 'jailbreak.*', until: 2099-01-01, reason: r, who: w, action: lower, factor: 0.2}", "allow"),
        ("{rule: 'jailbreak.*', until: 2099-01-01, reason: r, who: w, action: lower}", "deny"),
    ],
)
def test_exceptions_count_while_they_last_and_for_whom_they_are(exception: str, applied: str) -> None:
    assert judged(f"exceptions: [{exception}]", threats=ATTACK)[0] == applied


def test_a_frames_of_a_websocket_go_by_their_own_setting() -> None:
    unread = UNREAD | {"unscanned": [{"reason": pb.UNSCANNED_REASON_UPGRADE, "bytes": 1}]}
    found = [judged(text, request_coverage=unread) for text in ("", "websocket: allow_unscanned")]
    assert found == [("deny", "deny"), ("allow_unscanned", "allow_unscanned")]


def compare(rows: list[DecisionRow], before: str, after: str, examples: int = 10) -> Outcome:
    trials = [dry_run.prepare(policies.read_yaml(text), BEGAN_UNIX_US) for text in (before, after)]
    return dry_run.compare(rows, *trials, examples)


def test_two_policies_are_compared_over_the_same_records() -> None:
    rows = [row(1, threats=ATTACK), row(2), row(3, threats=ATTACK, user="bob")]
    found = compare(rows, "deny_score: 30", "deny_score: 20", examples=1)
    assert found == Outcome(
        records=3,
        recorded={"allow": 3},
        before={"allow": 3},
        after={"deny": 2, "allow": 1},
        changes={("allow", "deny"): 2},
        differing=(
            Differs(
                rows[0],
                Verdict("allow", "allow", "score 20 is below deny_score 30"),
                Verdict("deny", "deny", "score 20 reaches deny_score 20"),
            ),
        ),
    )
