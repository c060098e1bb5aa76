"""A /generate call on its way."""

from dataclasses import replace

import pytest

from sidecar.extproc.events import Phase, Proceed
from sidecar.extproc.translate import mission_answer, provider_call
from sidecar.protocols import generate as protocol
from sidecar.types import Assessment, Completion, ContentCapture, Coverage, LlmReply, Outcome
from tests.sidecar.values import GENERATE, around, generate

TARGET = protocol.Target("openai", "gpt-4o")


@pytest.mark.parametrize("phase", [Phase.REQUEST_HEADERS, Phase.REQUEST_BODY])
def test_provider_call_fits_its_new_body(phase: Phase) -> None:
    """Envoy answers 500 when content-length no longer fits."""
    body = protocol.translate_request(generate("hello"), TARGET)
    assert provider_call(phase, GENERATE, generate("hello"), TARGET, around()) == Proceed(
        phase,
        body,
        (
            (":path", "/v1/chat/completions"),
            ("x-douane-provider", "openai"),
            ("authorization", "Bearer our-key"),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
        ),
        without=("content-encoding",),
        reroute=True,
    )


def test_an_empty_key_of_the_caller_is_none() -> None:
    head = replace(GENERATE, headers={"authorization": ""})
    found = provider_call(Phase.REQUEST_BODY, head, generate("hello"), TARGET, around())
    assert dict(found.headers)["authorization"] == "Bearer our-key"


def test_mission_answer_fits_its_new_body() -> None:
    completion = Completion(
        Outcome.ANSWERED, 200, "", LlmReply(), Assessment(), Coverage(), ContentCapture.NONE, 0.0, 1, 2, 1_500_000
    )
    body = protocol.translate_reply(LlmReply(), 1.5, "d-1")
    assert mission_answer(completion, "d-1") == Proceed(
        Phase.RESPONSE_BODY, body, (("content-length", str(len(body))), ("content-type", "application/json"))
    )
