"""One exchange as a state table: what may happen when, and what we do then. No sockets, no clock, no files.

In: events (from the codec, stamped with a monotonic time by the server). Out: steps: what to write down, and what to answer.

    OPEN ── RequestHeaders ──► HEADED ── RequestBody ──► INSPECTING ── Inspected ──► FORWARDED or CLOSED
    OPEN ── RequestBody (headers skipped, attributes say what is needed) ──► INSPECTING
    FORWARDED ── ResponseHeaders / ResponseBody ──► ANSWERING ── the answer's end ──► CLOSED
    any ── Ended ──► CLOSED          (the stream closed: with an answer unfinished, the client has left)
    OPEN, HEADED ── ResponseHeaders / ResponseBody ──► an answer to a request whose body we never saw, such as Envoy's own 413

The two rules that matter (ENVOY.md, pitfall 1): every message from Envoy gets exactly one answer, and a failure is a decision.
An event out of order is a failure too: before the verdict it is refused or passed by policy, after it the answer goes on.
Our own refusals pass the response path again in some Envoy versions: CLOSED lets them by.
The verdict is written before it leaves; the completion before the last byte is released: when a reader says that the bytes
it has been fed end the answer, the record is completed with that chunk and not with the empty one behind it.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from sidecar.extproc import unseen
from sidecar.extproc.answer import Ending, IncomingAnswer, Request
from sidecar.extproc.events import (
    Answer,
    AnswerHead,
    Ended,
    Event,
    Inspect,
    Inspected,
    Phase,
    Proceed,
    Refuse,
    RequestBody,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
    Step,
    Unwritten,
)
from sidecar.extproc.ruling import Caller, Received, Ruling, called, outcome_of, place_of, ruled, settled
from sidecar.extproc.surroundings import Policies, Surroundings
from sidecar.extproc.translate import aimed, mission_answer, provider_call, usage_asked
from sidecar.inflate import NotInflated
from sidecar.pipeline import NOTHING_READ, Pipeline, uninspected
from sidecar.policy import Compiled, on_failure, refusal_of
from sidecar.protocols import generate, websocket
from sidecar.types import (
    Completion,
    Decision,
    FailureKind,
    Head,
    Inspection,
    InspectionFailed,
    LlmMessage,
    Outcome,
    Verdict,
)


class State(StrEnum):
    """Where an exchange stands."""

    OPEN = "open"
    HEADED = "headed"
    INSPECTING = "inspecting"
    FORWARDED = "forwarded"
    ANSWERING = "answering"
    CLOSED = "closed"


class Exchange:
    """One stream of Envoy's. It keeps the policy and the rules it began with."""

    __slots__ = (
        "_answer",
        "_around",
        "_compiled",
        "_data",
        "_edited",
        "_head",
        "_inspection_us",
        "_phase",
        "_policies",
        "_policy",
        "_route",
        "_ruling",
        "_started_us",
        "_target",
        "_verdict",
        "decision_id",
        "sent_us",
        "state",
    )

    def __init__(self, decision_id: str, policies: Policies, around: Surroundings) -> None:
        self.decision_id = decision_id
        self.state = State.OPEN
        self.sent_us = 0  # when the verdict left, spool included; the server says so
        self._policies = policies
        self._compiled: Compiled = policies.of("")
        self._policy = self._compiled.base.policy
        self._around = around
        self._head = Head()
        self._route = ""
        self._data = b""
        self._phase = Phase.REQUEST_BODY
        self._target: generate.Target | None = None
        self._edited = False
        self._ruling: Ruling | None = None
        self._verdict: Verdict | None = None
        self._answer = IncomingAnswer()
        self._started_us = 0
        self._inspection_us = 0

    @property
    def pipeline(self) -> Pipeline:
        """The line that this exchange's texts go down."""
        return self._around.pipeline

    @property
    def started_unix_us(self) -> int:
        """When the request arrived, as Unix time in microseconds."""
        return self._started_us + self._around.wall_offset_us

    def receive(self, event: Event) -> Step:
        """Return what to do after an event.

        Raises: nothing; an event that the table does not know in this state is a failure like any other.
        """
        row = _TABLE.get((self.state, type(event)), Exchange._illegal)
        return row(self, event)

    def _request_headers(self, event: RequestHeaders) -> Step:
        self._begin(event.at_us, event.head, event.route)
        if event.end or websocket.matches(event.head):
            return self._ask(b"", Phase.REQUEST_HEADERS)
        self.state = State.HEADED
        return Step(answer=Proceed(Phase.REQUEST_HEADERS))

    def _request_body(self, event: RequestBody) -> Step:
        if event.head is not None and self.state is State.OPEN:
            self._begin(event.at_us, event.head, event.route)
        self._started_us = event.at_us  # the clock starts when the request is whole, however slow its upload
        return self._ask(event.data, Phase.REQUEST_BODY)

    def _begin(self, at_us: int, head: Head, route: str) -> None:
        self._started_us, self._head, self._route = at_us, head, route
        self._compiled = self._policies.of(self._around.identifier.tenant(head))
        self._policy = self._compiled.base.policy
        if self._compiled.has_early:
            self._policy = self._compiled.early(self._caller(NOTHING_READ).facts)

    def _ask(self, data: bytes, phase: Phase) -> Step:
        self.state, self._data, self._phase = State.INSPECTING, data, phase
        deadline_us = self._started_us + self._policy.deadline_ms * 1000
        return Step(inspect=Inspect(self._head, data, deadline_us, self._policy.canaries))

    def _frames(self, event: RequestBody) -> Step:  # what follows a verdict: a WebSocket's
        self._answer.frames_bytes += len(event.data)
        return Step(answer=Proceed(Phase.REQUEST_BODY))

    def _inspected(self, event: Inspected) -> Step:
        inspection = event.inspection
        self._inspection_us = event.at_us - self._started_us
        if inspection.plain is not None:  # what goes on is what was read
            self._data, self._edited, inspection = inspection.plain, True, replace(inspection, plain=None)
        if inspection.message.protocol == generate.NAME:
            inspection, self._target = aimed(inspection, self._around)
        return self._decided(inspection, event.at_us)

    def _decided(self, inspection: Inspection, at_us: int) -> Step:
        received = Received(self._head, self._data, inspection, self._place(), at_us + self._around.wall_offset_us)
        ruling = self._ruling = ruled(received, self._compiled, self._around)
        inspection, decision, self._policy = ruling.inspection, ruling.decision, ruling.caller.in_force.policy
        if ruling.data is not None:
            self._data, self._edited = ruling.data, True
        if inspection.failure is not None and self._head.endpoint == generate.PATH and self._target is None:
            # What cannot be translated cannot be passed on, in observe mode either; the record says what was done.
            decision = refusal_of(inspection.failure, self._policy)
        self._verdict = self._verdict_of(inspection, decision, outcome_of(inspection, decision), at_us)
        if decision.refuses:
            self._around.budgets.give_back(ruling.grant)
            answer: Answer = self._refuse(self._verdict)
        else:
            answer = self._forward()
        self.state = State.CLOSED if decision.refuses else State.FORWARDED
        return Step(save=self._verdict, answer=answer)

    def _refuse(self, verdict: Verdict) -> Refuse:
        decision = verdict.decision
        return Refuse(decision.status, self._around.refusal(verdict), self.decision_id, decision.wait_s)

    def _caller(self, message: LlmMessage) -> Caller:
        return called(self._head, message, self._place(), self._compiled, self._around)

    def _verdict_of(self, inspection: Inspection, decision: Decision, outcome: Outcome, at_us: int) -> Verdict:
        door, provider = self._place()
        pending, ruling = outcome is Outcome.PENDING, self._ruling
        caller = ruling.caller if ruling is not None else self._caller(inspection.message)
        return Verdict(
            decision_id=self.decision_id,
            head=self._head,
            door=door,
            provider=provider,
            identity=caller.identity,
            inspection=inspection,
            decision=decision,
            outcome=outcome,
            policy_version=caller.in_force.policy.version,
            ruleset_version=self._around.pipeline.ruleset.version,
            capture=self._policy.content_capture,
            started_unix_us=self.started_unix_us,
            inspect_us=self._inspection_us,
            verdict_us=at_us - self._started_us,
            http_status=0 if pending else decision.status,
            waived=ruling.waived if ruling is not None else (0, 0),
        )

    def _place(self) -> tuple[str, str]:
        return place_of(self._route, self._target)

    def _forward(self) -> Proceed:
        """Let the request go; a /generate call becomes the provider's own."""
        answer, asking = Proceed(self._phase), usage_asked(self._data, self._verdict, self._policy)
        if self._target is not None:
            answer = provider_call(self._phase, self._head, self._data, self._target, self._around)
        elif self._edited or asking:
            # Where Envoy has sent the headers already (swift routes) it ignores this one, and the buffer filter counts anew.
            data = asking or self._data
            size = (("content-length", str(len(data))),)
            answer = Proceed(self._phase, data, size, without=("content-encoding",))
        self._data = b""
        if self._verdict is not None and self._ruling is not None:
            self._answer.expect(Request(self._verdict, self._ruling, self._around, asking is not None))
        return answer

    def _unwritten(self, event: Unwritten) -> Step:
        """The spool is full: refuse, or lose the record and count it, as policy says."""
        failure = InspectionFailed(FailureKind.SPOOL_FULL, event.detail)
        decision = on_failure(failure, self._policy)
        if not decision.refuses or self._verdict is None:
            return Step()
        self.state = State.CLOSED
        if self._ruling is not None:
            self._around.budgets.give_back(self._ruling.grant)
        inspection = replace(self._verdict.inspection, failure=failure)
        return Step(answer=self._refuse(replace(self._verdict, decision=decision, inspection=inspection)))

    def _response_headers(self, event: ResponseHeaders) -> Step:
        self.state, self._answer.head = State.ANSWERING, event.answer
        if event.end:
            return Step(save=self._complete(event.at_us), answer=Proceed(Phase.RESPONSE_HEADERS))
        collect = self._target is None and self._answer.comes_whole(event.answer)
        return Step(answer=Proceed(Phase.RESPONSE_HEADERS, collect=collect))

    def _response_body(self, event: ResponseBody) -> Step:
        self.state = State.ANSWERING
        try:
            event = self._answer.plain(event)
        except NotInflated as error:
            return self._cut(event.at_us, str(error))
        self._answer.take(event, self._head, self._started_us)
        if self._target is not None:
            return self._translated(event)
        save = self._complete(event.at_us) if self._answer.ends(event) else None
        answer = self._answer.passed(event)
        if (save is None and event.end) or isinstance(answer, Refuse):
            self.state = State.CLOSED
        return Step(save=save, answer=answer)

    def _translated(self, event: ResponseBody) -> Step:
        """The answer to /generate came whole; errors keep the provider's own words and status."""
        if not event.end or self._answer.completed:
            return Step(answer=Proceed(Phase.RESPONSE_BODY))
        self._answer.head = replace(self._answer.head, held=True)
        save = self._complete(event.at_us)
        passed = self._answer.passed(event)
        if isinstance(passed, Refuse):
            self.state = State.CLOSED
            return Step(save=save, answer=passed)
        if self._answer.head.status != 200 or self._answer.head.local:
            body = self._answer.inflated(event)
            size = () if body is None else (("content-length", str(len(body))),)
            return Step(save=save, answer=Proceed(Phase.RESPONSE_BODY, body, size))
        save, told = self._answer.for_client(save)
        return Step(save=save, answer=mission_answer(told, self.decision_id))

    def _cut(self, at_us: int, reason: str) -> Step:
        """End an answer that cannot be read: without an answer of ours the stream ends in an error, and so does the client's."""
        ending = None if self._answer.completed else self._complete(at_us, f"answer: {reason}")
        self.state = State.CLOSED
        return Step(save=ending and replace(ending, outcome=Outcome.UPSTREAM_ERROR))

    def _complete(self, at_us: int, aborted: str = "") -> Completion:
        """Return the second half of the record. The answer may have more bytes to come only if its reader is complete."""
        self.state = State.CLOSED if self._verdict is None else State.ANSWERING
        ending = Ending(at_us, self._started_us, self.sent_us, aborted)
        completion = self._answer.complete(ending, self._verdict, self._policy, self._around)
        if self._ruling is not None:
            settled(self._ruling, completion, at_us + self._around.wall_offset_us, self._around)
        return completion

    def _left(self, event: Ended) -> Step:
        """The stream closed before the answer ended."""
        if self._answer.completed:
            self.state = State.CLOSED
            return Step()
        what = "after" if self._answer.body_bytes else "before"
        # A WebSocket ends so: whoever closes it, both sides were answered.
        opened = websocket.matches(self._head) and self._answer.head.status
        held = ", held whole: it is larger than the gateway takes, or the client left" if self._answer.head.held else ""
        aborted = "" if opened else f"the stream ended {what} the answer's first byte{held}"
        step = Step(save=self._complete(event.at_us, aborted))
        self.state = State.CLOSED
        return step

    def _left_early(self, event: Ended) -> Step:
        """The client left before we decided; nothing reached the provider."""
        self.state = State.CLOSED
        if not self._started_us:
            return Step()
        inspection = uninspected(_LEFT, len(self._data))
        decision = on_failure(_LEFT, self._caller(NOTHING_READ).in_force.policy)
        verdict = self._verdict_of(inspection, decision, Outcome.CLIENT_ABORTED, event.at_us)
        return Step(save=replace(verdict, http_status=0))

    def _nothing(self, _event: Event) -> Step:
        return Step()

    def _let_by(self, event: ResponseHeaders | ResponseBody) -> Step:
        """What follows our own refusal, or an answer already recorded."""
        return Step(answer=Proceed(_PHASES[type(event)]))

    def _uninspected(self, event: ResponseHeaders | ResponseBody) -> Step:
        """An answer whose request we never saw: Envoy's own 413, or a request that went by us. Recorded as what it is."""
        if self.state is State.OPEN:
            self._begin(event.at_us, event.head, event.route)
        self._answer.head = answer = event.answer or AnswerHead()
        found = unseen.judged(answer, self._answer.outcome, self._caller(NOTHING_READ).in_force.policy)
        verdict = self._verdict_of(found.inspection, found.decision, found.outcome, event.at_us)
        self._verdict = replace(verdict, http_status=answer.status)
        self.state = State.CLOSED
        return Step(save=self._verdict, answer=Proceed(_PHASES[type(event)]))

    def _illegal(self, event: Event) -> Step:
        """An event out of order. Before the verdict it is a failed inspection; afterwards the exchange goes on."""
        phase = _PHASES.get(type(event))
        if self.state in _DECIDED:
            return Step(answer=Proceed(phase) if phase else None)
        self._phase = phase or self._phase
        detail = f"{type(event).__name__} in state {self.state}"
        return self.fail(event.at_us, InspectionFailed(FailureKind.ILLEGAL_EVENT, detail))

    def fail(self, at_us: int, failure: InspectionFailed) -> Step:
        """Return what to do when something broke around the exchange: before the verdict, the failure policy answers."""
        if self.state in _DECIDED:
            return Step()
        self._started_us = self._started_us or at_us
        return self._decided(uninspected(failure, len(self._data)), at_us)


_DECIDED = (State.FORWARDED, State.ANSWERING, State.CLOSED)
_LEFT = InspectionFailed(FailureKind.NOT_INSPECTED, "the client left before the verdict")


_PHASES: dict[type, Phase] = {
    RequestHeaders: Phase.REQUEST_HEADERS,
    RequestBody: Phase.REQUEST_BODY,
    ResponseHeaders: Phase.RESPONSE_HEADERS,
    ResponseBody: Phase.RESPONSE_BODY,
}

_TABLE: dict[tuple[State, type], Callable[..., Step]] = {
    (State.OPEN, RequestHeaders): Exchange._request_headers,
    (State.OPEN, RequestBody): Exchange._request_body,
    (State.OPEN, ResponseHeaders): Exchange._uninspected,
    (State.OPEN, ResponseBody): Exchange._uninspected,
    (State.OPEN, Ended): Exchange._left_early,
    (State.HEADED, RequestBody): Exchange._request_body,
    (State.HEADED, ResponseHeaders): Exchange._uninspected,
    (State.HEADED, ResponseBody): Exchange._uninspected,
    (State.HEADED, Ended): Exchange._left_early,
    (State.INSPECTING, Inspected): Exchange._inspected,
    (State.INSPECTING, Ended): Exchange._left_early,
    (State.FORWARDED, Unwritten): Exchange._unwritten,
    (State.FORWARDED, RequestBody): Exchange._frames,
    (State.ANSWERING, RequestBody): Exchange._frames,
    (State.FORWARDED, ResponseHeaders): Exchange._response_headers,
    (State.FORWARDED, ResponseBody): Exchange._response_body,
    (State.FORWARDED, Ended): Exchange._left,
    (State.ANSWERING, ResponseBody): Exchange._response_body,
    (State.ANSWERING, Ended): Exchange._left,
    (State.CLOSED, Unwritten): Exchange._nothing,
    (State.CLOSED, ResponseHeaders): Exchange._let_by,
    (State.CLOSED, ResponseBody): Exchange._let_by,
    (State.CLOSED, Ended): Exchange._nothing,
}
