"""The words between codec, exchange and server: what comes in, and what is to be done.

In: nothing of Envoy's. Out: frozen events (stamped with a monotonic time in microseconds) and steps.
"""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.types import Completion, Head, Inspection, Verdict

NO_HEAD = Head()
_STREAMS = frozenset(
    (
        "text/event-stream",
        "application/x-ndjson",
        "application/jsonl",
        "application/json-seq",
        "application/vnd.amazon.eventstream",
    )
)


class Phase(StrEnum):
    """Which of Envoy's messages is being answered."""

    REQUEST_HEADERS = "request_headers"
    REQUEST_BODY = "request_body"
    RESPONSE_HEADERS = "response_headers"
    RESPONSE_BODY = "response_body"


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What is known of an answer beside its body. details are Envoy's words for where it came from.

    Shape: content_type is empty where Envoy does not show the head; coding is the content-encoding it came in, where Envoy took
    that header away; held says that the head waits with the whole body.
    """

    status: int = 0
    details: str = ""
    content_type: str = ""
    coding: str = ""
    held: bool = False

    @property
    def local(self) -> bool:
        """True for an answer of Envoy's own: the provider could not be reached, the body was too large ..."""
        return self.details not in ("", "via_upstream")

    @property
    def streams(self) -> bool:
        """True for a body whose type is only ever a stream."""
        return self.content_type.partition(";")[0].strip().lower() in _STREAMS


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """The request's head; end means that no body follows."""

    at_us: int
    head: Head
    route: str
    end: bool


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The whole request body, with the head when it was not sent before."""

    at_us: int
    data: bytes
    head: Head | None = None
    route: str = ""


@dataclass(frozen=True, slots=True)
class Inspected:
    """The result of Inspect."""

    at_us: int
    inspection: Inspection


@dataclass(frozen=True, slots=True)
class Unwritten:
    """The verdict could not be written down."""

    at_us: int
    detail: str


@dataclass(frozen=True, slots=True)
class ResponseHeaders:
    """The answer's head."""

    at_us: int
    answer: AnswerHead
    end: bool
    head: Head = NO_HEAD
    route: str = ""


@dataclass(frozen=True, slots=True)
class ResponseBody:
    """A chunk of the answer, with what is known of its head on the first."""

    at_us: int
    data: bytes
    end: bool
    answer: AnswerHead | None = None
    head: Head = NO_HEAD
    route: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream closed."""

    at_us: int


Event = RequestHeaders | RequestBody | Inspected | Unwritten | ResponseHeaders | ResponseBody | Ended


@dataclass(frozen=True, slots=True)
class Inspect:
    """Ask for the inspection of a request; answer with Inspected."""

    head: Head
    data: bytes
    deadline_us: int
    canaries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proceed:
    """Let Envoy go on, perhaps with another body and other headers.

    Shape: without names headers to take away; collect has Envoy show the answer's body whole.
    """

    phase: Phase
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()
    reroute: bool = False
    collect: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the client ourselves. wait_s is after how many seconds it may try again, 0 where waiting does not help."""

    status: int
    body: bytes
    decision_id: str
    wait_s: int = 0


Answer = Proceed | Refuse


@dataclass(frozen=True, slots=True)
class Step:
    """What to do after an event, in this order: inspect, or save and then answer."""

    inspect: Inspect | None = None
    save: Verdict | Completion | None = None
    answer: Answer | None = None
