"""The OpenAI SDK, unmodified, with base_url pointing at the gateway."""

import json

import openai
import pytest

from tests.support.calls import ATTACK, call, chat
from tests.support.installation import Installation
from tests.support.upstream import CHAT_BYTES, STREAM, Upstream

pytestmark = pytest.mark.server


@pytest.fixture
def client(enforcing: Installation) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{enforcing.gateway}/v1", api_key="sk-client", max_retries=0)


def test_a_chat_completion_is_answered(client: openai.OpenAI) -> None:
    with client:
        answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content == "Hello — you."
    assert answer.usage is not None
    assert answer.usage.total_tokens == 18


def test_a_stream_is_answered_chunk_by_chunk(client: openai.OpenAI) -> None:
    with (
        client,
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hello"}], stream=True
        ) as stream,
    ):
        words = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert words == ["Hel", "lo ", "— ", "you.", ""]


def test_the_attack_of_the_mission_raises_permission_denied(client: openai.OpenAI, enforcing: Installation) -> None:
    with client, pytest.raises(openai.PermissionDeniedError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": ATTACK}])
    body = raised.value.body
    assert isinstance(body, dict)
    assert body["risk_level"] == "CRITICAL"
    assert body["risk_score"] >= 15
    assert {"type", "rule_id", "detector", "surface", "message_index", "score"} == set(body["threats"][0])
    record = enforcing.record(body["decision_id"])
    assert (record["applied"], record["outcome"], record["http_status"]) == ("deny", "denied", 403)
    assert record["score"] == body["risk_score"]
    assert ATTACK not in json.dumps(record)


def test_request_and_response_pass_byte_for_byte(enforcing: Installation, upstream: Upstream) -> None:
    body = b'{ "model":"gpt-4o",\n "messages" : [{"role":"user","content":"caf\\u00e9 \xe2\x80\x94 byte for byte"}] }'
    reply = call(enforcing.gateway, body=body, authorization="Bearer sk-bytes", x_user_id="bytes")
    assert (reply.status, reply.body) == (200, CHAT_BYTES)
    received = [r for r in upstream.received if r.complete and b"byte for byte" in r.body]
    assert [r.body for r in received] == [body]
    assert received[0].headers["authorization"] == "Bearer sk-bytes"
    assert received[0].headers["content-length"] == str(len(body))
    assert "x-user-id" not in received[0].headers


@pytest.mark.parametrize("word", ["plain", "please-split-bytes"])
def test_a_stream_passes_byte_for_byte_and_its_usage_is_read(enforcing: Installation, word: str) -> None:
    reply = call(enforcing.gateway, body=chat(word, stream=True), x_user_id=f"stream-{word}")
    assert reply.body == b"".join(STREAM)
    record = enforcing.settled(f"stream-{word}")[0]
    assert (record["stage"], record["outcome"], record["stream"]) == ("complete", "answered", True)
    assert (record["prompt_tokens"], record["completion_tokens"], record["total_tokens"]) == (11, 7, 18)
    assert 0 < record["first_byte_us"] <= record["total_us"]
