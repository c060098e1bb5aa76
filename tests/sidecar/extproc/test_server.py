"""Through the real gRPC server, in process, over a Unix socket, with a real spool."""

import asyncio
import logging
import sqlite3
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from douane.envoy import ext_proc_pb2 as pb
from douane.v1 import decision_pb2 as records

from sidecar.detectors import Detector
from sidecar.detectors.ruleset import Ruleset
from sidecar.extproc.exchange import Exchange
from sidecar.extproc.server import INLINE_BYTES, Desk, build_server
from sidecar.pipeline import Pipeline
from sidecar.policy import Policy, PolicySet, SpoolFull
from sidecar.record.spool import Spool
from sidecar.types import Completion, ContentCapture, FailureKind, Finding, Mode, Verdict, View
from tests.sidecar.values import ATTACK, IDENTIFIER, Broken, Words, answer, around, chat, stream

pytestmark = pytest.mark.server

NAMESPACE = "envoy.filters.http.ext_proc"
METHOD = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
OBSERVE = Policy(mode=Mode.OBSERVE)


@dataclass
class Counted:
    """Counts, and tells when an exchange has ended."""

    verdicts: list[Verdict] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    kinds: list[FailureKind] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        self.changed.set()

    def completion(self, completion: Completion) -> None:
        self.completions.append(completion)
        self.changed.set()

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)

    def broken(self, kind: FailureKind) -> None:
        self.kinds.append(kind)

    async def until(self, seen: Callable[[], object]) -> None:
        """Wait until something is seen; the test's timeout ends a wait in vain."""
        while not seen():
            self.changed.clear()
            await self.changed.wait()


@dataclass
class Worker:
    """A running server and what it writes to."""

    channel: grpc.aio.Channel
    server: grpc.aio.Server
    spool: Spool
    counts: Counted
    path: Path

    def call(self) -> Any:
        return self.channel.stream_stream(METHOD, request_serializer=bytes, response_deserializer=bytes)()

    def on_disk(self) -> list[records.DecisionRecord]:
        """Read the spool as somebody else would after a kill."""
        with closing(sqlite3.connect(self.path)) as db:
            rows = db.execute("SELECT body FROM records ORDER BY seq").fetchall()
        return [records.DecisionRecord.FromString(body) for (body,) in rows]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the kernel allows a Unix socket 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="douane") as name:
        yield Path(name)


@asynccontextmanager
async def worker(
    folder: Path,
    *detectors: Detector,
    policy: Policy | None = None,
    spool_bytes: int = 2**26,
    now_us: Callable[[], int] = lambda: time.monotonic_ns() // 1000,
    **surroundings: Any,
) -> AsyncIterator[Worker]:
    spool, counts = Spool(folder / "spool.db", spool_bytes), Counted()
    pipeline = Pipeline(now_us, Ruleset(detectors or (Words(),), "rules-1"))
    shared = around(pipeline=pipeline, **surroundings)
    numbers = iter(range(1_000_000))
    with ThreadPoolExecutor(2) as threads:
        desk = Desk(
            spool=spool,
            counts=counts,
            new_exchange=lambda: Exchange(f"{next(numbers):032x}", PolicySet.one(policy or Policy()), shared),
            now_us=now_us,
            digest=IDENTIFIER.digest,
            sidecar="host/0",
            threads=threads,
        )
        server = build_server(desk, f"unix:{folder / 'w.sock'}")
        await server.start()
        try:  # a server that a failed test leaves behind takes later tests with it
            async with grpc.aio.insecure_channel(f"unix:{folder / 'w.sock'}") as channel:
                yield Worker(channel, server, spool, counts, folder / "spool.db")
        finally:
            await server.stop(None)
            spool.close()


def request(data: bytes, path: str = "/v1/chat/completions") -> bytes:
    made = pb.ProcessingRequest(request_body=pb.HttpBody(body=data, end_of_stream=True))
    made.attributes[NAMESPACE].update(
        {"request.path": path, "request.method": "POST", "xds.route_name": "gateway/openai"}
    )
    return made.SerializeToString()


def response(data: bytes, *, end: bool = False, first: bool = False) -> bytes:
    made = pb.ProcessingRequest(response_body=pb.HttpBody(body=data, end_of_stream=end))
    if first:
        made.attributes[NAMESPACE].update({"response.code": 200.0, "response.code_details": "via_upstream"})
    return made.SerializeToString()


async def say(call: Any, data: bytes) -> pb.ProcessingResponse:
    await call.write(data)
    return read(await call.read())


def read(data: Any) -> pb.ProcessingResponse:
    assert isinstance(data, bytes), f"the stream ended without an answer: {data!r}"
    return pb.ProcessingResponse.FromString(data)


async def ended(call: Any) -> Any:
    """Return how a stream ended, after everything it still had to say."""
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    return await call.code()


def code_of(reply: pb.ProcessingResponse) -> tuple[int, bytes]:
    return reply.immediate_response.status.code, reply.immediate_response.body


@pytest.mark.parametrize("size", [10, INLINE_BYTES + 1], ids=["inline", "in a thread"])
async def test_whole_exchange_is_answered_and_recorded(folder: Path, size: int) -> None:
    async with worker(folder) as running:
        call = running.call()
        assert (await say(call, request(chat("x" * size)))).WhichOneof("response") == "request_body"
        (pending,) = running.on_disk()
        assert (pending.stage, pending.outcome) == (records.STAGE_VERDICT, records.OUTCOME_PENDING)
        assert (await say(call, response(stream("Bon", "jour."), first=True))).WhichOneof("response") == "response_body"
        (complete,) = running.on_disk()  # the end of stream has not come yet
        assert (complete.stage, complete.outcome) == (records.STAGE_COMPLETE, records.OUTCOME_ANSWERED)
        assert (complete.usage.prompt_tokens, complete.http_status, complete.provider) == (9, 200, "openai")
        assert complete.timings.inspect_us <= complete.timings.verdict_us <= complete.timings.total_us
        await say(call, response(b"", end=True))
        await call.done_writing()
        assert await ended(call) is grpc.StatusCode.OK
        assert running.on_disk() == [complete]


async def test_refusal_is_on_disk_before_it_arrives(folder: Path) -> None:
    async with worker(folder) as running:
        call = running.call()
        assert code_of(await say(call, request(chat(ATTACK))))[0] == 403
        (record,) = running.on_disk()
        assert (record.stage, record.outcome, record.applied) == (
            records.STAGE_COMPLETE,
            records.OUTCOME_DENIED,
            records.ACTION_DENY,
        )
        assert (record.score, record.http_status, record.sidecar) == (20.0, 403, "host/0")


@pytest.mark.parametrize("size", [10, INLINE_BYTES + 1], ids=["inline", "in a thread"])
@pytest.mark.parametrize(("policy", "kind"), [(Policy(), "immediate_response"), (OBSERVE, "request_body")])
async def test_detector_that_raises_is_answered_by_the_failure_policy(
    folder: Path, size: int, policy: Policy, kind: str
) -> None:
    async with worker(folder, Broken(), policy=policy) as running:
        reply = await say(running.call(), request(chat("x" * size)))
        assert reply.WhichOneof("response") == kind
        (record,) = running.on_disk()
        assert (record.failure, record.failure_detail) == (records.FAILURE_KIND_DETECTOR_ERROR, "broken: KeyError")
        assert (record.would_be, record.request_coverage.complete) == (records.ACTION_DENY, False)


class Clock:
    """A clock that only a detector moves on."""

    def __init__(self) -> None:
        self.us = 1_000_000

    def __call__(self) -> int:
        return self.us


@dataclass(frozen=True)
class Slow:
    """Takes a second by the clock."""

    clock: Clock
    name: str = "slow"

    def detect(self, view: View) -> tuple[Finding, ...]:
        self.clock.us += 1_000_000
        return ()


async def test_small_body_that_overruns_the_deadline_is_answered_by_the_failure_policy(folder: Path) -> None:
    clock = Clock()
    async with worker(folder, Slow(clock), now_us=clock) as running:
        status, body = code_of(await say(running.call(), request(chat("hello"))))
        assert (status, b"douane_deadline" in body) == (503, True)
        (record,) = running.on_disk()
        assert (record.failure, record.timings.inspect_us) == (records.FAILURE_KIND_DEADLINE, 1_000_000)


@dataclass
class Seen:
    """Counts the texts it sees, as they were sent."""

    texts: int = 0
    name: str = "seen"

    def detect(self, view: View) -> tuple[Finding, ...]:
        self.texts += view.kind == "as_sent"
        return ()


@dataclass(frozen=True)
class Stuck:
    """Waits until it is let go."""

    let_go: threading.Event
    name: str = "stuck"

    def detect(self, view: View) -> tuple[Finding, ...]:
        self.let_go.wait(30)
        return ()


@pytest.mark.parametrize(("policy", "kind"), [(Policy, "immediate_response"), (OBSERVE, "request_body")])
async def test_large_body_that_overruns_the_deadline_is_given_up_and_holds_nobody_up(
    folder: Path, policy: Any, kind: str
) -> None:
    let_go = threading.Event()
    policy = Policy(mode=OBSERVE.mode if policy is OBSERVE else Mode.ENFORCE, deadline_ms=50)
    try:
        async with worker(folder, Stuck(let_go), policy=policy) as running:
            large = asyncio.create_task(say(running.call(), request(chat("x" * (INLINE_BYTES + 1)))))
            await say(running.call(), request(b"{}", "/v1/nothing-to-scan"))  # while the large one is inspected
            assert (await large).WhichOneof("response") == kind
            record = next(r for r in running.on_disk() if r.endpoint == "/v1/chat/completions")
            coverage = record.request_coverage
            assert record.failure == records.FAILURE_KIND_DEADLINE
            assert (coverage.complete, coverage.scanned_bytes) == (False, 0)
            assert [(u.reason, u.bytes) for u in coverage.unscanned] == [
                (records.UNSCANNED_REASON_FAILURE, coverage.body_bytes)
            ]
            let_go.set()
    finally:
        let_go.set()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff\xff", id="no protobuf"),
        pytest.param(pb.ProcessingRequest().SerializeToString(), id="empty"),
        pytest.param(
            pb.ProcessingRequest(request_trailers=pb.HttpTrailers()).SerializeToString(), id="never asked for"
        ),
        pytest.param(request(chat("hi")).replace(b"POST", b"\xff\xff\xff\xff"), id="no UTF-8 in an attribute"),
    ],
)
async def test_message_that_cannot_be_read_is_refused_and_recorded(
    folder: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A header that is no UTF-8 must not be a way to leave no trace."""
    async with worker(folder) as running:
        with caplog.at_level(logging.CRITICAL, "douane.exchange"):
            assert code_of(await say(running.call(), data))[0] == 503
        (record,) = running.on_disk()
        assert (record.failure, record.outcome) == (records.FAILURE_KIND_INTERNAL, records.OUTCOME_FAILED)
        assert running.counts.kinds == []  # its verdict counts it


def unable(_verdict: Verdict) -> bytes:
    raise OSError("no words")


@pytest.mark.parametrize("text", [ATTACK, ""], ids=["denied", "malformed"])
async def test_stream_that_cannot_be_answered_ends_with_an_error_status(
    folder: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A clean end would mean: carry on without me."""
    async with worker(folder, refusal=unable) as running:
        with caplog.at_level(logging.CRITICAL):
            call = running.call()
            await call.write(request(chat(text) if text else b"{"))
            assert await ended(call) is grpc.StatusCode.INTERNAL


async def test_spool_that_breaks_ends_the_stream_with_an_error_status(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(folder) as running:
        with closing(sqlite3.connect(running.path)) as db:
            db.execute("DROP TABLE records")
        with caplog.at_level(logging.CRITICAL):
            call = running.call()
            await call.write(request(chat("hello")))
            try:
                first = await call.read()
            except grpc.aio.AioRpcError:
                first = grpc.aio.EOF
        # Refusing is as good as breaking; going on, or ending cleanly, is not.
        assert first is grpc.aio.EOF or read(first).WhichOneof("response") == "immediate_response"
        if first is grpc.aio.EOF:
            assert await call.code() is grpc.StatusCode.INTERNAL


async def test_cancel_before_the_answer_is_recorded(folder: Path) -> None:
    """The client leaves while its large request is inspected."""
    let_go = threading.Event()
    try:
        async with worker(folder, Stuck(let_go), policy=Policy(deadline_ms=600)) as running:
            call = running.call()
            await call.write(request(chat("x" * (INLINE_BYTES + 1))))
            await say(running.call(), request(b"{}", "/v1/nothing-to-scan"))  # by then the first is being inspected
            call.cancel()
            await running.counts.until(lambda: len(running.counts.verdicts) == 2)
            record = running.on_disk()[-1]
            assert (record.outcome, record.http_status) == (records.OUTCOME_CLIENT_ABORTED, 0)
            let_go.set()
    finally:
        let_go.set()


async def test_cancel_in_the_middle_of_the_answer_is_recorded(folder: Path) -> None:
    async with worker(folder) as running:
        call = running.call()
        await say(call, request(chat("hello", stream=True)))
        await say(call, response(stream("Bon")[:100], first=True))
        call.cancel()
        await running.counts.until(lambda: running.counts.completions)
        (record,) = running.on_disk()
        assert (record.stage, record.outcome) == (records.STAGE_COMPLETE, records.OUTCOME_CLIENT_ABORTED)
        assert record.response_coverage.body_bytes == 100


async def test_spool_full_refuses_and_counts_the_loss(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with worker(
        folder, spool_bytes=16 * 4096, policy=Policy(content_capture=ContentCapture.FULL, deadline_ms=600)
    ) as running:
        with caplog.at_level(logging.CRITICAL):
            status, body = code_of(await say(running.call(), request(chat("lorem ipsum " * 6_000))))
        assert (status, b"douane_spool_full" in body) == (503, True)
        assert (running.counts.reasons, running.on_disk()) == (["spool_full"], [])


async def test_spool_full_passes_and_counts_the_loss_when_policy_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = Policy(content_capture=ContentCapture.FULL, spool_full=SpoolFull.LOSE, deadline_ms=600)
    async with worker(folder, spool_bytes=16 * 4096, policy=policy) as running:
        with caplog.at_level(logging.CRITICAL):
            call = running.call()
            assert (await say(call, request(chat("lorem ipsum " * 6_000)))).WhichOneof("response") == "request_body"
            assert (await say(call, response(answer(), first=True, end=True))).WhichOneof("response") == "response_body"
            await call.done_writing()
            assert await ended(call) is grpc.StatusCode.OK
        assert (running.counts.reasons, running.on_disk()) == (["spool_full"], [])


async def test_stop_lets_open_answers_end(folder: Path) -> None:
    async with worker(folder) as running:
        call = running.call()
        await say(call, request(chat("hello")))
        stopping = asyncio.create_task(running.server.stop(30))
        assert (await say(call, response(answer(), first=True, end=True))).WhichOneof("response") == "response_body"
        await call.done_writing()
        assert await ended(call) is grpc.StatusCode.OK
        await stopping
        assert [r.outcome for r in running.on_disk()] == [records.OUTCOME_ANSWERED]


async def test_stop_ends_what_is_left_with_an_error_status_and_records_it(folder: Path) -> None:
    """By the time stop returns: the spool is closed right after it."""
    async with worker(folder) as running:
        calls = [running.call() for _ in range(50)]
        await asyncio.gather(*(say(call, request(chat("hello"))) for call in calls))
        await running.server.stop(0)
        assert [r.outcome for r in running.on_disk()] == [records.OUTCOME_CLIENT_ABORTED] * 50
        assert all([await ended(call) is not grpc.StatusCode.OK for call in calls])


async def test_request_given_up_in_the_queue_is_not_inspected_afterwards(folder: Path) -> None:
    """When every thread is busy, work that nobody waits for any more would keep them busy."""
    let_go, seen = threading.Event(), Seen()
    try:
        async with worker(folder, seen, Stuck(let_go), policy=Policy(deadline_ms=50)) as running:
            data = request(chat("x" * (INLINE_BYTES + 1)))
            replies = await asyncio.gather(*(say(running.call(), data) for _ in range(6)))
            assert [reply.immediate_response.status.code for reply in replies] == [503] * 6
            let_go.set()
    finally:
        let_go.set()
    assert seen.texts == 2


async def test_two_thousand_exchanges_are_open_at_once(folder: Path) -> None:
    """Envoy's own default stops at 1,024; each exchange holds its stream for its whole life.

    Deadlines have tests of their own: here a pause of the test's own process must not be taken for one, so the deadline is
    the longest that a policy allows.
    """
    async with worker(folder, policy=Policy(deadline_ms=600)) as running:
        calls = [running.call() for _ in range(2000)]
        forwarded = await asyncio.gather(*(say(call, request(chat("hello"))) for call in calls))
        assert {reply.WhichOneof("response") for reply in forwarded} == {"request_body"}
        assert (len(running.spool.open), running.spool.waiting) == (2000, 0)
        await asyncio.gather(*(say(call, response(answer(), first=True, end=True)) for call in calls))
        assert (len(running.spool.open), running.spool.waiting) == (0, 2000)
        await asyncio.gather(*(call.done_writing() for call in calls))
        assert {await ended(call) for call in calls} == {grpc.StatusCode.OK}
    assert len({verdict.decision_id for verdict in running.counts.verdicts}) == 2000
