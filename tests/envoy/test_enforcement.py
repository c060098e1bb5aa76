"""Answers held until they have been judged, through a real Envoy: streams end in-band, whole answers become a 403."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.support.calls import call, chat
from tests.support.installation import Installation
from tests.support.upstream import CHAT_BYTES, STREAM, Upstream

pytestmark = pytest.mark.server

CANARY = "violet-otter-4417"
# Cut in two, the provider joins it: the request is clean, the answer is not.
ASKED = "please-echo please-join {before} violet-ot~ter-4417 {after}"
SEA = "a calm sea lies under a wide grey sky,\n" * 30
POLICY = f"""
response: enforce
leak_budget: 100
deny_score: 10
canaries: [{CANARY}]
stream_usage: ask
output_leaks: {{secret_leak: redact}}
"""


@pytest.fixture(scope="module")
def holding(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Installation]:
    folder = Path(tmp_path_factory.mktemp("d")) / "data"
    installation = Installation(folder, policy=POLICY, DOUANE_UPSTREAMS=f"openai={upstream.url}").wait()
    yield installation
    assert installation.stop() == 0


@pytest.fixture
def client(holding: Installation) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{holding.gateway}/v1", api_key="sk-client", max_retries=0)


def said(body: bytes) -> str:
    values = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
    return "".join(c["delta"].get("content", "") for value in values for c in value.get("choices", []))


@pytest.mark.parametrize("door", ["swift", "careful"])
def test_a_harmless_answer_passes_byte_for_byte(holding: Installation, door: str) -> None:
    assert call(holding.gateway, body=chat("Hello"), chunked=door == "careful").body == CHAT_BYTES


def test_a_harmless_stream_passes_without_the_usage_it_did_not_ask_for(holding: Installation) -> None:
    reply = call(holding.gateway, body=chat(f"please-echo {SEA}", stream=True), x_user_id="harmless")
    assert said(reply.body) == f"please-echo {SEA}"
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert b'"total_tokens"' not in reply.body
    (record,) = holding.settled("harmless")
    assert (record["outcome"], record["total_tokens"]) == ("answered", 18)


def test_a_client_that_asks_for_its_usage_gets_it(holding: Installation, upstream: Upstream) -> None:
    body = chat("usage wanted", stream=True, stream_options={"include_usage": True})
    reply = call(holding.gateway, body=body)
    assert said(reply.body) == said(b"".join(STREAM))
    assert b'"total_tokens": 18' in reply.body
    assert upstream.bodies("usage wanted") == [body]


@pytest.mark.parametrize("split", ["", "please-split"])
def test_a_stream_is_cut_with_the_provider_s_error_and_leaks_no_more_than_the_budget(
    holding: Installation, split: str
) -> None:
    user = f"cut-{split or 'events'}"
    text = ASKED.format(before=f"{split} {SEA}", after=SEA)
    reply = call(holding.gateway, body=chat(text, stream=True), x_user_id=user)
    out = said(reply.body)
    assert reply.status == 200
    assert CANARY not in out
    assert text.startswith(out)
    assert len(out) > len(SEA) - 600
    error = json.loads(re.findall(rb"data: (\{\"error.*)\n", reply.body)[-1])["error"]
    assert (error["code"], error["threats"][0]["rule_id"]) == ("douane_denied", "canary.seen")
    assert reply.body.endswith(b"data: [DONE]\n\n")
    (record,) = holding.settled(user)
    assert (record["applied"], record["outcome"], record["http_status"]) == ("deny", "denied", 200)
    assert record["detail"]["reasons"][-1] == "Douane: answer refused: system_prompt_leak; 0 characters of it had left"


def test_the_sdk_raises_in_the_middle_of_a_stream(client: openai.OpenAI) -> None:
    text = ASKED.format(before=SEA, after=SEA)
    words: list[str] = []
    with client:
        chunks = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": text}], stream=True
        )
        with pytest.raises(openai.APIError) as raised:
            words.extend(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "answer refused: system_prompt_leak" in str(raised.value)
    assert len(words) > 10


@pytest.mark.parametrize("door", ["swift", "careful"])
def test_a_whole_answer_becomes_a_403(holding: Installation, door: str) -> None:
    text = ASKED.format(before="", after="")
    reply = call(holding.gateway, body=chat(text), chunked=door == "careful", x_user_id=f"whole-{door}")
    assert (reply.status, reply.error["code"]) == (403, "douane_denied")
    assert CANARY.encode() not in reply.body
    (record,) = holding.settled(f"whole-{door}")
    assert (record["applied"], record["outcome"], record["http_status"]) == ("deny", "denied", 403)


def test_the_sdk_raises_permission_denied(client: openai.OpenAI) -> None:
    text = ASKED.format(before="", after="")
    with client, pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])


def test_generate_is_refused_like_any_other(holding: Installation) -> None:
    body = chat(ASKED.format(before="", after="")).replace(b'"model": "gpt-4o"', b'"model_name": "gpt4"')
    reply = call(holding.gateway, "/generate", body)
    assert (reply.status, reply.error["code"]) == (403, "douane_denied")


def test_a_stream_that_was_asked_for_and_comes_whole_is_held_too(holding: Installation) -> None:
    """The scripted provider answers an error as one JSON object, whatever was asked."""
    reply = call(holding.gateway, body=chat("please-status-429", stream=True))
    assert (reply.status, reply.error["message"]) == (429, "slow down")


def test_a_secret_is_taken_out_of_a_held_stream(holding: Installation) -> None:
    token = "gh" + "p_" + "a8Fk2LmQ9xZt7Rw4Vb1Nc6YdE3uHj5Ks0PoG"
    text = f"please-echo please-join {token[:9]}~{token[9:]}\nbye"
    reply = call(holding.gateway, body=chat(text, stream=True))
    assert said(reply.body) == "please-echo please-join [REDACTED:secret_leak]\nbye"


def test_what_leaked_is_a_metric(holding: Installation) -> None:
    call(holding.gateway, body=chat(ASKED.format(before=SEA, after=SEA), stream=True))
    assert re.search(r'douane_stream_leaked_chars_bucket\{le="128.0"\} [1-9]', holding.metrics())
