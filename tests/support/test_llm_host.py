"""The provider of the client matrix: HTTP versions, framing that botocore accepts, tool calls and thoughts as SDKs read them."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import boto3
import ollama
import openai
import pytest
from botocore.eventstream import EventStreamBuffer
from google import genai
from google.genai import types

from tests.support.llm_host import LlmHost
from tests.support.llm_host.application import ROUTES, answer_to
from tests.support.llm_host.event_stream import event
from tests.support.llm_host.script import ARGUMENTS, THOUGHT

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
FUNCTION = {"name": "weather", "description": "tells the weather", "parameters": SCHEMA}
ASKED: Any = [{"role": "user", "content": "please-think and please-call"}]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmHost]:
    provider = LlmHost(Path(tmp_path_factory.mktemp("h")))
    yield provider
    provider.close()


@pytest.mark.server
@pytest.mark.parametrize(("option", "version"), [("--http1.1", "1.1"), ("--http2", "2")])
@pytest.mark.parametrize("name", ["localhost", "api.openai.com", "corp.openai.azure.com", "files.example.com"])
def test_names_and_versions(host: LlmHost, name: str, option: str, version: str) -> None:
    address = f"{name}:{host.tls_port}"
    command = ["curl", "-sS", option, "--cacert", str(host.authority), "--resolve", f"{address}:127.0.0.1"]
    done = subprocess.run([*command, f"https://{address}/{name}"], capture_output=True, check=True)
    assert done.stdout == b"a page of no interest\n"
    call = next(call for call in reversed(host.calls) if call.path == f"/{name}")
    assert (call.method, call.version) == ("GET", version)


def test_frames_are_whole_and_their_checksums_hold() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(event("messageStop", b'{"stopReason":"end_turn"}') + event("metadata", b"{}"))
    found = [(message.headers[":event-type"], message.payload) for message in buffer]
    assert found == [("messageStop", b'{"stopReason":"end_turn"}'), ("metadata", b"{}")]


def test_one_path_has_one_format() -> None:
    assert len({pattern.pattern for pattern, _ in ROUTES}) == len(ROUTES)


def test_given_words_are_said_and_an_unknown_path_is_an_error() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "please-echo a b  c"}]}).encode()
    said = json.loads(answer_to("POST", "/v1/chat/completions", "", body).parts[0])
    assert said["choices"][0]["message"]["content"] == "a b  c"
    assert answer_to("POST", "/v1/nothing", "", body).status == 404


@pytest.mark.server
def test_openai_reads_a_tool_call(host: LlmHost) -> None:
    with openai.OpenAI(base_url=f"{host.plain_url}/v1", api_key="key", max_retries=0) as client:
        tools: Any = [{"type": "function", "function": FUNCTION}]
        with client.chat.completions.stream(model="gpt-4o", messages=ASKED, tools=tools) as stream:
            calls = stream.get_final_completion().choices[0].message.tool_calls or []
        assert [json.loads(call.function.arguments) for call in calls] == [ARGUMENTS]
        flat: Any = [{"type": "function", "strict": False, **FUNCTION}]
        with client.responses.stream(model="gpt-4o", input=ASKED, tools=flat) as responses:
            thought, call = responses.get_final_response().output
    assert thought.type == "reasoning"
    assert thought.summary[0].text == "".join(THOUGHT)
    assert call.type == "function_call"
    assert json.loads(call.arguments) == ARGUMENTS


@pytest.mark.server
def test_anthropic_reads_a_tool_call(host: LlmHost) -> None:
    tools: Any = [{"name": "weather", "input_schema": SCHEMA}]
    with (
        anthropic.Anthropic(base_url=host.plain_url, api_key="key", max_retries=0) as client,
        client.messages.stream(model="claude-local", max_tokens=9, messages=ASKED, tools=tools) as stream,
    ):
        thought, call = stream.get_final_message().content
    assert thought.type == "thinking"
    assert thought.thinking == "".join(THOUGHT)
    assert call.type == "tool_use"
    assert call.input == ARGUMENTS


@pytest.mark.server
def test_gemini_reads_a_tool_call(host: LlmHost) -> None:
    declared = types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    with genai.Client(api_key="key", http_options=types.HttpOptions(base_url=host.plain_url)) as client:
        chunks = list(
            client.models.generate_content_stream(model="gemini-2.5-flash", contents=ASKED[0]["content"], config=config)
        )
    calls = [call for chunk in chunks for call in chunk.function_calls or ()]
    assert [(call.name, call.args) for call in calls] == [("weather", ARGUMENTS)]


@pytest.mark.server
def test_bedrock_reads_a_tool_call(host: LlmHost) -> None:
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=host.plain_url,
        region_name="us-east-1",
        aws_access_key_id="AKIA",
        aws_secret_access_key="none",
    )
    answer = client.converse_stream(
        modelId="anthropic.claude-v2",
        messages=[{"role": "user", "content": [{"text": ASKED[0]["content"]}]}],
        toolConfig={"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]},
    )
    deltas = [event["contentBlockDelta"]["delta"] for event in answer["stream"] if "contentBlockDelta" in event]
    client.close()
    assert json.loads("".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)) == ARGUMENTS
    assert "".join(delta["reasoningContent"]["text"] for delta in deltas if "reasoningContent" in delta) == "".join(
        THOUGHT
    )


@pytest.mark.server
def test_ollama_reads_a_tool_call(host: LlmHost) -> None:
    with ollama.Client(host.plain_url) as client:
        tools: Any = [{"type": "function", "function": FUNCTION}]
        chunks = list(client.chat(model="llama3.2", messages=ASKED, tools=tools, stream=True))
    calls = [call for chunk in chunks for call in chunk.message.tool_calls or ()]
    assert [(call.function.name, call.function.arguments) for call in calls] == [("weather", ARGUMENTS)]
    assert "".join(chunk.message.thinking or "" for chunk in chunks) == "".join(THOUGHT)
