"""What to do about what was found: a frozen snapshot of the policy file, and the functions that decide by it.

In: an Assessment and a Coverage, or an InspectionFailed; a Policy. Out: a Decision.
Never: reads a file (control/policy_file.py does), or finds anything (detectors do).
Source of the defaults: the mission (alert at 5, block critical threats at 15), DESIGN 4.
"""

import hashlib
import re
from collections import Counter
from enum import StrEnum
from typing import Any

import msgspec

from sidecar.types import (
    Action,
    Assessment,
    ContentCapture,
    Coverage,
    Decision,
    FailureKind,
    InspectionFailed,
    Mode,
    ThreatType,
    UnscannedReason,
)


class SpoolFull(StrEnum):
    """What to do with a request whose verdict cannot be written down."""

    REFUSE = "refuse"
    LOSE = "lose"


class OnLeak(StrEnum):
    """What to do with a secret or personal data in a request. pseudonymise also puts the original back in the answer."""

    REPORT = "report"
    REDACT = "redact"
    PSEUDONYMISE = "pseudonymise"
    DENY = "deny"


class OnOutputLeak(StrEnum):
    """What to do with a secret or personal data in an answer."""

    REPORT = "report"
    REDACT = "redact"


class OnResponse(StrEnum):
    """observe: answers are looked at for their record, no byte waits. enforce: they are held until they have been judged."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class UnknownHosts(StrEnum):
    """What happens at the proxy and transparent doors to hosts that are no LLM host."""

    PASS = "pass"  # noqa: S105 - no password
    DENY = "deny"


class StreamUsage(StrEnum):
    """ask: a streamed call that does not ask for its usage is made to, and the extra chunk is kept from the client."""

    AS_SENT = "as_sent"
    ASK = "ask"


class Leaks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with each kind of leak in a request."""

    secret_leak: OnLeak = OnLeak.REPORT
    pii_leak: OnLeak = OnLeak.REPORT

    def of(self, kind: ThreatType) -> OnLeak:
        """Return what to do with a finding of a type; whatever is no leak is only reported."""
        if kind is ThreatType.SECRET_LEAK:
            return self.secret_leak
        return self.pii_leak if kind is ThreatType.PII_LEAK else OnLeak.REPORT


class OutputLeaks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with each kind of leak in an answer."""

    secret_leak: OnOutputLeak = OnOutputLeak.REPORT
    pii_leak: OnOutputLeak = OnOutputLeak.REPORT

    @property
    def redacted(self) -> frozenset[ThreatType]:
        """The types that are taken out of answers."""
        pairs = ((ThreatType.SECRET_LEAK, self.secret_leak), (ThreatType.PII_LEAK, self.pii_leak))
        return frozenset(kind for kind, action in pairs if action is OnOutputLeak.REDACT)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """One version of the policy. Scores are on the mission's scale, deadline_ms in milliseconds."""

    mode: Mode = Mode.ENFORCE
    alert_score: float = 5.0
    deny_score: float = 15.0
    block_critical: bool = True
    unscanned: Action = Action.ALLOW_UNSCANNED
    spool_full: SpoolFull = SpoolFull.REFUSE
    content_capture: ContentCapture = ContentCapture.NONE
    deadline_ms: int = 250
    leaks: Leaks = Leaks()
    output_leaks: OutputLeaks = OutputLeaks()
    canaries: tuple[str, ...] = ()
    response: OnResponse = OnResponse.OBSERVE
    leak_budget: int = 256
    stream_usage: StreamUsage = StreamUsage.AS_SENT
    unknown_hosts: UnknownHosts = UnknownHosts.PASS
    websocket: Action = Action.DENY
    version: str = "built-in"

    def __post_init__(self) -> None:
        if self.unscanned not in (Action.ALLOW_UNSCANNED, Action.DENY):
            raise ValueError("unscanned is allow_unscanned or deny")
        if self.websocket not in (Action.ALLOW_UNSCANNED, Action.DENY):
            raise ValueError("websocket is deny or allow_unscanned")
        if not 0 < self.alert_score <= self.deny_score:
            raise ValueError("alert_score is above 0 and at most deny_score")
        if not 1 <= self.deadline_ms <= 600:
            raise ValueError("deadline_ms is 1 to 600: Envoy gives up on the sidecar after 750 ms")
        if not 0 <= self.leak_budget <= _LEAK_BUDGET_MAX:
            raise ValueError(f"leak_budget is 0 to {_LEAK_BUDGET_MAX} characters")
        if not all(_CANARY_MIN <= len(text) <= _CANARY_MAX for text in self.canaries):
            raise ValueError(f"canaries: each text has {_CANARY_MIN} to {_CANARY_MAX} characters")
        if len(self.canaries) > _CANARIES:
            raise ValueError(f"canaries: at most {_CANARIES} texts")

    @property
    def holds_answers(self) -> bool:
        """True when answers are held until they have been judged."""
        return self.mode is Mode.ENFORCE and self.response is OnResponse.ENFORCE


# A look at a streamed answer sees this many characters (extproc/gate.WINDOW): with so much of a budget nothing is held for it.
_LEAK_BUDGET_MAX = 512
# A shorter text stands in answers by chance; each canary costs a search of every text.
_CANARY_MIN, _CANARY_MAX, _CANARIES = 8, 200, 100
_FIELD = re.compile(r"`\$\.(\w+)")
# What is allowed, for fields whose parser only says that a value is not.
_ALLOWED = {
    "mode": "enforce or observe",
    "unscanned": "allow_unscanned or deny",
    "spool_full": "refuse or lose",
    "content_capture": "none, redacted or full",
    "leaks": "secret_leak and pii_leak, each report, redact, pseudonymise or deny",
    "output_leaks": "secret_leak and pii_leak, each report or redact",
    "response": "observe or enforce",
    "leak_budget": f"0 to {_LEAK_BUDGET_MAX}",
    "stream_usage": "as_sent or ask",
    "unknown_hosts": "pass or deny",
    "websocket": "deny or allow_unscanned",
    "canaries": f"a list of texts of {_CANARY_MIN} to {_CANARY_MAX} characters",
}

# Statuses of refusals after a failure. The client's fault gets the client's error; ours is 503 (fail closed).
_FAILURE_STATUS = {
    FailureKind.MALFORMED_BODY: 400,
    FailureKind.UNKNOWN_MODEL: 400,
    FailureKind.TOO_LARGE: 413,
    FailureKind.UNSUPPORTED_ENCODING: 415,
    FailureKind.NOT_EDITABLE: 422,
}


def parse_policy(text: str, defaults: Policy) -> Policy:
    """Return the policy of a YAML text; what it leaves out comes from defaults.

    Raises: ValueError naming the field and what is allowed.
    """
    try:
        given: Any = msgspec.yaml.decode(text) if text.strip() else {}
        if given is None:
            given = {}
        if not isinstance(given, dict):
            raise ValueError("the policy is not a mapping of settings")
        if "version" in given:
            raise ValueError("version is computed from the file's content; remove it")
        merged = {**msgspec.to_builtins(defaults), **given, "version": policy_version(text)}
        return msgspec.convert(merged, Policy)
    except msgspec.DecodeError as error:
        raise ValueError(_told(str(error))) from None


def _told(message: str) -> str:
    """Add what is allowed to a parser's message."""
    field = _FIELD.search(message)
    allowed = _ALLOWED.get(field[1]) if field else None
    return f"{message}; allowed: {allowed}" if allowed else message


def policy_version(text: str) -> str:
    """Return the version of a policy text: 12 hex digits of its digest."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def decide(assessment: Assessment, coverage: Coverage, policy: Policy) -> Decision:
    """Return the decision on a request that was inspected. A REDACT has no edits yet: leaks.py makes them.

    The score comes first: what it denies is not edited and sent.
    """
    action, reason = _judge(assessment, coverage, policy)
    passing = Action.ALLOW if coverage.complete else Action.ALLOW_UNSCANNED
    if action is not Action.DENY:
        return _on_leaks(assessment, policy, passing) or Decision(action, action, policy.mode, reasons=(reason,))
    dangerous = assessment.score >= policy.deny_score
    message = f"request refused: {_kinds(assessment)}" if dangerous else _not_inspected(coverage)
    return _applied(Decision(action, action, policy.mode, 403, message, (reason,)), passing)


def _upgrades(coverage: Coverage) -> bool:
    return any(item.reason is UnscannedReason.UPGRADE for item in coverage.unscanned)


def _not_inspected(coverage: Coverage) -> str:
    if _upgrades(coverage):
        return "WebSocket refused: its frames are not inspected; the policy setting websocket: allow_unscanned lets it through"
    return "request refused: not fully inspected"


def _on_leaks(assessment: Assessment, policy: Policy, passing: Action) -> Decision | None:
    """Return what the leaks in a request that may pass call for; None when they are only reported."""
    found = Counter(finding.type for _, finding in assessment.found)
    treated = {kind: policy.leaks.of(kind) for kind in found if policy.leaks.of(kind) is not OnLeak.REPORT}
    if not treated:
        return None
    reasons = tuple(f"leaks.{kind} is {action}" for kind, action in sorted(treated.items()))
    denied = ", ".join(kind for kind, action in sorted(treated.items()) if action is OnLeak.DENY)
    if denied:
        refusal = Decision(Action.DENY, Action.DENY, policy.mode, 403, f"request refused: {denied}", reasons)
        return _applied(refusal, passing)
    return _applied(Decision(Action.REDACT, Action.REDACT, policy.mode, reasons=reasons), passing)


def _judge(assessment: Assessment, coverage: Coverage, policy: Policy) -> tuple[Action, str]:
    reaches = f"score {assessment.score:g} reaches deny_score {policy.deny_score:g}"
    dangerous = assessment.score >= policy.deny_score
    if dangerous and policy.block_critical:
        return Action.DENY, reaches
    if _upgrades(coverage):
        return policy.websocket, f"websocket is {policy.websocket} in the policy; frames are not inspected"
    if not coverage.complete:
        return policy.unscanned, f"{_unscanned(coverage)} of {coverage.body_bytes} bytes were not scanned"
    if dangerous:
        return Action.ALLOW, f"{reaches}, but block_critical is off"
    return Action.ALLOW, f"score {assessment.score:g} is below deny_score {policy.deny_score:g}"


def _unscanned(coverage: Coverage) -> int:
    return sum(item.bytes for item in coverage.unscanned)


def _kinds(assessment: Assessment) -> str:
    return ", ".join(dict.fromkeys(threat.finding.type.value for threat in assessment.threats))


def refuses_answer(assessment: Assessment, policy: Policy) -> bool:
    """Tell whether an answer with this score is kept from its client."""
    return policy.block_critical and assessment.score >= policy.deny_score


def on_failure(failure: InspectionFailed, policy: Policy) -> Decision:
    """Return the decision on a request that could not be inspected: enforce fails closed, observe fails open."""
    if failure.kind is FailureKind.SPOOL_FULL and policy.spool_full is SpoolFull.LOSE:
        reason = "the record could not be written; spool_full: lose lets the request pass"
        return Decision(Action.ALLOW_UNSCANNED, Action.ALLOW_UNSCANNED, policy.mode, reasons=(reason,))
    return _applied(refusal_of(failure, policy), Action.ALLOW_UNSCANNED)


def refusal_of(failure: InspectionFailed, policy: Policy) -> Decision:
    """Return the refusal of a request that could not be inspected and, whatever the mode, cannot be passed on."""
    status = _FAILURE_STATUS.get(failure.kind, 503)
    reason = f"inspection failed: {failure.kind}" + (f" ({failure.detail})" if failure.detail else "")
    message = failure.detail if status == 400 and failure.detail else reason
    return Decision(Action.DENY, Action.DENY, policy.mode, status, message, (reason,))


def _applied(refusal: Decision, passing: Action) -> Decision:
    """Carry a refusal or a redaction out, or in observe mode only say what it would have been."""
    if refusal.mode is not Mode.OBSERVE:
        return refusal
    return Decision(passing, refusal.would_be, refusal.mode, reasons=(*refusal.reasons, "observe mode lets it pass"))
