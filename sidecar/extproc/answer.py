"""The response half of an exchange: what has come of the answer, and the completion it adds up to.

In: response events, as the exchange passes them on. Out: a Completion.
Never: decides what an event means in a state; the table in exchange.py does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sidecar.detectors import contextual
from sidecar.extproc.events import AnswerHead, ResponseBody
from sidecar.extproc.rewrite import Rewriter
from sidecar.extproc.surroundings import Surroundings
from sidecar.leaks import Originals, PutBack
from sidecar.policy import Policy
from sidecar.protocols import ReplyReader, protocol_for
from sidecar.types import Completion, Head, LlmReply, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Ending:
    """When an exchange began, when its verdict left, and when and why it ended. Monotonic microseconds."""

    at_us: int
    started_us: int
    sent_us: int
    aborted: str = ""


class IncomingAnswer:
    """An answer as it comes in. completed turns True when its half of the record has been made."""

    __slots__ = ("_first_byte_us", "_originals", "_reader", "_rewriter", "body_bytes", "completed", "head")

    def __init__(self) -> None:
        self.head = AnswerHead()
        self.body_bytes = 0
        self.completed = False
        self._reader: ReplyReader | None = None
        self._first_byte_us = 0
        self._originals: Originals | None = None
        self._rewriter: Rewriter | None = None

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

    def put_back(self, originals: Mapping[str, str]) -> None:
        """Put the originals of a request's pseudonyms back into this answer."""
        if originals:
            known = self._originals = Originals(originals)
            self._rewriter = Rewriter(lambda nested: PutBack(known, _nested if nested else str))

    def rewritten(self, event: ResponseBody) -> bytes | None:
        """Return what the client gets in place of a chunk, None for the chunk itself."""
        if self._rewriter is None:
            return None
        new = self._rewriter.feed(event.data, end=event.end)
        return None if new == event.data else new

    def restored(self, reply: LlmReply) -> LlmReply:
        """Return a reply with the originals in its texts, for the client only: the record keeps the pseudonyms."""
        known = self._originals
        if known is None:
            return reply
        texts = (replace(s, text=PutBack(known).push(s.text, final=True)) for s in reply.segments)
        return replace(reply, segments=tuple(texts))

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
            reasons=(*assessment.reasons, aborted) if aborted else assessment.reasons,
        )


def _nested(original: str) -> str:
    """Write an original as a JSON string inside a text that is JSON itself, such as a tool call's arguments."""
    return json.dumps(original, ensure_ascii=False)[1:-1]
