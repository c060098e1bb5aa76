"""OpenAI's errors, as its SDK and Mistral's read them."""

import json
from typing import Any

import openai
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import MistralError

from sidecar.protocols import openai_errors
from sidecar.protocols.frames import SseFrames
from sidecar.protocols.wire import Refused
from tests.sidecar.protocols.provider import provider
from tests.sidecar.protocols.replay import sse

REFUSED = Refused(403, "permission_denied", "douane_denied", "Douane: no", {"decision_id": "d-1", "threats": []})


def test_a_refusal_has_the_fields_of_every_openai_error_and_ours() -> None:
    assert openai_errors.refusal(REFUSED) == {
        "error": {
            "message": "Douane: no",
            "type": "permission_denied",
            "param": None,
            "code": "douane_denied",
            "decision_id": "d-1",
            "threats": [],
        }
    }


def test_a_stream_ends_with_an_error_and_its_usual_end() -> None:
    error, end = openai_errors.stream_refusal(REFUSED)
    assert json.loads(error.data)["error"]["code"] == "douane_denied"
    assert end.data == b"[DONE]"


MESSAGES: Any = [{"role": "user", "content": "hi"}]
CHUNK = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hello"}, "finish_reason": None}],
}
CUT = sse(CHUNK) + SseFrames().closing([(e.name, e.data) for e in openai_errors.stream_refusal(REFUSED)], begun=True)


@pytest.mark.server
def test_openai_s_sdk_raises_at_the_end_of_a_cut_stream() -> None:
    with (
        provider(200, "text/event-stream", CUT) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="sk-x", max_retries=0) as client,
    ):
        for call in (
            lambda: client.chat.completions.create(model="m", messages=MESSAGES, stream=True),
            lambda: client.completions.create(model="m", prompt="hi", stream=True),
        ):
            chunks: list[str] = []
            with pytest.raises(openai.APIError, match="Douane: no") as raised:
                chunks.extend(chunk.id for chunk in call())
            assert (chunks, raised.value.code) == (["c"], "douane_denied")


@pytest.mark.server
def test_mistral_s_sdk_raises_for_both() -> None:
    """It has no words for an error inside of a stream: whatever is no chunk raises a validation error, which cuts ours short."""
    with (
        provider(403, "application/json", json.dumps(openai_errors.refusal(REFUSED)).encode()) as url,
        Mistral(api_key="x", server_url=url) as client,
        pytest.raises(MistralError, match="Douane: no"),
    ):
        client.chat.complete(model="m", messages=MESSAGES)
    with provider(200, "text/event-stream", CUT) as url, Mistral(api_key="x", server_url=url) as client:
        said: list[Any] = []
        with pytest.raises(MistralError, match=r"(?s)Response validation failed.*error.*message.*Do"):
            said.extend(
                event.data.choices[0].delta.content for event in client.chat.stream(model="m", messages=MESSAGES)
            )
        assert said == ["hello"]
