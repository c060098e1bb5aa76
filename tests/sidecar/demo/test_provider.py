"""The stand-in provider over real HTTP."""

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sidecar.demo.provider import build_provider
from sidecar.protocols import openai_chat
from sidecar.protocols.reading import Reader
from sidecar.types import LlmReply, Usage
from tests.sidecar.values import chat

pytestmark = pytest.mark.server

TEXT = (
    "This is Douane's stand-in provider, not a model. It read 1 message(s); "
    "the last one from the user has 2 word(s). Set OPENAI_API_KEY to talk to a real one."
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with build_provider(0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def call(port: int, data: bytes | None, path: str = "/v1/chat/completions") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET" if data is None else "POST", path, data)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()
    finally:
        connection.close()


def read(data: bytes) -> LlmReply:
    reader = Reader(openai_chat)
    reader.feed(data)
    assert reader.complete is True
    return reader.finish()


def test_whole_answer_is_a_chat_completion(port: int) -> None:
    status, kind, data = call(port, chat("hello there"))
    assert (status, kind) == (200, "application/json")
    reply = read(data)
    assert ("".join(s.text for s in reply.segments), reply.model, reply.finish_reason) == (TEXT, "gpt-4o", "stop")
    assert reply.usage == Usage(2, len(TEXT) // 4, 0, 0, 2 + len(TEXT) // 4)


def test_answers_are_deterministic(port: int) -> None:
    assert call(port, chat("hello")) == call(port, chat("hello")) != call(port, chat("hello again"))


@pytest.mark.parametrize("usage", [True, False])
def test_streamed_answer_is_the_same_with_usage_when_asked(port: int, usage: bool) -> None:
    status, kind, data = call(port, chat("hello there", stream=True, stream_options={"include_usage": usage}))
    assert (status, kind) == (200, "text/event-stream")
    reply = read(data)
    assert "".join(s.text for s in reply.segments) == TEXT
    assert (reply.usage is not None, reply.finish_reason) == (usage, "stop")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b'"x"', b'{"messages": 7}', b'{"messages": ["x"]}', b"[" * 100_000]
    + [json.dumps({"stream": True, "messages": messages}).encode() for messages in (None, 7, ["x"])]
    + [b'{"stream": true}'],
)
def test_body_that_cannot_be_read_is_a_400_in_openai_s_format(port: int, data: bytes) -> None:
    status, kind, body = call(port, data)
    found: dict[str, Any] = json.loads(body)
    assert (status, kind, list(found), found["error"]["type"]) == (
        400,
        "application/json",
        ["error"],
        "invalid_request_error",
    )


def test_other_paths(port: int) -> None:
    status, _, data = call(port, None, "/v1/models")
    assert (status, [model["id"] for model in json.loads(data)["data"]]) == (
        200,
        ["gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo"],
    )
    assert (call(port, None, "/v1/x")[0], call(port, b"{}", "/v1/embeddings")[0]) == (404, 404)


def test_taken_port_is_an_error(port: int) -> None:
    with pytest.raises(OSError, match="in use"):
        build_provider(port)
