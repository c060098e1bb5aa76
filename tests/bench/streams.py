"""Streamed answers: many streams at once, on raw sockets.

In: a Contender. Out: time to the first event, each event's way from the provider to here, the whole time, CPU per chunk.
The clients begin one after the other over a second, then all of them stream at the same time; each asks twice. The provider
writes the moment of sending into every event (see upstream): an event's delay is its way through gateway and processor.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop

from tests.bench.bodies import KIB, pool, stamped
from tests.bench.contenders import PATH, Contender
from tests.bench.sums import percentile

_SENT_AT = re.compile(rb'"id":"(\d{9,})"')
_END = b"data: [DONE]"
_TURNS = 2
_SPREAD_S = 1.0


@dataclass(frozen=True)
class StreamSample:
    """One round of streams with one contender. Units: microseconds; cpu_us is per chunk of the answers."""

    contender: str
    round: int
    streams: int
    chunks: int
    first_us: list[float]
    total_us: float
    delay_p50_us: float
    delay_p99_us: float
    cpu_us: dict[str, float]


@dataclass
class _Seen:
    first_us: list[float] = field(default_factory=list)
    total_us: list[float] = field(default_factory=list)
    delays_us: list[float] = field(default_factory=list)


class _Client(asyncio.Protocol):
    """One connection; ask() returns when the answer has ended."""

    def __init__(self, seen: _Seen) -> None:
        self._seen = seen
        self._asked_ns = 0
        self._first = True
        self._rest = b""
        self._done: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports are not asyncio's by type

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(RuntimeError(f"the gateway closed a stream: {exc}"))

    def ask(self, request: bytes) -> "asyncio.Future[None]":
        self._done = asyncio.get_running_loop().create_future()
        self._first, self._rest, self._asked_ns = True, b"", time.monotonic_ns()
        self.transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        text, _, self._rest = (self._rest + data).rpartition(b"\n")  # an event may come in pieces
        sent = _SENT_AT.findall(text)
        if sent and self._first:
            self._first = False
            self._seen.first_us.append((now_ns - self._asked_ns) / 1000)
        self._seen.delays_us.extend((now_ns - int(at)) / 1000 for at in sent)
        if _END in text and self._done is not None:
            self._seen.total_us.append((now_ns - self._asked_ns) / 1000)
            # The end of the chunked body may follow in a packet of its own; the next request waits a little for it.
            asyncio.get_running_loop().call_later(0.05, self._done.set_result, None)


def _request(body: bytes) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\naccept: text/event-stream\r\n"
    return f"{head}x-user-id: streamer\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def _one(port: int, wait_s: float, requests: Sequence[bytes], seen: _Seen) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(wait_s)
    _, client = await loop.create_connection(lambda: _Client(seen), "127.0.0.1", port)
    try:
        for request in requests:
            await client.ask(request)
    finally:
        client.transport.close()


async def _all(port: int, streams: int, bodies: Sequence[bytes], serial: int) -> _Seen:
    seen = _Seen()
    clients = []
    for number in range(streams):
        own = [_request(stamped(bodies[number], serial + number * _TURNS + turn)) for turn in range(_TURNS)]
        clients.append(_one(port, number * _SPREAD_S / streams, own, seen))
    async with asyncio.timeout(120):
        await asyncio.gather(*clients)
    return seen


def run(contender: Contender, streams: int, chunks: int, serial: int, number: int = 0) -> StreamSample:
    """Return one round of streams.

    Raises: RuntimeError when an answer came short.
    """
    bodies = pool(1 * KIB, streams, stream=True)
    before = contender.cpu_s()
    seen = uvloop.run(_all(contender.port, streams, bodies, serial))
    contender.settle()
    after = contender.cpu_s()
    total = streams * _TURNS * chunks
    if len(seen.delays_us) != total:
        raise RuntimeError(f"({contender.name}) {len(seen.delays_us)} of {total} chunks arrived")
    return StreamSample(
        contender=contender.name,
        round=number,
        streams=streams,
        chunks=chunks,
        first_us=seen.first_us,
        total_us=percentile(seen.total_us, 50),
        delay_p50_us=percentile(seen.delays_us, 50),
        delay_p99_us=percentile(seen.delays_us, 99),
        cpu_us={role: (after[role] - before[role]) / total * 1e6 for role in before},
    )
