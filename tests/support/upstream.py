"""A scripted provider that writes down every byte it receives, as it receives it.

It speaks HTTP/1.1 on raw sockets, so that a request head that arrives before its body, or a connection cut in the middle, is seen.
What it answers is chosen by words in the request body or path; see _answer.
"""

import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support import codings

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-11-20",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello — you."}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}
CHAT_BYTES = json.dumps(CHAT, ensure_ascii=False).encode()


def stream_events(words: list[str], *, usage: bool = True) -> list[bytes]:
    """Return the SSE events of a streamed answer, as bytes."""
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-11-20"}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in words
    ]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage:
        chunks.append({**head, "choices": [], "usage": CHAT["usage"]})
    return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]


STREAM = stream_events(["Hel", "lo ", "— ", "you."])


@dataclass
class Received:
    """One request as it came over the wire; complete turns True with the body's last byte."""

    head: bytes = b""
    body: bytes = b""
    complete: bool = False

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
        }


@dataclass
class Upstream:
    """The provider. received holds every request whose first byte arrived, in order."""

    received: list[Received] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    tls: ssl.SSLContext | None = None
    address: tuple[str, int] = ("127.0.0.1", 0)

    def __post_init__(self) -> None:
        upstream = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                tls = upstream.tls
                with tls.wrap_socket(self.request, server_side=True) if tls else self.request as connection:
                    upstream._serve(connection)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 512
            address_family = socket.AF_INET6 if ":" in upstream.address[0] else socket.AF_INET

            def handle_error(self, request: Any, client_address: Any) -> None:
                del request, client_address  # a proxy that leaves is part of the tests

        self._server = Server(self.address, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https://localhost' if self.tls else 'http://127.0.0.1'}:{self.port}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def bodies(self, marker: str) -> list[bytes]:
        """Return the bodies of complete requests that hold a marker."""
        return [r.body for r in list(self.received) if r.complete and marker.encode() in r.body]

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest = b""
        while True:
            request = Received()
            while b"\r\n\r\n" not in rest:
                more = connection.recv(65536)
                if not more:
                    return
                if not rest:
                    self.received.append(request)
                rest += more
            if request not in self.received:
                self.received.append(request)
            request.head, _, rest = rest.partition(b"\r\n\r\n")
            length = int(request.headers.get("content-length", "0"))
            while len(rest) < length:
                more = connection.recv(65536)
                if not more:
                    request.body = rest
                    return
                rest += more
            request.body, rest = rest[:length], rest[length:]
            request.complete = True
            self._answer(connection, request)

    def _answer(self, connection: socket.socket, request: Received) -> None:
        body = request.body
        if b"please-status-429" in body:
            _whole(connection, 429, b'{"error": {"message": "slow down", "type": "rate_limit", "code": null}}')
        elif b"please-wait" in body:
            self.release.wait(30)
            _whole(connection, 200, CHAT_BYTES)
        elif b"please-hang-stream" in body:
            parts = list(codings.flushed(STREAM, coding)) if (coding := codings.asked(body)) else STREAM
            _chunked(connection, parts[:2], end=False, said=_said(coding))
            self.release.wait(30)
        elif b"please-die-stream" in body:
            _chunked(connection, STREAM[:2], end=False)
            connection.shutdown(socket.SHUT_RDWR)
        elif b"please-die" in body:
            connection.shutdown(socket.SHUT_RDWR)
        elif b"please-204" in body:
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif b"please-echo" in body:
            _echo(connection, json.loads(body), codings.asked(body))
        elif b'"stream":true' in body.replace(b" ", b""):
            _chunked(connection, _resplit(b"".join(STREAM), body), end=True, coding=codings.asked(body))
        elif b"please-cut" in body:
            _whole(connection, 200, codings.WHOLE["gzip"](CHAT_BYTES)[:-60], said=_said("gzip"))
        else:
            _whole(connection, 200, CHAT_BYTES, codings.asked(body))


def _resplit(data: bytes, body: bytes) -> list[bytes]:
    """Cut a stream elsewhere than at its events when the request asks for it."""
    if b"please-split-bytes" not in body:
        return STREAM
    return [data[i : i + 7] for i in range(0, len(data), 7)]


def _echo(connection: socket.socket, asked: dict[str, Any], coding: str) -> None:
    """Say the last message's text again; streamed in pieces of three characters."""
    content = asked["messages"][-1]["content"]
    said = content if isinstance(content, str) else "".join(part["text"] for part in content)
    said = said.replace("~", "") if "please-join" in said else said
    if asked.get("stream"):
        events = stream_events([said[i : i + 3] for i in range(0, len(said), 3)])
        data = b"".join(events)
        split = [data[i : i + 50] for i in range(0, len(data), 50)]
        _chunked(connection, split if "please-split" in said else events, end=True, coding=coding)
        return
    message = {"role": "assistant", "content": said}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    _whole(connection, 200, json.dumps({**CHAT, "choices": choices}).encode(), coding)


def _said(coding: str) -> str:
    return f"content-encoding: {coding}\r\nvary: accept-encoding\r\n" if coding else ""


def _whole(connection: socket.socket, status: int, body: bytes, coding: str = "", said: str = "") -> None:
    body, said = (codings.WHOLE[coding](body), _said(coding)) if coding else (body, said)
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{said}content-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def _chunked(connection: socket.socket, parts: Iterable[bytes], *, end: bool, coding: str = "", said: str = "") -> None:
    parts, said = (codings.flushed(parts, coding), _said(coding)) if coding else (parts, said)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{said}transfer-encoding: chunked\r\n\r\n"
    connection.sendall(head.encode())
    for part in parts:
        connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        time.sleep(0.002)
    if end:
        connection.sendall(b"0\r\n\r\n")
