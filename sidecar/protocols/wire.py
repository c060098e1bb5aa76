"""The words of every wire format: what one event of a streamed answer says, and what a refused client is told.

In: nothing of ours but types. Out: frozen values; WireFormat, the shape of every protocol module.
Never: bytes of a body (frames.py splits them, reading.py adds them up).
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sidecar.protocols.frames import Framing
from sidecar.types import Head, LlmMessage, LlmReply, Surface, Unscanned, Usage


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one text of a streamed answer.

    Shape: channel says which text it continues, such as ("content", 0) or ("call", 0, 2); whole says that this is all of that
    text once more, as some formats repeat it when a text is done: it counts only where it differs from what came in pieces.
    """

    surface: Surface
    text: str
    channel: Hashable
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """What one event says. done: the answer ends with this event. calls name the tool calls it speaks of."""

    pieces: tuple[Piece, ...] = ()
    model: str = ""
    finish: str = ""
    usage: Usage | None = None
    calls: tuple[Hashable, ...] = ()
    refusal: bool = False
    done: bool = False
    unscanned: tuple[Unscanned, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a client is refused, before it is put into words of its provider's.

    Shape: kind is permission_denied, rate_limited or inspection_failed; code is ours, such as douane_denied; details are
    decision_id, risk_score, risk_level and threats, plain values for JSON.
    """

    status: int
    kind: str
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event to end a stream with. name is the SSE event's or the AWS exception's, empty where the format has none."""

    data: bytes
    name: str = ""


class WireFormat(Protocol):
    """What a protocol module offers.

    FRAMING makes what splits its streams, beside SSE, which every format may use; None: its streams are SSE.
    refusal is the JSON body a refused client reads; stream_refusal are the events that end a stream in-band so that the
    provider's SDK raises, its usual end marker included.
    """

    NAME: str

    @property
    def FRAMING(self) -> Callable[[], Framing] | None: ...  # noqa: N802 - a module's constant

    def matches(self, head: Head) -> bool: ...

    def read_request(self, data: bytes, head: Head) -> LlmMessage: ...

    def read_reply(self, body: Any) -> LlmReply: ...

    def read_event(self, event: Mapping[str, Any]) -> Delta: ...

    def refusal(self, refused: Refused) -> Mapping[str, Any]: ...

    def stream_refusal(self, refused: Refused) -> tuple[StreamEvent, ...]: ...
