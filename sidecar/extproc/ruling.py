"""What is decided of one request that was inspected: who asks, what of the policy holds, the decision, edits, budgets.

In: a request as it came with its Inspection; a compiled policy; the Surroundings, whose users and budgets are asked. Out: a Ruling.
The order, in which nothing later lets pass what an earlier step refused:

    exceptions → score, coverage, leaks (or the failure policy) → lists, sizes, quarantine → edits → budgets

Never: answers (exchange.py does), or touches what a user's risk is made of but through UserRisks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sidecar.extproc.estimate import estimated, tokens
from sidecar.extproc.surroundings import Surroundings
from sidecar.extproc.translate import without_leaks
from sidecar.policy import PLAIN, Bar, Compiled, Facts, InForce, decide, on_failure
from sidecar.policy.admission import Asked, Refusal, bar_of, quarantine, refusals, stricter
from sidecar.policy.scoped import Unit
from sidecar.protocols import generate, websocket
from sidecar.risk.budgets import NOTHING, Ask, Grant
from sidecar.types import (
    Action,
    Assessment,
    Completion,
    Decision,
    Finding,
    Head,
    Identity,
    Inspection,
    LlmMessage,
    Mode,
    Outcome,
    Segment,
    Span,
    Surface,
    Threat,
    ThreatType,
    Usage,
)

_WITHOUT_BODY = ("GET", "HEAD", "DELETE", "OPTIONS")
# What policy refuses with, whether or not the inspection failed before it (fail open, then a budget or a quarantine).
_OF_POLICY = (403, 429)
# Of the user, not of a text: it adds nothing to the score, so that risk does not feed itself.
_BY_RISK = Threat(
    Finding(ThreatType.USER_RISK, "user_risk", "user_risk.refused", Span(0, 0), 0.0), Segment("", Surface.USER), 0.0
)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came. place is its door and its provider, now_us Unix time in microseconds."""

    head: Head
    data: bytes
    inspection: Inspection
    place: tuple[str, str]
    now_us: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, in the words of a policy's scopes, and what of the policy holds for it."""

    identity: Identity
    facts: Facts
    in_force: InForce

    @property
    def key(self) -> tuple[str, str]:
        """Whose risk it is."""
        return self.identity.tenant, self.identity.user


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided. data is the body that goes on where it was edited; originals are those of its pseudonyms.

    waived are how many exceptions met a finding, and how many of those had ended.
    """

    inspection: Inspection
    decision: Decision
    caller: Caller
    bar: Bar = PLAIN
    grant: Grant = NOTHING
    data: bytes | None = None
    originals: Mapping[str, str] = field(default_factory=dict)
    waived: tuple[int, int] = (0, 0)


def called(head: Head, message: LlmMessage, place: tuple[str, str], compiled: Compiled, around: Surroundings) -> Caller:
    """Return who asks; a message that says nothing yet names neither user nor model."""
    identity = around.identifier.identify(head, message.user, compiled.policy.identity)
    facts = Facts(
        identity.tenant,
        identity.user,
        identity.team,
        message.model,
        place[1],
        head.endpoint,
        place[0],
        host_name(head.host),
    )
    return Caller(identity, facts, compiled.of(facts))


def host_name(host: str) -> str:
    """Return a host's name as scopes match it: lower case, without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def place_of(route: str, target: generate.Target | None) -> tuple[str, str]:
    """Return door and provider, as a route's name says: gateway/openai/careful, generate."""
    door, _, rest = route.partition("/")
    if target is not None:
        return door, target.provider
    return door or "gateway", rest.partition("/")[0]


def ruled(received: Received, compiled: Compiled, around: Surroundings) -> Ruling:
    """Return the ruling on a request. Its user's risk grows by it."""
    inspection = received.inspection
    caller = called(received.head, inspection.message, received.place, compiled, around)
    policy, now_us = caller.in_force.policy, received.now_us
    waived = caller.in_force.waivers.waive(inspection.assessment, now_us)
    if waived.assessment is not inspection.assessment:
        inspection = replace(inspection, assessment=waived.assessment)
    standing = around.users.standing(caller.key, policy.user_risk, now_us)
    bar = bar_of(standing.risk, policy)
    if inspection.failure is not None:
        decision = on_failure(inspection.failure, policy)
    else:
        decision = decide(inspection.assessment, inspection.coverage, policy, bar)
    for refusal in refusals(_asked(received, caller), policy, caller.in_force.admission):
        decision = stricter(decision, refusal)
    if standing.quarantined_until_us and (held := quarantine(standing.quarantined_until_us, standing.reason, now_us)):
        decision = stricter(decision, held)
    around.users.add(caller.key, inspection.assessment, policy.user_risk, now_us)
    if told := (*caller.in_force.reasons, *waived.reasons):
        decision = replace(decision, reasons=(*told, *decision.reasons))
    if decision.by_risk:
        inspection = replace(inspection, assessment=_by_risk(inspection.assessment))
    ruling = Ruling(inspection, decision, caller, bar, waived=(waived.applied, waived.ended))
    return _budgeted(_edited(ruling, received.data, around), received, around)


def _asked(received: Received, caller: Caller) -> Asked:
    head, message = received.head, received.inspection.message
    bare = not received.data and head.method in _WITHOUT_BODY and message.protocol != websocket.NAME
    return Asked(caller.facts, len(received.data), message.max_tokens, bare)


def _by_risk(assessment: Assessment) -> Assessment:
    return replace(assessment, threats=(*assessment.threats, _BY_RISK))


def _edited(ruling: Ruling, data: bytes, around: Surroundings) -> Ruling:
    """Take the leaks out of the body; where that cannot be done the failure policy answers."""
    if ruling.decision.applied is not Action.REDACT:
        return ruling
    identity, policy = ruling.caller.identity, ruling.caller.in_force.policy
    edited = without_leaks(
        data, ruling.inspection, ruling.decision, (policy, identity.tenant, around.identifier.digest)
    )
    return replace(
        ruling, inspection=edited.inspection, decision=edited.decision, data=edited.data, originals=edited.originals
    )


def _budgeted(ruling: Ruling, received: Received, around: Surroundings) -> Ruling:
    """Take from the budgets that hold what a request asks for that is let pass; one without room throttles it."""
    budgets, decision = ruling.caller.in_force.budgets, ruling.decision
    if not budgets or decision.refuses:
        return ruling
    counts_words = any(budget.unit is not Unit.REQUESTS for budget in budgets)
    message = ruling.inspection.message
    ask = Ask(ruling.caller.facts, *((tokens(message.segments), message.max_tokens or 0) if counts_words else ()))
    grant = around.budgets.take(budgets, ask, received.now_us, anyway=decision.mode is Mode.OBSERVE)
    if grant.over is None:
        return replace(ruling, grant=grant)
    refusal = Refusal(429, f"request refused: {grant.over.reason}", grant.over.wait_s, Action.THROTTLE)
    return replace(ruling, grant=grant, decision=stricter(decision, refusal))


def outcome_of(inspection: Inspection, decision: Decision) -> Outcome:
    """Return how an exchange stands once it is decided."""
    if not decision.refuses:
        return Outcome.PENDING
    return Outcome.FAILED if inspection.failure is not None and decision.status not in _OF_POLICY else Outcome.DENIED


def settled(ruling: Ruling, completion: Completion, now_us: int, around: Surroundings) -> None:
    """Count what an exchange that has ended used, and what its answer adds to its user's risk."""
    if ruling.grant.claims:
        around.budgets.settle(ruling.grant, ruling.caller.facts, _used(ruling.inspection.message, completion))
    around.users.add(ruling.caller.key, completion.assessment, ruling.caller.in_force.policy.user_risk, now_us)


def _used(message: LlmMessage, completion: Completion) -> Usage | None:
    """Return the tokens of an exchange: as told, else estimated; none where the provider sent no answer, or an error."""
    if completion.reply.usage is not None:
        return completion.reply.usage
    if completion.http_status >= 400 or not completion.http_status:
        return None
    return estimated(message, completion.reply) or Usage(prompt_tokens=tokens(message.segments), estimated=True)
