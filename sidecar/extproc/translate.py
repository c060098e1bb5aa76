"""A call on its way: its leaks taken out; /generate to the provider's own request and the provider's answer to the mission's; a
streamed call that is made to ask for its usage.

In: a request that was allowed; a completion. Out: what Envoy is told to send on instead.
The headers are set by us because the body changes: Envoy answers 500 when content-length no longer fits (ENVOY.md 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sidecar.edit import edited_body
from sidecar.extproc.events import Phase, Proceed
from sidecar.extproc.surroundings import Surroundings
from sidecar.leaks import Digest, replaced
from sidecar.policy import Policy, StreamUsage, on_failure
from sidecar.protocols import generate, openai_chat
from sidecar.types import Action, Completion, Decision, FailureKind, Head, Inspection, InspectionFailed, Verdict


def aimed(inspection: Inspection, around: Surroundings) -> tuple[Inspection, generate.Target | None]:
    """Return where a /generate call leads; a name that leads nowhere is a failure with the known names."""
    try:
        return inspection, generate.target_of(inspection.message.model, around.models)
    except generate.UnknownModel as error:
        failed = inspection.failure or InspectionFailed(FailureKind.UNKNOWN_MODEL, str(error))
        return replace(inspection, failure=failed), None


@dataclass(frozen=True, slots=True)
class Edited:
    """A request without its leaks. data is None where nothing was changed; originals are those of pseudonyms."""

    inspection: Inspection
    decision: Decision
    data: bytes | None = None
    originals: Mapping[str, str] = field(default_factory=dict)


def without_leaks(data: bytes, inspection: Inspection, decision: Decision, by: tuple[Policy, str, Digest]) -> Edited:
    """Return a body with its leaks taken out, by a policy, a tenant's name and the installation's digest.

    Where that cannot be done the failure policy's decision is in the place of the one given.
    """
    policy, tenant, digest = by
    made = replaced(inspection.assessment.found, policy.treatment, tenant, digest)
    if not made.edits:
        done = Action.ALLOW if inspection.coverage.complete else Action.ALLOW_UNSCANNED
        return Edited(inspection, replace(decision, applied=done, would_be=done))
    try:
        new = edited_body(data, made.edits)
    except (KeyError, ValueError):
        failure = InspectionFailed(FailureKind.NOT_EDITABLE, "a leak stands where nothing can be edited")
        return Edited(replace(inspection, failure=failure), on_failure(failure, policy))
    told = replace(decision, edits=made.edits, reasons=(*decision.reasons, *made.reasons))
    return Edited(inspection, told, new, made.originals)


def provider_call(phase: Phase, head: Head, data: bytes, target: generate.Target, around: Surroundings) -> Proceed:
    """Return the provider's own call. A key the caller sent is used before ours."""
    body = generate.translate_request(data, target)
    key = head.headers.get("authorization") or f"Bearer {around.keys.get(target.provider, '')}"
    headers = (
        (":path", around.paths[target.provider]),
        ("x-douane-provider", target.provider),
        ("authorization", key),
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
    )
    return Proceed(phase, body, headers, without=("content-encoding",), reroute=True)


def usage_asked(data: bytes, verdict: Verdict | None, policy: Policy) -> bytes | None:
    """Return a streamed call's body made to ask for its usage, where policy wants it and the call does not say."""
    message = verdict.inspection.message if verdict is not None else None
    if policy.stream_usage is not StreamUsage.ASK or message is None or not message.stream:
        return None
    return openai_chat.asking_usage(data, message.protocol)


def mission_answer(completion: Completion, decision_id: str) -> Proceed:
    """Return the mission's answer to a call that went well."""
    body = generate.translate_reply(completion.reply, completion.total_us / 1e6, decision_id)
    headers = (("content-length", str(len(body))), ("content-type", "application/json"))
    return Proceed(Phase.RESPONSE_BODY, body, headers)
