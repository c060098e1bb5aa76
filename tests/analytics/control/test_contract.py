"""Analytics' reading of policies against the sidecar's own: the same documents are accepted, the same decisions made.

The two programs share no code, so that what one would do is written twice; these tests are what keeps them together.
"""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from douane.v1 import decision_pb2 as pb
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.control import consistency, dry_run, policies
from analytics.ingest.decode import decode
from analytics.types import DecisionRow
from sidecar import scoring
from sidecar.policy import Compiled, Facts, Policy, decide, on_failure, parse_policy
from sidecar.policy.admission import Asked, refusals, stricter
from sidecar.types import (
    Assessment,
    Coverage,
    FailureKind,
    Finding,
    InspectionFailed,
    Segment,
    Span,
    Surface,
    ThreatType,
    Unscanned,
    UnscannedReason,
)
from tests.analytics.traffic import BEGAN_UNIX_US, record

_BUDGET = "{name: a, unit: tokens, window: day, limit: 5}"
_EXCEPTION = "{rule: x, until: 2026-12-31, reason: r, who: w}"
DOCUMENTS = [
    "",
    "mode: observe",
    "mode: maybe",
    "frob: 1",
    "deny_score: 4",
    "deny_score: 0",
    "{alert_score: 16}",
    "{alert_score: 4, deny_score: 4}",
    "deadline_ms: 700",
    "leak_budget: -1",
    "canaries: [short]",
    "canaries: ['long enough']",
    "unscanned: redact",
    "actions: {user_risk: deny}",
    "actions: {jailbreak: pseudonymise}",
    "actions: {pii_leak: pseudonymise, jailbreak: allow}",
    "thresholds: {output: {deny: 3}}",
    "thresholds: {user: {deny: 0}}",
    "thresholds: {user: {alert: 3, deny: 9}}",
    "leaks: {secret_leak: allow}",
    "lists: {users: {allow: [a, 'b*']}}",
    "lists: {users: {allow: a}}",
    "identity: {user: X-User}",
    "identity: {user: x-user}",
    "user_risk: {half_life_s: 1}",
    "user_risk: {tighten_from: 200}",
    "user_risk: {tighten_from: 10, tighten_to: 20, quarantine_at: 30}",
    f"budgets: [{_BUDGET}]",
    f"budgets: [{_BUDGET}, {_BUDGET}]",
    "budgets: [{name: a, unit: tokens, window: day, limit: 5.5}]",
    "budgets: [{name: a, unit: usd, window: month, limit: 5.5}]",
    "budgets: [{name: a, unit: usd, window: hour, limit: 5.5, per: team, match: {model: gpt-*, user: [a, b]}}]",
    "budgets: [{name: a, unit: usd, window: hour, limit: -1}]",
    "budgets: [{name: a, unit: usd, window: hour, limit: 1, match: {planet: mars}}]",
    f"exceptions: [{_EXCEPTION}]",
    "exceptions: [{rule: x, until: soon, reason: r, who: w}]",
    "exceptions: [{rule: x, until: 2026-12-31, reason: r}]",
    "exceptions: [{rule: x, until: 2026-12-31T10:00:00Z, reason: r, who: w, action: lower, factor: 0.2}]",
    "exceptions: [{rule: x, until: '2026-12-31T10:00:00', reason: r, who: w}]",
    "overrides: [{name: o, match: {user: a}, set: {mode: observe}}]",
    "overrides: [{name: o, match: {user: a}, set: {budgets: []}}]",
    "overrides: [{name: o, match: {user: a}, set: {deadline_ms: 100}}]",
    "overrides: [{name: o, match: {door: a}, set: {deadline_ms: 100}}]",
    "overrides: [{name: o, match: {door: a}, set: {deny_score: 3}}]",
    "overrides: [{name: o, match: {}, set: {deny_score: 3}}]",
    "overrides: [{name: o, match: {door: []}, set: {deny_score: 3}}]",
    "overrides: [{name: o, match: {door: a}, set: {user_risk: {tighten_from: 200}}}]",
    "version: abc",
]


def accepted_here(text: str) -> bool:
    try:
        policies.check(policies.read_yaml(text))
    except policies.PolicyError:
        return False
    return True


def accepted_there(text: str) -> bool:
    try:
        parse_policy(text, Policy())
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", DOCUMENTS)
def test_the_same_documents_are_accepted(text: str) -> None:
    assert accepted_here(text) == accepted_there(text)


def test_the_documents_are_of_both_kinds() -> None:
    verdicts = [accepted_there(text) for text in DOCUMENTS]
    assert 15 <= sum(verdicts) <= len(DOCUMENTS) - 15
    assert set(consistency.SCOPED) <= set(policies.schema()["properties"])


KINDS = [ThreatType.JAILBREAK, ThreatType.SECRET_LEAK, ThreatType.PII_LEAK, ThreatType.INDIRECT_INJECTION]
SURFACES = [Surface.USER, Surface.TOOL_RESULT, Surface.DOCUMENT]
POLICIES = [
    "",
    "mode: observe",
    "deny_score: 8",
    "block_critical: false",
    "{deny_score: 30, thresholds: {tool_result: {deny: 6}}}",
    "{deny_score: 9, thresholds: {user: {deny: 40}}}",
    "{actions: {jailbreak: deny}, alert_score: 7}",
    "actions: {jailbreak: allow, indirect_injection: redact}",
    "{leaks: {secret_leak: redact, pii_leak: deny}}",
    "{leaks: {secret_leak: pseudonymise}, mode: observe}",
    "unscanned: deny",
    "{unscanned: deny, mode: observe}",
    "websocket: allow_unscanned",
    "lists: {users: {deny: ['al*']}}",
    "{lists: {models: {allow: [claude-*]}}, mode: observe}",
    "max_body_bytes: 500",
    "on_failure: open",
    "{on_failure: closed, mode: observe}",
    "spool_full: lose",
    "overrides: [{name: a, match: {user: alice}, set: {mode: observe, deny_score: 6}}]",
    "overrides: [{name: a, match: {model: g*}, set: {mode: observe}}, {name: b, match: {user: a*}, set: {deny_score: 3}}]",
]
FACTS = Facts(
    tenant="default", user="alice", model="gpt-4o", provider="openai", endpoint="/v1/x", door="gateway", host="h"
)

found = st.tuples(st.sampled_from(KINDS), st.sampled_from(SURFACES), st.sampled_from([0.5, 2.0, 4.0, 6.0, 11.0]))
unread = st.sampled_from([None, UnscannedReason.BINARY, UnscannedReason.UPGRADE])
Found = tuple[ThreatType, Surface, float]


def assessed(findings: list[Found]) -> Assessment:
    """Return what detectors and scoring would say, each finding in a message of its own."""
    pairs = tuple(
        (Segment(f"{number}", surface, number, f"/{number}"), Finding(kind, "d", f"r.{number}", Span(0, 1), weight))
        for number, (kind, surface, weight) in enumerate(findings)
    )
    return replace(scoring.assess(pairs), found=pairs)


def decided_there(compiled: Compiled, assessment: Assessment, coverage: Coverage) -> tuple[str, str]:
    """Return what the sidecar does, as sidecar/extproc/ruling puts it together: applied and would_be."""
    in_force = compiled.of(FACTS)
    decision = decide(assessment, coverage, in_force.policy)
    for refusal in refusals(Asked(FACTS, coverage.body_bytes), in_force.policy, in_force.admission):
        decision = stricter(decision, refusal)
    return decision.applied.value, decision.would_be.value


def recorded(assessment: Assessment, coverage: Coverage, **fields: Any) -> DecisionRow:
    """Return the record of such a request."""
    threats = [
        pb.Threat(
            type=pb.ThreatType.Value(f"THREAT_TYPE_{one.finding.type.name}"),
            surface=pb.Surface.Value(f"SURFACE_{one.segment.surface.name}"),
            rule_id=one.finding.rule_id,
            score=one.score,
        )
        for one in assessment.threats
    ]
    unscanned = [
        pb.Unscanned(reason=pb.UnscannedReason.Value(f"UNSCANNED_REASON_{one.reason.name}"), bytes=one.bytes)
        for one in coverage.unscanned
    ]
    covered = pb.Coverage(body_bytes=900, scanned_bytes=900, complete=coverage.complete, unscanned=unscanned)
    identity = {"user": FACTS.user, "tenant": FACTS.tenant}
    values = {"model": FACTS.model, "host": FACTS.host, "door": FACTS.door, "score": assessment.score}
    return decode(record(0, identity=identity, threats=threats, request_coverage=covered, **values, **fields))


def decided_here(text: str, row: DecisionRow) -> tuple[str, str]:
    verdict = dry_run.judge(row, dry_run.prepare(policies.read_yaml(text), BEGAN_UNIX_US))
    return verdict.applied, verdict.would_be


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(POLICIES), st.lists(found, max_size=3), unread)
def test_the_same_decisions_are_made(text: str, findings: list[Found], reason: UnscannedReason | None) -> None:
    """With one finding anywhere; with several where the policy does not weigh parts of them by themselves (see dry_run)."""
    if "thresholds" in text or "allow," in text:
        findings = findings[:1]
    assessment = assessed(findings)
    coverage = Coverage(900, 900, () if reason is None else (Unscanned(reason, 10),))
    here = decided_here(text, recorded(assessment, coverage))
    assert here == decided_there(Compiled(parse_policy(text, Policy())), assessment, coverage)


@pytest.mark.parametrize(
    ("text", "kind"), list(itertools.product(POLICIES, ["deadline", "spool_full", "malformed_body"]))
)
def test_the_same_is_done_when_inspection_failed(text: str, kind: str) -> None:
    policy = Compiled(parse_policy(text, Policy())).of(FACTS).policy
    decision = on_failure(InspectionFailed(FailureKind(kind)), policy)
    row = recorded(Assessment(), Coverage(900), failure=pb.FailureKind.Value(f"FAILURE_KIND_{kind.upper()}"))
    if decided_here("", row)[1] != "deny":
        raise AssertionError("a record of a failure is judged as one")
    assert decided_here(text, row) == (decision.applied.value, decision.would_be.value)
