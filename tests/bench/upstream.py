"""The provider that everything is measured against: as fast as Python can be, so that it is not what is measured.

    python -m tests.bench.upstream --port N [--chunks N] [--gap-ms X] [--certificate PEM]

It answers every POST with one fixed chat completion, or, when the request accepts text/event-stream, with a stream of chunks
at a fixed gap, the first at once. Each chunk carries the moment it was sent (CLOCK_MONOTONIC in nanoseconds, as its id), so that
a client on the same machine can tell how long it travelled. Requests are counted by content-length; their bodies are not kept.
"""

import argparse
import asyncio
import json
import re
import ssl
import time
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TEXT = (
    "A three-day trip works well: take the early train, walk along the coast, and keep the last day for the market. "
)
_USAGE = {
    "prompt_tokens": 212,
    "completion_tokens": 131,
    "total_tokens": 343,
    "prompt_tokens_details": {"cached_tokens": 0},
}
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-11-20",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT * 5}, "finish_reason": "stop"}],
        "usage": _USAGE,
    }
).encode()
_WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT = (
    b'data: {"id":"%d","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-11-20",'
    b'"choices":[{"index":0,"delta":{"content":" coast"},"finish_reason":null}]}\n\n'
)
_LAST = (
    b'data: {"id":"0","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-11-20","choices":[],"usage":%b}\n\n'
    b"data: [DONE]\n\n"
) % json.dumps(_USAGE).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Provider(asyncio.Protocol):
    """One connection. Requests come one after the other; pipelining is not for us."""

    chunks = 100
    gap_s = 0.02

    def __init__(self) -> None:
        self._head = b""
        self._missing = 0
        self._streamed = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are not asyncio's by type

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            length = _LENGTH.search(head)
            if length is None:
                self._transport.write(b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\n\r\n")
                self._transport.close()
                return
            self._head, self._missing = b"", int(length[1]) - len(body)
            self._streamed = b"text/event-stream" in head
        if not self._missing:
            self._answer()

    def _answer(self) -> None:
        if not self._streamed:
            self._transport.write(_WHOLE)
            return
        self._transport.write(_HEAD)
        self._next(asyncio.get_running_loop().time(), 0)

    def _next(self, begun: float, sent: int) -> None:
        """Send one event; the times of all of them hang on the first, so that delays do not add up."""
        if self._transport.is_closing():
            return
        if sent == self.chunks:
            self._transport.write(_chunk(_LAST) + b"0\r\n\r\n")
            return
        self._transport.write(_chunk(_EVENT % time.monotonic_ns()))
        asyncio.get_running_loop().call_at(begun + (sent + 1) * self.gap_s, self._next, begun, sent + 1)


async def _serve(port: int, certificate: str) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=4096, ssl=context)
    await server.serve_forever()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description="The benchmark's provider.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--chunks", type=int, default=Provider.chunks)
    parser.add_argument("--gap-ms", type=float, default=Provider.gap_s * 1000)
    parser.add_argument("--certificate", default="", help="PEM file with key and chain: serve TLS")
    options = parser.parse_args()
    Provider.chunks, Provider.gap_s = options.chunks, options.gap_ms / 1000
    uvloop.run(_serve(options.port, options.certificate))


if __name__ == "__main__":
    main()
