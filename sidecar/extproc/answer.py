"""The response half of an exchange: what has come of the answer, what of it goes on, and the completion it adds up to.

In: response events, as the exchange passes them on. Out: what the client gets in place of each chunk; a Completion.
Where policy holds answers (response: enforce), a streamed one goes through the hold window (gate.py), and one that comes whole
goes on when all of it has been judged. What is refused ends in the words of its provider (refusal.py).
Never: decides what an event means in a state; the table in exchange.py does.
"""

import json
from collections import Counter
from dataclasses import dataclass, replace

import msgspec

from sidecar.detectors import Detector, contextual
from sidecar.extproc.estimate import estimated
from sidecar.extproc.events import Answer, AnswerHead, Phase, Proceed, Refuse, ResponseBody
from sidecar.extproc.gate import Gate
from sidecar.extproc.rewrite import Editor, MakeEditor, Rewriter
from sidecar.extproc.ruling import Ruling
from sidecar.extproc.surroundings import Surroundings
from sidecar.inflate import Inflater
from sidecar.leaks import Chain, Find, Originals, PutBack, TakeOut
from sidecar.policy import Policy, refuses_answer
from sidecar.policy.exceptions import Waived
from sidecar.protocols import protocol_for, reader_for, websocket
from sidecar.protocols.frames import Frame, SseFrames
from sidecar.protocols.reading import AnswerReader, Seen
from sidecar.protocols.wire import Refused
from sidecar.refusal import refused
from sidecar.reweigh import without
from sidecar.types import (
    Action,
    Assessment,
    Completion,
    Coverage,
    FailureKind,
    Head,
    InspectionFailed,
    LlmReply,
    Mode,
    Outcome,
    Segment,
    ThreatType,
    UnscannedReason,
    Verdict,
)

# A client that hears nothing for a while gives up; proxies between do after 30 to 60 seconds.
_SILENCE_US = 5_000_000
_STILL_HERE = b": the answer is being inspected\n\n"
_NOTHING = LlmReply()
_NOT_READ = "not fully inspected"


@dataclass(frozen=True, slots=True)
class Ending:
    """When an exchange began, when its verdict left, and when and why it ended. Monotonic microseconds."""

    at_us: int
    started_us: int
    sent_us: int
    aborted: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What the answer to a request needs to know of it. unasked: we asked for a usage chunk that the client did not ask for."""

    verdict: Verdict
    ruling: Ruling
    around: Surroundings
    unasked: bool = False

    @property
    def policy(self) -> Policy:
        """What of the policy holds."""
        return self.ruling.caller.in_force.policy

    def waived(self, assessment: Assessment, at_us: int) -> Waived:
        """Return what a piece of the answer weighs after the policy's exceptions."""
        return self.ruling.caller.in_force.waivers.waive(assessment, at_us + self.around.wall_offset_us)

    def refuses(self, assessment: Assessment) -> bool:
        """Tell whether an answer that weighs so much is kept from its client."""
        return refuses_answer(assessment, self.policy, self.ruling.bar)


class IncomingAnswer:
    """An answer as it comes in. completed turns True when its half of the record has been made."""

    __slots__ = (
        "_first_byte_us",
        "_gate",
        "_held",
        "_inflater",
        "_make",
        "_out",
        "_reader",
        "_refused",
        "_request",
        "_rewriter",
        "_sent_us",
        "_taken",
        "body_bytes",
        "completed",
        "frames_bytes",
        "head",
    )

    def __init__(self) -> None:
        self.head = AnswerHead()
        self.body_bytes = 0
        self.frames_bytes = 0  # what the client sent after the verdict: a WebSocket's
        self.completed = False
        self._request: Request | None = None
        self._reader: AnswerReader | None = None
        self._first_byte_us = 0
        self._sent_us = 0
        self._make: MakeEditor | None = None
        self._taken: Counter[str] = Counter()
        self._rewriter: Rewriter | None = None
        self._gate: Gate | None = None
        self._held: list[Frame] = []
        self._out: bytes | None = None
        self._refused: Refused | None = None
        self._inflater: Inflater | None = None

    def expect(self, request: Request) -> None:
        """Prepare for the answer to a request: leaks taken out, originals of its pseudonyms put back, the hold window."""
        self._request = request
        policy, around, originals = request.policy, request.around, request.ruling.originals
        if originals or self._redacted:
            find = around.pipeline.leak_finder(self._redacted) if self._redacted else None
            self._make = _editors(Originals(originals), find, self._taken)
            self._rewriter = Rewriter(self._make)
        if policy.holds_answers and not websocket.matches(request.verdict.head):
            self._gate = Gate(self._look(request), policy.leak_budget, request.refuses, strict=_strict(policy))

    @property
    def _redacted(self) -> frozenset[ThreatType]:
        policy = self._request.policy if self._request is not None else Policy()
        return policy.output_leaks.redacted if policy.mode is Mode.ENFORCE else frozenset()

    def _look(self, request: Request) -> "_Look":
        context = contextual.for_reply(request.verdict.inspection.message, request.policy.canaries)
        return _Look(request, request.policy.deadline_ms * 1000, context, self._redacted)

    def comes_whole(self, head: AnswerHead) -> bool:
        """Take the answer's head; tell whether Envoy shall collect the body: what is no stream can still become a 403."""
        asked = self._request is not None and self._request.verdict.inspection.message.stream
        held = self._gate is not None and not head.local and not head.streams and not (asked and head.status < 400)
        self.head = replace(head, held=held)
        return held

    def plain(self, event: ResponseBody) -> ResponseBody:
        """Return a chunk with its coding taken off.

        Raises: NotInflated for what cannot be read.
        """
        coding = (self.head if self.head.status else event.answer or self.head).coding
        if not coding:
            return event
        if self._inflater is None:
            self._inflater = Inflater(coding)
        return replace(event, data=self._inflater.feed(event.data, end=event.end))

    def inflated(self, event: ResponseBody) -> bytes | None:
        """Return a chunk whose coding was taken off, None for one that came plain."""
        return None if self._inflater is None else event.data

    def take(self, event: ResponseBody, request: Head, started_us: int) -> None:
        """Read a chunk; the request's head says by which protocol."""
        if event.answer is not None and not self.head.status:
            self.head = event.answer
        if event.data:
            self._first_byte_us = self._first_byte_us or event.at_us - started_us
            self.body_bytes += len(event.data)
        if self._reader is None:
            self._reader = reader_for(request)
        seen = self._reader.feed(event.data, end=event.end)
        if self._gate is None and self._rewriter is None and not self._unasked:
            self._out = event.data
            return
        frames = self._passing([item for item in seen if not (self._unasked and _is_usage(item))], event)
        self._out = self._rewritten(frames, event) + self._closing()
        self._sent_us = event.at_us if self._out or not self._sent_us else self._sent_us
        if event.at_us - self._sent_us > _SILENCE_US and isinstance(self._reader.framing, SseFrames):
            self._out, self._sent_us = _STILL_HERE, event.at_us

    @property
    def _unasked(self) -> bool:
        return self._request is not None and self._request.unasked

    def _passing(self, seen: list[Seen], event: ResponseBody) -> list[Frame]:
        """Return the frames that go on now: all, those that the hold window lets go, or a whole answer when it has ended."""
        reader, gate = self._reader, self._gate
        if gate is None or reader is None or self.head.local:
            return [item.frame for item in seen]
        if reader.framing is not None:
            return gate.take(seen, over=event.end or reader.complete) if not self._cut else []
        self._held += (item.frame for item in seen)
        frames = self._held if event.end else []
        self._held = [] if event.end else self._held
        return frames

    def _rewritten(self, frames: list[Frame], event: ResponseBody) -> bytes:
        if self._rewriter is None or self._reader is None or self._cut:
            return b"".join(frame.raw for frame in frames)
        return self._rewriter.feed(frames, self._reader.framing, end=event.end)

    def _closing(self) -> bytes:
        """Return the end of a stream that is cut now."""
        gate, reader = self._gate, self._reader
        if gate is None or gate.hit is None or self._refused is not None or reader is None or reader.framing is None:
            return b""
        self._refused = self._told(gate.hit.assessment, gate.hit.failure, unread=gate.hit.unread)
        events = protocol_for(self._head).stream_refusal(self._refused)
        return reader.framing.closing([(event.name, event.data) for event in events], begun=gate.begun)

    @property
    def _cut(self) -> bool:
        return self._refused is not None

    @property
    def _head(self) -> Head:
        return self._request.verdict.head if self._request is not None else Head()

    def _told(self, assessment: Assessment, failure: InspectionFailed | None, *, unread: bool = False) -> Refused:
        kinds = ", ".join(dict.fromkeys(threat.finding.type.value for threat in assessment.threats))
        why = _NOT_READ if unread else kinds if failure is None else f"inspection failed: {failure.kind}"
        message = f"answer refused: {why}"
        decision_id = self._request.verdict.decision_id if self._request is not None else ""
        return refused(decision_id, 403 if failure is None else 503, message, assessment, failure)

    def passed(self, event: ResponseBody) -> Answer:
        """Return what the client gets in place of a chunk."""
        told = self._refused
        if told is not None and (self._reader is None or self._reader.framing is None):
            body = msgspec.json.encode(protocol_for(self._head).refusal(told))
            if self.head.held:
                return Refuse(told.status, body, str(told.details["decision_id"]))
            return Proceed(Phase.RESPONSE_BODY, body if event.end else b"")
        return Proceed(Phase.RESPONSE_BODY, self.inflated(event) if self._out == event.data else self._out)

    def ends(self, event: ResponseBody) -> bool:
        """Tell whether the record's second half is due: the answer has ended, or has been cut."""
        whole = self._reader is not None and self._reader.complete
        return (event.end or whole or self._cut) and not self.completed

    def for_client(self, save: Completion) -> tuple[Completion, Completion]:
        """Return the completion of an answer that came whole as the record keeps it, and as the client reads it."""
        make = self._make
        if make is None:
            return save, save
        segments = (replace(s, text=make(False).push(s.text, final=True)) for s in save.reply.segments)
        told = replace(save, reply=replace(save.reply, segments=tuple(segments)))
        return replace(save, applied=self._applied(), reasons=(*save.reasons, *self._reasons())), told

    def _applied(self) -> Action | None:
        if self._refused is not None:
            return Action.DENY
        return Action.REDACT if self._taken else None

    def _reasons(self) -> tuple[str, ...]:
        taken = tuple(f"answer: {number} places became {text}" for text, number in sorted(self._taken.items()))
        if self._refused is None:
            return taken
        return (*taken, f"{self._refused.message.partition(' (')[0]}; {self._leaked or 0} characters of it had left")

    @property
    def _leaked(self) -> int | None:
        return self._gate.hit.leaked if self._gate is not None and self._gate.hit is not None else None

    @property
    def outcome(self) -> Outcome:
        """How an answer ends that is not cut short."""
        if self._refused is not None:
            return Outcome.DENIED if self._refused.status == 403 else Outcome.FAILED
        failed = self.head.local or self.head.status >= 400
        return Outcome.UPSTREAM_ERROR if failed else Outcome.ANSWERED

    def complete(self, ending: Ending, verdict: Verdict | None, policy: Policy, around: Surroundings) -> Completion:
        """Return the second half of the record; what was read is scanned now."""
        self.completed = True
        reply = self._reply(verdict)
        deadline_us = ending.at_us + policy.deadline_ms * 1000
        context = contextual.for_reply(verdict.inspection.message if verdict else None, policy.canaries)
        assessment, coverage = around.pipeline.inspect_reply(reply, self.body_bytes, deadline_us, context)
        waived = Waived(assessment) if self._request is None else self._request.waived(assessment, ending.at_us)
        assessment = waived.assessment
        self._judge(assessment, coverage)
        request_score = verdict.inspection.assessment.score if verdict else 0.0
        aborted = ending.aborted
        sent = (f"{self.frames_bytes} bytes of frames from the client were not scanned",) if self.frames_bytes else ()
        reasons = (*assessment.reasons, *waived.reasons, *self._reasons(), *sent)
        refused_with = self._refused.status if self._refused is not None and self.head.held else 0
        return Completion(
            outcome=Outcome.CLIENT_ABORTED if aborted else self.outcome,
            http_status=refused_with or self.head.status,
            response_flags=self.head.details if self.head.local else "",
            reply=reply,
            assessment=assessment,
            coverage=coverage,
            capture=policy.content_capture,
            score=max(request_score, assessment.score),
            verdict_us=max(0, ending.sent_us - ending.started_us),
            first_byte_us=self._first_byte_us,
            total_us=ending.at_us - ending.started_us,
            reasons=(*reasons, aborted) if aborted else reasons,
            applied=self._applied(),
            leaked_chars=self._leaked,
        )

    def _reply(self, verdict: Verdict | None) -> LlmReply:
        reply = self._reader.finish() if self._reader is not None and self.body_bytes else _NOTHING
        if reply.usage is None and verdict is not None and verdict.inspection.message.stream and self.head.status < 400:
            return replace(reply, usage=estimated(verdict.inspection.message, reply))
        return reply

    def _judge(self, assessment: Assessment, coverage: Coverage) -> None:
        """Decide on an answer that is held whole."""
        whole = self._reader is not None and self._reader.framing is None
        if self._gate is None or self._request is None or not whole or self.head.local:
            return
        weighed = without(assessment, self._redacted)
        if any(item.reason is UnscannedReason.FAILURE for item in coverage.unscanned):
            failure = InspectionFailed(FailureKind.DEADLINE, "the answer was not inspected in time")
            self._refused = self._told(Assessment(), failure)
        elif self._request.refuses(weighed):
            self._refused = self._told(weighed, None)
        elif not coverage.complete and _strict(self._request.policy):
            self._refused = self._told(Assessment(), None, unread=True)


@dataclass(frozen=True, slots=True)
class _Look:
    """Judges one text of an answer that is still coming; gate.Look."""

    request: Request
    deadline_us: int
    context: tuple[Detector, ...]
    redacted: frozenset[ThreatType]

    def __call__(self, segment: Segment) -> Assessment | InspectionFailed:
        pipeline = self.request.around.pipeline
        now_us = pipeline.now_us()
        seen = pipeline.weigh(segment, now_us + self.deadline_us, self.context, self.redacted)
        return seen if isinstance(seen, InspectionFailed) else self.request.waived(seen, now_us).assessment


def _strict(policy: Policy) -> bool:
    """Tell whether what cannot be read is refused."""
    return policy.unscanned is Action.DENY


def _is_usage(item: Seen) -> bool:
    """Tell whether a frame tells the usage and nothing else, as the extra chunk of stream_options.include_usage does."""
    delta = item.delta
    if delta is None or delta.usage is None or delta.pieces or delta.finish or delta.calls:
        return False
    return b'"choices":[]' in (item.frame.data or b"").replace(b" ", b"")


def _editors(originals: Originals, find: Find | None, taken: Counter[str]) -> MakeEditor:
    def make(nested: bool) -> Editor:
        put_back = PutBack(originals, _nested if nested else str)
        return Chain(TakeOut(find, taken), put_back) if find is not None else put_back

    return make


def _nested(original: str) -> str:
    """Write an original as a JSON string inside a text that is JSON itself, such as a tool call's arguments."""
    return json.dumps(original, ensure_ascii=False)[1:-1]
