"""A /generate call on its way: to the provider's own request, and the provider's answer to the mission's.

In: a request that was allowed; a completion. Out: what Envoy is told to send on instead.
The headers are set by us because the body changes: Envoy answers 500 when content-length no longer fits (ENVOY.md 1).
"""

from dataclasses import replace

from sidecar.extproc.events import Phase, Proceed
from sidecar.extproc.surroundings import Surroundings
from sidecar.protocols import generate
from sidecar.types import Completion, FailureKind, Head, Inspection, InspectionFailed


def aimed(inspection: Inspection, around: Surroundings) -> tuple[Inspection, generate.Target | None]:
    """Return where a /generate call leads; a name that leads nowhere is a failure with the known names."""
    try:
        return inspection, generate.target_of(inspection.message.model, around.models)
    except generate.UnknownModel as error:
        failed = inspection.failure or InspectionFailed(FailureKind.UNKNOWN_MODEL, str(error))
        return replace(inspection, failure=failed), None


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


def mission_answer(completion: Completion, decision_id: str) -> Proceed:
    """Return the mission's answer to a call that went well."""
    body = generate.translate_reply(completion.reply, completion.total_us / 1e6, decision_id)
    headers = (("content-length", str(len(body))), ("content-type", "application/json"))
    return Proceed(Phase.RESPONSE_BODY, body, headers)
