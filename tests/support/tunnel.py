"""CONNECT over HTTP/2 (RFC 9113, 8.5): a stream of one connection carries TLS, and HTTP/1.1 inside it."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h2.connection
import h2.events

_STREAM = 1


@dataclass
class Tunnel:
    """Bytes through one stream of HTTP/2."""

    connection: socket.socket
    http2: h2.connection.H2Connection = field(default_factory=h2.connection.H2Connection)
    status: str = ""
    received: bytes = b""
    ended: bool = False
    incoming: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    outgoing: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    tls: ssl.SSLObject | None = None

    def open(self, host: str, trust: Path) -> None:
        """Ask for the tunnel and shake hands in it."""
        self.http2.initiate_connection()
        self.http2.send_headers(_STREAM, [(":method", "CONNECT"), (":authority", host)])
        while not self.status:
            self._turn()
        assert self.status == "200", self.status
        context = ssl.create_default_context(cafile=str(trust))
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host.partition(":")[0])
        self._until_done(self.tls.do_handshake)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Send a request; return status and body of the answer, which is chunked or has a length."""
        assert self.tls is not None
        lines = {
            "host": "api.openai.com",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.tls.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = b""
        while not _whole(answer):
            answer += bytes(self._until_done(lambda: self.tls.read(65536)) or b"")  # type: ignore[union-attr]
        top, _, rest = answer.partition(b"\r\n\r\n")
        return int(top.split(b" ")[1]), _joined(rest) if b"chunked" in top.lower() else rest

    def _until_done(self, step: "object") -> "bytes | None":
        while True:
            try:
                return step()  # type: ignore[operator, no-any-return]
            except ssl.SSLWantReadError:
                self._turn()

    def _turn(self) -> None:
        """Send what is to be sent, and take in what came."""
        if self.outgoing.pending:
            self.http2.send_data(_STREAM, self.outgoing.read())
        self.connection.sendall(self.http2.data_to_send())
        data = self.connection.recv(65536)
        assert data, "the proxy has closed"
        for event in self.http2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.status = dict(event.headers)[b":status"].decode()
            elif isinstance(event, h2.events.DataReceived):
                self.incoming.write(event.data)
                self.http2.acknowledge_received_data(event.flow_controlled_length, _STREAM)
            assert not isinstance(event, h2.events.StreamReset), "the tunnel was reset"
        self.connection.sendall(self.http2.data_to_send())


def _whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return len(body) >= int(lengths[0]) if lengths else body.endswith(b"0\r\n\r\n")


def _joined(chunks: bytes) -> bytes:
    found = b""
    while True:
        size, _, rest = chunks.partition(b"\r\n")
        if not int(size, 16):
            return found
        found, chunks = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]


@contextmanager
def through_http2(proxy: tuple[str, int], host: str, trust: Path) -> Iterator[Tunnel]:
    """Open a tunnel."""
    with socket.create_connection(proxy, 15) as connection:
        tunnel = Tunnel(connection)
        tunnel.open(host, trust)
        yield tunnel
