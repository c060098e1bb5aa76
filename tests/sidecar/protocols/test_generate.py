"""The mission's own call, read and translated."""

import json
from typing import Any

import pytest

from sidecar.protocols import generate, openai_chat
from sidecar.protocols.json_body import MalformedBody
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Usage

MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "Bonjour"}]}]
MODELS = {"gpt4": generate.Target("openai", "gpt-4o"), "llama3": generate.Target("openrouter", "meta/llama")}


def body(**fields: Any) -> bytes:
    return json.dumps({"model_name": "gpt4", "messages": MESSAGES, **fields}).encode()


@pytest.mark.parametrize(
    ("path", "matched"), [("/generate", True), ("/generate?x=1", True), ("/generate/", False), ("/v1/generate", False)]
)
def test_only_the_mission_s_path_matches(path: str, matched: bool) -> None:
    assert generate.matches(Head("POST", path)) is matched


def test_request_is_read_as_a_conversation() -> None:
    found = generate.read_request(body(user="ada"), Head())
    assert found == LlmMessage(
        protocol="generate",
        segments=(Segment("Bonjour", Surface.USER, 0, "/messages/0/content/0/text"),),
        model="gpt4",
        messages=1,
        user="ada",
    )


def test_a_model_beside_model_name_changes_nothing() -> None:
    assert generate.read_request(body(model="other"), Head()).model == "gpt4"
    assert json.loads(generate.translate_request(body(model="other"), MODELS["gpt4"]))["model"] == "gpt-4o"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[]", "the body is not a JSON object"),
        (b"{}", "'model_name' is missing or not a string"),
        (body(model_name=4), "'model_name' is missing or not a string"),
        (body(stream=True), "'stream' is not offered here; use /v1/chat/completions for streams"),
        (body(messages="hello"), "'messages' is not a list of objects"),
        (body(messages=["hello"]), "'messages' is not a list of objects"),
    ],
)
def test_body_that_is_not_the_mission_s_is_malformed(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        generate.read_request(data, Head())
    assert str(caught.value) == reason


def test_unknown_model_lists_the_known_ones() -> None:
    assert generate.target_of("llama3", MODELS) == generate.Target("openrouter", "meta/llama")
    with pytest.raises(generate.UnknownModel) as caught:
        generate.target_of("gpt5", MODELS)
    assert str(caught.value) == "unknown model_name; known: gpt4, llama3"


def test_request_is_translated_with_what_a_provider_knows() -> None:
    passed = {"temperature": 0.2, "top_p": 1, "max_tokens": 5, "stop": ["x"], "seed": 1, "tools": [], "user": "ada"}
    assert json.loads(generate.translate_request(body(**passed, stream=False, extra="x"), MODELS["llama3"])) == {
        "model": "meta/llama",
        "messages": MESSAGES,
        **passed,
    }


def test_reply_is_translated() -> None:
    reply = LlmReply(
        (
            Segment("thinking", Surface.REASONING, 0),
            Segment("Bon", Surface.OUTPUT, 0),
            Segment("jour", Surface.OUTPUT, 1),
        ),
        "gpt-4o-2024",
        "stop",
        Usage(1, 2, None, None, 3),
    )
    assert json.loads(generate.translate_reply(reply, 1.23456, "d-1")) == {
        "result": "Bonjour",
        "latency": 1.2346,
        "model": "gpt-4o-2024",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "decision_id": "d-1",
    }


def test_reply_without_usage_says_so() -> None:
    found = json.loads(generate.translate_reply(LlmReply(), 0.0, "d-1"))
    assert found["usage"] == {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}


def test_answer_is_read_in_the_provider_s_format() -> None:
    assert (generate.read_reply, generate.read_event) == (openai_chat.read_reply, openai_chat.read_event)
