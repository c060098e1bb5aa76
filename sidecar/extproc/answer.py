"""The response half of an exchange: what has come of the answer, and the completion it adds up to.

In: response events, as the exchange passes them on. Out: a Completion.
Never: decides what an event means in a state; the table in exchange.py does.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sidecar.detectors import contextual
from sidecar.extproc.events import AnswerHead, ResponseBody
from sidecar.extproc.rewrite import Editor, MakeEditor, Rewriter
from sidecar.extproc.surroundings import Surroundings
from sidecar.inflate import Inflater
from sidecar.leaks import Chain, Find, Originals, PutBack, TakeOut
from sidecar.policy import Policy
from sidecar.protocols import ReplyReader, protocol_for
from sidecar.types import Action, Completion, Head, LlmReply, Mode, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Ending:
    """When an exchange began, when its verdict left, and when and why it ended. Monotonic microseconds."""

    at_us: int
    started_us: int
    sent_us: int
    aborted: str = ""


class IncomingAnswer:
    """An answer as it comes in. completed turns True when its half of the record has been made."""

    __slots__ = (
        "_first_byte_us",
        "_inflater",
        "_make",
        "_reader",
        "_rewriter",
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
        self._reader: ReplyReader | None = None
        self._first_byte_us = 0
        self._make: MakeEditor | None = None
        self._taken: Counter[str] = Counter()
        self._rewriter: Rewriter | None = None
        self._inflater: Inflater | None = None

    def take(self, event: ResponseBody, request: Head, started_us: int) -> None:
        """Read a chunk; the request's head says by which protocol."""
        if event.answer is not None and not self.head.status:
            self.head = event.answer
        if event.data:
            self._first_byte_us = self._first_byte_us or event.at_us - started_us
            self.body_bytes += len(event.data)
        if self._reader is None:
            self._reader = protocol_for(request).reader()
        self._reader.feed(event.data)

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

    def change(self, originals: Mapping[str, str], policy: Policy, around: Surroundings) -> None:
        """Prepare what the client's answer shall differ in: leaks taken out, originals of the request's pseudonyms put back."""
        kinds = policy.output_leaks.redacted if policy.mode is Mode.ENFORCE else frozenset()
        if originals or kinds:
            find = around.pipeline.leak_finder(kinds) if kinds else None
            self._make = _editors(Originals(originals), find, self._taken)
            self._rewriter = Rewriter(self._make)

    def rewritten(self, event: ResponseBody) -> bytes | None:
        """Return what the client gets in place of a chunk, None for the chunk itself."""
        if self._rewriter is None:
            return self.inflated(event)
        new = self._rewriter.feed(event.data, end=event.end)
        return self.inflated(event) if new == event.data else new

    def inflated(self, event: ResponseBody) -> bytes | None:
        """Return a chunk whose coding was taken off, None for one that came plain."""
        return None if self._inflater is None else event.data

    def for_client(self, save: Completion) -> tuple[Completion, Completion]:
        """Return the completion of an answer that came whole as the record keeps it, and as the client reads it."""
        make = self._make
        if make is None:
            return save, save
        segments = (replace(s, text=make(False).push(s.text, final=True)) for s in save.reply.segments)
        told = replace(save, reply=replace(save.reply, segments=tuple(segments)))
        return replace(save, applied=self._applied(), reasons=(*save.reasons, *self._reasons())), told

    def _applied(self) -> Action | None:
        return Action.REDACT if self._taken else None

    def _reasons(self) -> tuple[str, ...]:
        return tuple(f"answer: {number} places became {text}" for text, number in sorted(self._taken.items()))

    @property
    def whole(self) -> bool:
        """True once the bytes taken so far end the answer, whatever still comes behind them."""
        return self._reader is not None and self._reader.complete

    @property
    def outcome(self) -> Outcome:
        """How an answer ends that is not cut short."""
        failed = self.head.local or self.head.status >= 400
        return Outcome.UPSTREAM_ERROR if failed else Outcome.ANSWERED

    def complete(self, ending: Ending, verdict: Verdict | None, policy: Policy, around: Surroundings) -> Completion:
        """Return the second half of the record; what was read is scanned now."""
        self.completed = True
        reply = self._reader.finish() if self._reader is not None and self.body_bytes else LlmReply()
        deadline_us = ending.at_us + policy.deadline_ms * 1000
        context = contextual.for_reply(verdict.inspection.message if verdict else None, policy.canaries)
        assessment, coverage = around.pipeline.inspect_reply(reply, self.body_bytes, deadline_us, context)
        request_score = verdict.inspection.assessment.score if verdict else 0.0
        aborted = ending.aborted
        sent = (f"{self.frames_bytes} bytes of frames from the client were not scanned",) if self.frames_bytes else ()
        reasons = (*assessment.reasons, *self._reasons(), *sent)
        return Completion(
            outcome=Outcome.CLIENT_ABORTED if aborted else self.outcome,
            http_status=self.head.status,
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
        )


def _editors(originals: Originals, find: Find | None, taken: Counter[str]) -> MakeEditor:
    def make(nested: bool) -> Editor:
        put_back = PutBack(originals, _nested if nested else str)
        return Chain(TakeOut(find, taken), put_back) if find is not None else put_back

    return make


def _nested(original: str) -> str:
    """Write an original as a JSON string inside a text that is JSON itself, such as a tool call's arguments."""
    return json.dumps(original, ensure_ascii=False)[1:-1]
