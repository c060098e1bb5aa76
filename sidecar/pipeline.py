"""The line one request goes down: protocol, readings, detectors, scoring.

In: a Head and the body. Out: an Inspection, which may say that it failed.
Never: decides (policy does), raises (a failure is a result), or goes on after its deadline: the clock is asked between
segments and between detectors, so that one long step cannot hide another.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sidecar import scoring
from sidecar.decode import readings
from sidecar.detectors import Detector, contextual
from sidecar.detectors.ruleset import Ruleset
from sidecar.inflate import NotInflated, inflated
from sidecar.protocols import protocol_for, websocket
from sidecar.protocols.json_body import MalformedBody
from sidecar.risk.memo import Memo
from sidecar.types import (
    Assessment,
    Coverage,
    FailureKind,
    Finding,
    Head,
    Inspection,
    InspectionFailed,
    LlmMessage,
    LlmReply,
    Segment,
    Span,
    Surface,
    ThreatType,
    Unscanned,
    UnscannedReason,
    View,
)

_WITHOUT_BODY = ("GET", "HEAD", "DELETE", "OPTIONS")
# The gateway's own limit unless DOUANE_MAX_BODY_BYTES says otherwise: a body is not let grow beyond what may be sent plain.
MAX_PLAIN_BYTES = 16 * 1024 * 1024
NOTHING_READ = LlmMessage(protocol="none", segments=())


class _Stopped(Exception):  # noqa: N818 - never leaves this module
    """Carries the failure out of the loops."""

    def __init__(self, failure: InspectionFailed) -> None:
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stations in order. now_us is a monotonic clock in microseconds, max_plain_bytes bounds a body once inflated.

    A pipeline never changes its rules; its memo is theirs alone.
    """

    now_us: Callable[[], int]
    ruleset: Ruleset
    memo: Memo | None = None
    max_plain_bytes: int = MAX_PLAIN_BYTES

    def inspect(self, head: Head, data: bytes, deadline_us: int, planted: tuple[str, ...] = ()) -> Inspection:
        """Return what looking at a request brought to light; deadline_us is on the pipeline's clock, planted are canaries."""
        message = NOTHING_READ
        try:
            plain = inflated(data, head.headers.get("content-encoding", ""), self.max_plain_bytes)
            wire = protocol_for(head)
            # A request without a body has nothing to read, whatever its path is otherwise sent; a POST should have one.
            bare = not plain and head.method in _WITHOUT_BODY and not websocket.matches(head)
            message = LlmMessage(wire.NAME, ()) if bare else wire.read_request(plain, head)
            assessment = self._assess((*message.segments, *_query(head)), deadline_us, contextual.canaries(planted))
        except NotInflated as error:
            return uninspected(InspectionFailed(error.kind, str(error)), len(data))
        except MalformedBody as error:
            return uninspected(InspectionFailed(FailureKind.MALFORMED_BODY, str(error)), len(data), message)
        except _Stopped as stopped:
            return uninspected(stopped.failure, len(data), message)
        coverage = _coverage(plain, message.unscanned)
        return Inspection(message, assessment, coverage, plain=None if plain is data else plain)

    def inspect_reply(
        self, reply: LlmReply, body_bytes: int, deadline_us: int, context: tuple[Detector, ...] = ()
    ) -> tuple[Assessment, Coverage]:
        """Return what looking at an answer brought to light, and which of its bytes were looked at.

        context are the detectors of this exchange alone (contextual.for_reply).
        """
        try:
            assessment = self._assess(reply.segments, deadline_us, context)
        except _Stopped:
            lost = Unscanned(UnscannedReason.FAILURE, body_bytes)
            return Assessment(), Coverage(body_bytes, 0, (lost,))
        skipped = sum(item.bytes for item in reply.unscanned)
        return assessment, Coverage(body_bytes, max(0, body_bytes - skipped), reply.unscanned)

    def weigh(
        self, segment: Segment, deadline_us: int, context: tuple[Detector, ...], taken_out: frozenset[ThreatType]
    ) -> Assessment | InspectionFailed:
        """Return what a piece of an answer that is still coming weighs, but for what is taken out of it anyway.

        Nothing is remembered: the next piece overlaps this one.
        """
        detectors = (*self.ruleset.detectors, *self.ruleset.adjusted(context))
        try:
            found = self._look(segment, detectors, deadline_us)
        except _Stopped as stopped:
            return stopped.failure
        pairs = tuple((segment, finding) for finding in found if finding.type not in taken_out)
        return replace(scoring.assess(pairs), found=pairs) if pairs else Assessment()

    def leak_finder(self, kinds: frozenset[ThreatType]) -> Callable[[str], tuple[tuple[Span, str], ...]]:
        """Return what tells where a piece of an answer holds leaks of these types. A piece that cannot be read is all leak."""
        chosen = tuple(detector for detector in self.ruleset.detectors if _reports(detector, kinds))

        def find(text: str) -> tuple[tuple[Span, str], ...]:
            views = readings(Segment(text, Surface.OUTPUT))
            try:
                found = [finding for view in views for detector in chosen for finding in _detect(detector, view)]
            except _Stopped:
                return ((Span(0, len(text)), "unscanned"),)
            return tuple((finding.span, finding.type.value) for finding in found if finding.type in kinds)

        return find

    def inspect_text(self, segment: Segment, deadline_us: int) -> Inspection:
        """Return what looking at one text brought to light, as if it stood in a request; bytes are those of its UTF-8."""
        message = LlmMessage("text", (segment,))
        size = len(segment.text.encode("utf-8", "surrogatepass"))
        try:
            assessment = self._assess(message.segments, deadline_us)
        except _Stopped as stopped:
            return uninspected(stopped.failure, size, message)
        return Inspection(message, assessment, Coverage(size, size))

    def _assess(self, segments: Iterable[Segment], deadline_us: int, context: tuple[Detector, ...] = ()) -> Assessment:
        found: list[tuple[Segment, Finding]] = []
        of_exchange = self.ruleset.adjusted(context)

        def look(segment: Segment) -> tuple[Finding, ...]:
            return self._look(segment, self.ruleset.detectors, deadline_us)

        for segment in segments:
            known = look(segment) if self.memo is None else self.memo.findings(segment, look)
            found.extend((segment, finding) for finding in known)
            if of_exchange:  # what belongs to one exchange is never remembered
                found.extend((segment, finding) for finding in self._look(segment, of_exchange, deadline_us))
        return replace(scoring.assess(found), found=tuple(found)) if found else Assessment()

    def _look(self, segment: Segment, detectors: Iterable[Detector], deadline_us: int) -> tuple[Finding, ...]:
        found: list[Finding] = []
        detectors = tuple(detectors)
        for view in readings(segment):
            for detector in detectors:
                found.extend(_detect(detector, view))
                if self.now_us() > deadline_us:
                    raise _Stopped(InspectionFailed(FailureKind.DEADLINE, f"after detector {detector.name}"))
        return tuple(found)


def _reports(detector: Detector, kinds: frozenset[ThreatType]) -> bool:
    """Tell whether a detector can report one of these types; one that names no rules can."""
    rules: tuple[object, ...] = getattr(detector, "RULES", ())
    return not rules or any(getattr(rule, "type", ThreatType.SECRET_LEAK) in kinds for rule in rules)


def _detect(detector: Detector, view: View) -> tuple[Finding, ...]:
    try:
        return detector.detect(view)
    except Exception as error:  # the rim of detection: whatever a detector raises is a failed inspection
        detail = f"{detector.name}: {type(error).__name__}"
        raise _Stopped(InspectionFailed(FailureKind.DETECTOR_ERROR, detail)) from error


def _query(head: Head) -> tuple[Segment, ...]:
    query = head.path.partition("?")[2]
    return (Segment(query, Surface.USER, -1, "?"),) if query else ()


def _coverage(data: bytes, unscanned: tuple[Unscanned, ...]) -> Coverage:
    skipped = sum(item.bytes for item in unscanned)
    return Coverage(len(data), max(0, len(data) - skipped), unscanned)


def uninspected(failure: InspectionFailed, body_bytes: int = 0, message: LlmMessage = NOTHING_READ) -> Inspection:
    """Return the inspection of a request that failed: whatever its size, it is not called complete."""
    lost = Unscanned(UnscannedReason.FAILURE, body_bytes)
    return Inspection(message, Assessment(), Coverage(body_bytes, 0, (lost,)), failure)
