"""The provider as an ASGI application: reads a request, keeps it, finds the format by its path, answers.

Bounds: a body is read whole; the parts of a stream are sent one by one, PAUSE_S apart, so that they travel apart.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from tests.support.llm_host import (
    anthropic,
    bedrock,
    cohere,
    gemini,
    ollama,
    openai_chat,
    openai_more,
    openai_responses,
)
from tests.support.llm_host.answer import Answer, Asked, Route, whole

PAUSE_S = 0.002
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

ROUTES: tuple[Route, ...] = (
    *openai_chat.ROUTES,
    *openai_responses.ROUTES,
    *openai_more.ROUTES,
    *anthropic.ROUTES,
    *gemini.ROUTES,
    *bedrock.ROUTES,
    *cohere.ROUTES,
    *ollama.ROUTES,
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived: version is 1.0, 1.1 or 2; headers in lower case."""

    method: str
    path: str
    version: str
    headers: dict[str, str]
    body: bytes


class Application:
    """Keeps every call it got, in order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        body = await _body(receive)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.calls.append(Call(scope["method"], scope["path"], scope["http_version"], headers, body))
        await _send(answer_to(scope["method"], scope["path"], scope["query_string"].decode(), body), send)


def answer_to(method: str, path: str, query: str, body: bytes) -> Answer:
    """Return the answer to a request."""
    for pattern, answered_by in ROUTES:
        if pattern.fullmatch(path):
            asked = Asked(path, dict(parse_qsl(query)), _json(body), body)
            return answered_by(asked)
    if method == "GET":
        return Answer((b"a page of no interest\n",), "text/plain")
    return whole({"error": {"message": f"no such path: {path}", "type": "invalid_request_error"}}, 404)


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}  # a file, or no body at all
    return found if isinstance(found, dict) else {}


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        name = (await receive())["type"]
        await send({"type": f"{name}.complete"})
        if name == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the client left
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(answer: Answer, send: Send) -> None:
    headers = {"content-type": answer.content_type, "x-request-id": "req_9a1", **answer.headers}
    if len(answer.parts) == 1:
        headers["content-length"] = str(len(answer.parts[0]))
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    for part in answer.parts[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(PAUSE_S)
    await send({"type": "http.response.body", "body": answer.parts[-1], "more_body": False})
