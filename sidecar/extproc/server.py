"""The socket: a grpc.aio server that hands Envoy's messages to exchanges, and carries out their steps.

In: gRPC streams. Out: exactly one answer per message, and records in the spool before the answer leaves.
By construction a handler cannot end a stream that is owed an answer: answers are made in one place (_answer), which returns bytes
or raises, and whatever it raises goes to the failure policy; if even that fails the stream is aborted with an error status,
which Envoy treats by its own failure mode. A clean end would mean "carry on without me" (ENVOY.md, pitfall 1).
Never: parses bodies, decides, or lets a slow inspection hold up other exchanges: large bodies are inspected in a thread.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from douane.envoy.ext_proc_pb2 import ProcessingRequest

from sidecar.extproc import codec
from sidecar.extproc.events import Ended, Inspect, Inspected, Step, Unwritten
from sidecar.extproc.exchange import Exchange
from sidecar.pipeline import Pipeline, uninspected
from sidecar.record.build import completion_bytes, verdict_bytes
from sidecar.record.spool import Spool, SpoolFull
from sidecar.types import Completion, FailureKind, Inspection, InspectionFailed, Verdict

log = logging.getLogger("douane.exchange")

# Up to here a body is inspected on the event loop: at most a few milliseconds, less than a thread's hand-over costs others.
INLINE_BYTES = 32 * 1024
# Envoy's default is 4 MiB for gRPC in Python; bodies are bounded by the gateway (16 MiB by default) before they come here.
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024
_WINDOW_BYTES = 4 * 1024 * 1024
_MAX_STREAMS = 100_000


class Counts(Protocol):
    """What the server counts."""

    def verdict(self, verdict: Verdict) -> None: ...

    def completion(self, completion: Completion) -> None: ...

    def lost(self, reason: str) -> None: ...

    def broken(self, kind: FailureKind) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What every stream of a worker shares. now_us is the monotonic clock in microseconds."""

    spool: Spool
    counts: Counts
    new_exchange: Callable[[], Exchange]
    now_us: Callable[[], int]
    digest: Callable[[str], bytes]
    sidecar: str
    threads: Executor


class _Stream:
    """One exchange with the place of its record in the spool."""

    __slots__ = ("_desk", "_exchange", "_seq")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._exchange = desk.new_exchange()
        self._seq: int | None = None

    async def answer(self, data: bytes) -> bytes:
        """Return the answer to one of Envoy's messages. It is parsed here, so that one that cannot be is a failure like any other.

        Raises: whatever broke, after the failure policy has had no answer to give.
        """
        now_us = self._desk.now_us
        try:
            request = ProcessingRequest.FromString(data)
            step = await self._inspected(self._exchange.receive(codec.read(request, now_us())))
        except Exception as error:
            log.exception("exchange.broken", extra={"decision_id": self._exchange.decision_id})
            step = self._exchange.fail(now_us(), InspectionFailed(FailureKind.INTERNAL, type(error).__name__))
            if step.answer is None:  # nothing is left to decide; a verdict would have counted the failure
                self._desk.counts.broken(FailureKind.INTERNAL)
                raise
        try:
            step = self._saved(step)
        except Exception:
            log.exception("exchange.unwritten", extra={"decision_id": self._exchange.decision_id})
            raise
        if step.answer is None:
            raise RuntimeError("a step without an answer")
        return codec.write(step.answer)

    async def _inspected(self, step: Step) -> Step:
        if step.inspect is None:
            return step
        inspection = await _inspect(self._desk, self._exchange.pipeline, step.inspect)
        return self._exchange.receive(Inspected(self._desk.now_us(), inspection))

    def _saved(self, step: Step) -> Step:
        """Write down what a step says, before its answer leaves; a full spool may change the answer."""
        if step.save is None:
            return step
        try:
            self._save(step.save)
        except SpoolFull as full:
            refused = self._exchange.receive(Unwritten(self._desk.now_us(), "the spool is full"))
            self._lose(str(full))
            return step if refused.answer is None else refused
        self._exchange.sent_us = self._desk.now_us()
        return step

    def _save(self, entry: Verdict | Completion) -> None:
        desk = self._desk
        if isinstance(entry, Verdict):
            self._seq = desk.spool.add(verdict_bytes(entry, desk.sidecar, desk.digest), final=entry.final)
            desk.counts.verdict(entry)
            _log_done(entry)
        elif self._seq is not None:
            addition = completion_bytes(entry, self._exchange.started_unix_us, desk.digest)
            desk.spool.complete(self._seq, addition)
            desk.counts.completion(entry)

    def _lose(self, reason: str) -> None:
        self._desk.counts.lost("spool_full")
        log.error("record.lost", extra={"decision_id": self._exchange.decision_id, "reason": reason})
        if self._seq is not None:
            self._desk.spool.abandon(self._seq)
            self._seq = None

    def ended(self) -> None:
        """Write down how a stream ended that closed before its answer did."""
        step = self._exchange.receive(Ended(self._desk.now_us()))
        if step.save is None:
            return
        try:
            self._save(step.save)
        except SpoolFull as full:
            self._lose(str(full))


def _log_done(verdict: Verdict) -> None:
    """One line per exchange: refusals at info, the rest at debug."""
    level = logging.DEBUG if not verdict.final else logging.INFO
    if not log.isEnabledFor(level):
        return
    fields: dict[str, object] = {
        "decision_id": verdict.decision_id,
        "action": verdict.decision.applied.value,
        "score": verdict.inspection.assessment.score,
        "outcome": verdict.outcome.value,
        "user_source": verdict.identity.user_source,
        "endpoint": verdict.head.endpoint[:128],
        "rules": [threat.finding.rule_id for threat in verdict.inspection.assessment.threats[:10]],
    }
    log.log(level, "exchange.decided", extra=fields)


async def _inspect(desk: Desk, pipeline: Pipeline, ask: Inspect) -> Inspection:
    """Return the inspection; one that overruns its deadline in a thread is given up, and says so."""
    if len(ask.data) <= INLINE_BYTES and "content-encoding" not in ask.head.headers:
        return pipeline.inspect(ask.head, ask.data, ask.deadline_us, ask.canaries)
    work = asyncio.get_running_loop().run_in_executor(
        desk.threads, pipeline.inspect, ask.head, ask.data, ask.deadline_us, ask.canaries
    )
    try:
        return await asyncio.wait_for(work, max(0.0, (ask.deadline_us - desk.now_us()) / 1e6))
    except TimeoutError:
        return uninspected(InspectionFailed(FailureKind.DEADLINE, "the inspection did not end in time"), len(ask.data))


def handler(desk: Desk) -> grpc.GenericRpcHandler:
    """Return the gRPC handler of the external processor. Answers are serialized by the codec already."""

    async def process(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        stream = _Stream(desk)
        try:
            async for request in requests:
                try:
                    answer = await stream.answer(request)
                except Exception:  # the rim: logged where it arose; an error status makes Envoy fail by its mode
                    await context.abort(grpc.StatusCode.INTERNAL, "the exchange broke")
                    raise
                yield answer
        finally:
            stream.ended()

    method = grpc.stream_stream_rpc_method_handler(process, request_deserializer=bytes, response_serializer=bytes)
    return grpc.method_handlers_generic_handler("envoy.service.ext_proc.v3.ExternalProcessor", {"Process": method})


def build_server(desk: Desk, address: str) -> grpc.aio.Server:
    """Return a server bound to an address such as unix:/run/douane/worker-0.sock, not yet started.

    Raises: RuntimeError when the address cannot be bound.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
            ("grpc.max_concurrent_streams", _MAX_STREAMS),
            # By default gRPC refuses new streams at random when more than 1,000 wait to be taken up (all beyond 3,000):
            # a burst would be a wave of 503.
            ("grpc.server.max_pending_requests", _MAX_STREAMS),
            ("grpc.server.max_pending_requests_hard_limit", _MAX_STREAMS),
            ("grpc.so_reuseport", 0),
        ]
    )
    server.add_generic_rpc_handlers((handler(desk),))
    server.add_insecure_port(address)
    return server
