"""boto3's bedrock-runtime: Converse and InvokeModel."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from rows import Row, print_rows, try_sdk

MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"


def converse(client: Any, text: str) -> str:
    answer = client.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": text}]}])
    return "".join(block["text"] for block in answer["output"]["message"]["content"])


def converse_stream(client: Any, text: str) -> str:
    answer = client.converse_stream(modelId=MODEL, messages=[{"role": "user", "content": [{"text": text}]}])
    deltas = (event.get("contentBlockDelta", {}).get("delta", {}) for event in answer["stream"])
    return "".join(delta.get("text", "") for delta in deltas)


def _body(text: str) -> str:
    asked = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100}
    return json.dumps({**asked, "messages": [{"role": "user", "content": text}]})


def invoke(client: Any, text: str) -> str:
    answer = json.loads(client.invoke_model(modelId=MODEL, body=_body(text))["body"].read())
    return "".join(block["text"] for block in answer["content"])


def invoke_stream(client: Any, text: str) -> str:
    answer = client.invoke_model_with_response_stream(modelId=MODEL, body=_body(text))
    events = (json.loads(event["chunk"]["bytes"]) for event in answer["body"])
    return "".join(event.get("delta", {}).get("text", "") for event in events)


def rows() -> Iterator[Row]:
    client = boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))
    yield from try_sdk("bedrock_converse", lambda t: converse(client, t), lambda t: converse_stream(client, t))
    yield from try_sdk("bedrock_invoke", lambda t: invoke(client, t), lambda t: invoke_stream(client, t))
    client.close()


print_rows(rows())
