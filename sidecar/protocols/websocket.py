"""A connection that became a WebSocket (the Realtime APIs): its frames are counted and not read.

In: a request with an Upgrade header, which Envoy shows the sidecar for WebSockets only. Out: LlmMessage, LlmReply without text.
Whether such a connection may begin is the policy's `websocket`.
Source: RFC 6455, RFC 8441 (Envoy shows an extended CONNECT of HTTP/2 as the same Upgrade).
"""

from collections.abc import Mapping
from typing import Any

from sidecar.protocols import openai_errors
from sidecar.protocols.frames import Frame, Framing
from sidecar.protocols.reading import Seen
from sidecar.protocols.wire import Delta
from sidecar.types import Head, LlmMessage, LlmReply, Unscanned, UnscannedReason

NAME = "websocket"
FRAMING = None


def matches(head: Head) -> bool:
    """Return True for the request that asks for a WebSocket."""
    return "upgrade" in head.headers


def read_request(data: bytes, head: Head) -> LlmMessage:  # noqa: ARG001 - the shape of every protocol's read_request
    """Return a message without text; how many bytes will follow is not known yet."""
    return LlmMessage(NAME, (), stream=True, unscanned=(Unscanned(UnscannedReason.UPGRADE, len(data)),))


class Counter:
    """Counts what the provider sends; reading.AnswerReader."""

    __slots__ = ("_seen", "complete", "framing")

    def __init__(self) -> None:
        self._seen = 0
        self.complete = False
        self.framing: Framing | None = None

    def feed(self, chunk: bytes, *, end: bool = False) -> list[Seen]:  # noqa: ARG002 - the shape of every reader's feed
        """Take the next bytes; all of them go on as they are."""
        self._seen += len(chunk)
        return [Seen(Frame(chunk))]

    def finish(self) -> LlmReply:
        """Return a reply of unscanned bytes."""
        return LlmReply(unscanned=(Unscanned(UnscannedReason.UPGRADE, self._seen),))


def read_reply(body: Any) -> LlmReply:  # noqa: ARG001 - the shape of every protocol's read_reply
    """Return nothing: what comes is counted by Counter."""
    return LlmReply()


def read_event(event: Mapping[str, Any]) -> Delta:  # noqa: ARG001 - the shape of every protocol's read_event
    """Return nothing: what comes is counted by Counter."""
    return Delta()


refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
