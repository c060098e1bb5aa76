"""A call on its way: /generate to the provider's own request and the provider's answer to the mission's; a streamed call that is
made to ask for its usage.

In: a request that was allowed; a completion. Out: what Envoy is told to send on instead.
The headers are set by us because the body changes: Envoy answers 500 when content-length no longer fits (ENVOY.md 1).
"""

from sidecar.extproc.events import Phase, Proceed
from sidecar.extproc.surroundings import Surroundings
from sidecar.policy import Policy, StreamUsage
from sidecar.protocols import generate, openai_chat
from sidecar.types import Completion, Head, Verdict


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
    return Proceed(phase, body, headers, reroute=True)


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
