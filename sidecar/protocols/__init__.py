"""The readers of providers' wire formats.

In: bodies. Out: LlmMessage and LlmReply. Each module has NAME, matches(head), read_request(data, head), read_response(data) where
an answer may come whole, and reader() for an answer that comes in pieces. A new protocol is a new file and a line in PROTOCOLS.
"""

from typing import Protocol

from sidecar.protocols import generate, opaque, openai_chat, websocket
from sidecar.types import Head, LlmMessage, LlmReply


class ReplyReader(Protocol):
    """Reads one answer piece by piece. complete is True once the bytes fed so far end it."""

    complete: bool

    def feed(self, chunk: bytes) -> None: ...

    def finish(self) -> LlmReply: ...


class WireFormat(Protocol):
    """What a protocol module offers."""

    NAME: str

    def matches(self, head: Head) -> bool: ...

    def read_request(self, data: bytes, head: Head) -> LlmMessage: ...

    def reader(self) -> ReplyReader: ...


# First match wins: an Upgrade whatever its path, opaque whatever is left.
PROTOCOLS: tuple[WireFormat, ...] = (websocket, generate, openai_chat, opaque)


def protocol_for(head: Head) -> WireFormat:
    """Return the first protocol that reads calls to this path."""
    return next(protocol for protocol in PROTOCOLS if protocol.matches(head))
