"""Leaks through a real Envoy: the provider sees stand-ins, the client its own words, and the record what was done."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.support.calls import call, chat
from tests.support.installation import Installation, eventually
from tests.support.upstream import Upstream

pytestmark = pytest.mark.server

# Assembled, so that scanners of this repository stay quiet.
KEY = "sk-" + "proj-" + "a8Fk2LmQ9xZt7Rw4Vb1Nc6Yd"
TOKEN = "gh" + "p_" + "a8Fk2LmQ9xZt7Rw4Vb1Nc6YdE3uHj5Ks0PoG"
CARD = "4539 5787 " + "6362 1486"  # valid by Luhn, of nobody
PERSONAL = f"please-echo personal: write to ada.byron@lovelace.fr, the card is {CARD}"
ASKED = f"please-echo: my key is {KEY} — use it twice: {KEY}"


@pytest.fixture(scope="module")
def pseudonymising(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Installation]:
    policy = "leaks: {secret_leak: pseudonymise, pii_leak: redact}\ncontent_capture: full\noutput_leaks: {secret_leak: redact}\n"
    folder = Path(tmp_path_factory.mktemp("d")) / "data"
    installation = Installation(folder, policy=policy, DOUANE_UPSTREAMS=f"openai={upstream.url}").wait()
    yield installation
    assert installation.stop() == 0


@pytest.fixture(scope="module")
def personal(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Installation]:
    folder = Path(tmp_path_factory.mktemp("d")) / "data"
    policy = "leaks: {pii_leak: pseudonymise}\ncontent_capture: full\n"
    installation = Installation(folder, policy=policy, DOUANE_UPSTREAMS=f"openai={upstream.url}").wait()
    yield installation
    assert installation.stop() == 0


@pytest.fixture
def client(pseudonymising: Installation) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{pseudonymising.gateway}/v1", api_key="sk-client", max_retries=0)


def test_the_provider_sees_a_pseudonym_and_the_client_its_key(
    client: openai.OpenAI, pseudonymising: Installation, upstream: Upstream
) -> None:
    with client:
        answer = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": ASKED}], extra_headers={"x-user-id": "plain"}
        )
    assert answer.choices[0].message.content == ASKED
    (body,) = upstream.bodies("use it twice")
    assert KEY.encode() not in body
    assert body.count(b"<secret-openai-key-") == 2
    received = next(r for r in upstream.received if r.body == body)
    assert received.headers["content-length"] == str(len(body))
    (record,) = pseudonymising.settled("plain")
    assert (record["applied"], record["would_be"], record["outcome"]) == ("redact", "redact", "answered")
    assert "2 secret_leak pseudonymised" in record["detail"]["reasons"]


def test_a_stream_gets_its_originals_back_over_split_pseudonyms(
    client: openai.OpenAI, pseudonymising: Installation
) -> None:
    with (
        client,
        client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": ASKED}],
            stream=True,
            extra_headers={"x-user-id": "streamed"},
        ) as stream,
    ):
        words = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert "".join(words) == ASKED
    assert len(words) > 15
    (record,) = pseudonymising.settled("streamed")
    assert (record["applied"], record["stream"]) == ("redact", True)
    assert record["total_tokens"] == 18


@pytest.mark.parametrize("door", ["swift", "careful"])
def test_both_routes_carry_the_changed_bodies(pseudonymising: Installation, upstream: Upstream, door: str) -> None:
    body = chat(f"please-echo {door} {TOKEN}")
    reply = call(pseudonymising.gateway, body=body, chunked=door == "careful", x_user_id=door)
    assert reply.json["choices"][0]["message"]["content"] == f"please-echo {door} {TOKEN}"
    (seen,) = upstream.bodies(f"please-echo {door}")
    assert TOKEN.encode() not in seen
    assert pseudonymising.settled(door)[0]["applied"] == "redact"


def test_events_split_anywhere_are_put_together(pseudonymising: Installation) -> None:
    reply = call(pseudonymising.gateway, body=chat(f"please-echo please-split {TOKEN}", stream=True))
    lines = [line[6:] for line in reply.body.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == f"please-echo please-split {TOKEN}"
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_a_secret_that_the_provider_says_is_taken_out(pseudonymising: Installation) -> None:
    """It stands in the question in a way that only the answer shows: cut in two, which the scripted provider joins."""
    halves = chat(f"please-echo please-join {TOKEN[:9]}~{TOKEN[9:]}\\nbye", stream=True)
    reply = call(pseudonymising.gateway, body=halves, x_user_id="taken-out")
    lines = [line[6:] for line in reply.body.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    said = "".join(delta.get("content", "") for delta in deltas)
    assert said == "please-echo please-join [REDACTED:secret_leak]\\nbye"
    (record,) = pseudonymising.settled("taken-out")
    assert record["applied"] == "redact"


def test_generate_gets_its_originals_back(pseudonymising: Installation, upstream: Upstream) -> None:
    text = f"please-echo generate {TOKEN}"
    body = chat(text).replace(b'"model": "gpt-4o"', b'"model_name": "gpt4"')
    reply = call(pseudonymising.gateway, "/generate", body)
    assert reply.json["result"] == text
    (seen,) = upstream.bodies("please-echo generate")
    assert TOKEN.encode() not in seen


def test_what_cannot_be_edited_is_refused(pseudonymising: Installation, upstream: Upstream) -> None:
    reply = call(pseudonymising.gateway, "/v1/files", f"unedited {TOKEN}".encode(), content_type="text/plain")
    assert (reply.status, reply.error["code"]) == (422, "douane_not_editable")
    assert upstream.bodies("unedited") == []


def test_observe_mode_leaves_the_body_and_says_what_it_would_have_done(
    observing: Installation, upstream: Upstream
) -> None:
    policy = observing.data / "policy.yaml"
    before = policy.read_text()
    policy.write_text(f"{before}\nleaks: {{secret_leak: redact}}\n")
    try:
        eventually(lambda: watched(observing) == "redact", 10, 0.5)
        body = chat(f"left alone {TOKEN}")
        assert call(observing.gateway, body=body, x_user_id="observed").status == 200
        assert upstream.bodies("left alone") == [body]
        (record,) = observing.settled("observed")
        assert (record["applied"], record["would_be"]) == ("allow", "redact")
    finally:
        policy.write_text(before)


def watched(installation: Installation) -> str:
    """Return what enforce mode would have done to a leak just now."""
    user = f"watched-{time.monotonic_ns()}"
    call(installation.gateway, body=chat(TOKEN), x_user_id=user)
    found: str = installation.settled(user)[0]["would_be"]
    return found


def test_personal_data_is_kept_from_the_provider_whole_and_streamed(personal: Installation, upstream: Upstream) -> None:
    """An address comes back as it was; so does a card number, which the provider never sees."""
    sdk = openai.OpenAI(base_url=f"{personal.gateway}/v1", api_key="sk-client", max_retries=0)
    messages: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": PERSONAL}]
    with sdk:
        whole = sdk.chat.completions.create(model="gpt-4o", messages=messages, extra_headers={"x-user-id": "personal"})
        with sdk.chat.completions.create(
            model="gpt-4o", messages=messages, stream=True, extra_headers={"x-user-id": "personal"}
        ) as stream:
            words = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert whole.choices[0].message.content == PERSONAL
    assert "".join(words) == PERSONAL
    first, second = upstream.bodies("please-echo personal")
    for body in (first, second):
        assert b"lovelace" not in body
        assert CARD.encode() not in body
        assert b"@redacted.invalid" in body
        assert b"<pii-payment-card-" in body
    assert first[first.index(b"person-") :][:30] == second[second.index(b"person-") :][:30]
    for record in personal.settled("personal", 2):
        assert record["applied"] == "redact"
        assert "2 pii_leak pseudonymised" in record["detail"]["reasons"]
        assert "lovelace" not in json.dumps(record)
