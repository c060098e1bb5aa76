"""A connection that became a WebSocket (the Realtime APIs): its frames are counted and not read.

In: a request with an Upgrade header, which Envoy shows the sidecar for WebSockets only. Out: LlmMessage, LlmReply without text.
Whether such a connection may begin is the policy's `websocket`.
Source: RFC 6455, RFC 8441 (Envoy shows an extended CONNECT of HTTP/2 as the same Upgrade).
"""

from sidecar.types import Head, LlmMessage, LlmReply, Unscanned, UnscannedReason

NAME = "websocket"


def matches(head: Head) -> bool:
    """Return True for the request that asks for a WebSocket."""
    return "upgrade" in head.headers


def read_request(data: bytes, head: Head) -> LlmMessage:  # noqa: ARG001 - the shape of every protocol's read_request
    """Return a message without text; how many bytes will follow is not known yet."""
    return LlmMessage(NAME, (), stream=True, unscanned=(Unscanned(UnscannedReason.UPGRADE, len(data)),))


class Reader:
    """Counts what the provider sends."""

    __slots__ = ("_seen", "complete")

    def __init__(self) -> None:
        self._seen = 0
        self.complete = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._seen += len(chunk)

    def finish(self) -> LlmReply:
        """Return a reply of unscanned bytes."""
        return LlmReply(unscanned=(Unscanned(UnscannedReason.UPGRADE, self._seen),))


def reader() -> Reader:
    """Return a counter for one connection."""
    return Reader()
