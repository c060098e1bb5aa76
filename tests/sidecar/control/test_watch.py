"""The watch against a scripted analytics over real gRPC: applied, resumed, told, kept on disk, never given up."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import grpc
import pytest
from douane.v1 import control_pb2 as pb

from sidecar.control import snapshot, watch
from sidecar.control.snapshot import Held, HeldPolicy
from sidecar.control.watch import Clock, InForce, Place, Watch

pytestmark = pytest.mark.server
NOW_US = 1_795_000_000_000_000


class Impatient(Random):
    """Waits half of what it must."""

    def random(self) -> float:
        return 0.0


@dataclass
class Counted:
    """Counts what the watch does."""

    applied: list[tuple[int, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def control_applied(self, version: int, unix_s: float) -> None:
        self.applied.append((version, unix_s))

    def control_failed(self, what: str) -> None:
        self.failures.append(what)


class Analytics:
    """Sends what it is given, stream by stream; ends a stream on None."""

    def __init__(self) -> None:
        self.requests: list[pb.WatchRequest] = []
        self.answers: asyncio.Queue[pb.Snapshot | None] = asyncio.Queue()

    async def watch(self, requests: AsyncIterator[pb.WatchRequest], context: grpc.aio.ServicerContext) -> None:
        self.requests.append(await anext(requests))
        listening = asyncio.create_task(self._listen(requests))
        try:
            while (answer := await self.answers.get()) is not None:
                await context.write(answer)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")
        finally:
            listening.cancel()

    async def _listen(self, requests: AsyncIterator[pb.WatchRequest]) -> None:
        async for request in requests:
            self.requests.append(request)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        handler = grpc.stream_stream_rpc_method_handler(
            self.watch, pb.WatchRequest.FromString, pb.Snapshot.SerializeToString
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("douane.v1.Control", {"Watch": handler}),)
        )
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield bound
        finally:
            await server.stop(None)


@dataclass
class Worker:
    """A watch with what it told."""

    folder: Path
    name: str = "worker-0"
    heard: list[Held] = field(default_factory=list)
    states: tuple[InForce, ...] = (InForce("*", "built-in"),)
    counted: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        place = Place("web-1/0", self.folder / f"{self.name}.snapshot")
        clock = Clock(lambda: NOW_US, Impatient())
        self.watch = Watch(place, self.heard.append, lambda: self.states, self.counted, clock)

    @asynccontextmanager
    async def running(self, port: int) -> AsyncIterator["Worker"]:
        self.watch.begin()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", watch.CHANNEL_OPTIONS) as channel:
            task = asyncio.create_task(self.watch.run(channel))
            try:
                yield self
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10.0):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def told(version: int, text: str = "", **fields: object) -> pb.Snapshot:
    policies = [pb.PolicyDocument(tenant="*", version=f"v{version}", text=text)] if text else []
    return pb.Snapshot(installation="i", version=version, policies=policies, **fields)


@pytest.fixture
def analytics() -> Analytics:
    return Analytics()


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path / "control")


async def test_snapshots_are_applied_in_order_and_parts_as_one(analytics: Analytics, worker: Worker) -> None:
    user = [pb.UserRisk(tenant="t", user=name, risk=1.0, as_of_unix_us=NOW_US) for name in "uv"]
    for one in (told(1, "a", full=True), told(2, continued=True, users=user[:1]), told(2, users=user[1:]), told(2)):
        analytics.answers.put_nowait(one)
    async with analytics.serving() as port, worker.running(port):
        await until(lambda: len(worker.counted.applied) == 3)
    assert [(one.version, sorted(user for _, user in one.users)) for one in worker.heard] == [(1, []), (2, ["u", "v"])]
    assert worker.heard[-1].policies == {"*": HeldPolicy("v1", "a")}
    assert worker.counted == Counted([(1, NOW_US / 1e6), (2, NOW_US / 1e6), (2, NOW_US / 1e6)], [])


async def test_a_broken_stream_is_resumed_after_the_version_held(analytics: Analytics, worker: Worker) -> None:
    for one in (told(7, "a", full=True), None, told(8, "b")):
        analytics.answers.put_nowait(one)
    async with analytics.serving() as port, worker.running(port):
        await until(lambda: len(worker.heard) == 2)
    first, second = analytics.requests[:2]
    assert (first.sidecar, first.installation, first.version) == ("web-1/0", "", 0)
    assert (second.installation, second.version) == ("i", 7)
    assert worker.counted.failures == ["stream"]
    assert worker.heard[-1].policies == {"*": HeldPolicy("v8", "b")}


async def test_half_a_snapshot_is_never_in_force(analytics: Analytics, worker: Worker) -> None:
    for one in (told(1, "a", full=True, continued=True), None, told(1, "b", full=True)):
        analytics.answers.put_nowait(one)
    async with analytics.serving() as port, worker.running(port):
        await until(lambda: worker.heard)
    assert [one.policies["*"].text for one in worker.heard] == ["b"]


async def test_analytics_is_told_what_is_in_force_whenever_it_changes(analytics: Analytics, worker: Worker) -> None:
    async with analytics.serving() as port, worker.running(port):
        await until(lambda: len(analytics.requests) == 1)
        worker.states = (InForce("*", "v1", "v2", "deny_score: not a number"),)
        analytics.answers.put_nowait(told(1, full=True))
        await until(lambda: len(analytics.requests) == 2)
        analytics.answers.put_nowait(told(1))
        await until(lambda: len(worker.counted.applied) == 2)
    assert [list(one.policies) for one in analytics.requests] == [
        [pb.PolicyState(tenant="*", version="built-in")],
        [pb.PolicyState(tenant="*", version="v1", refused_version="v2", refusal="deny_score: not a number")],
    ]
    assert analytics.requests[1].version == 1


async def test_a_stream_that_falls_silent_is_opened_again(
    analytics: Analytics, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_SILENCE_S", 0.1)
    async with analytics.serving() as port, worker.running(port):
        await until(lambda: len(analytics.requests) == 2)
    assert worker.counted.failures[0] == "stream"


async def test_a_restart_works_while_analytics_is_away_and_finds_it_later(
    analytics: Analytics, worker: Worker, tmp_path: Path
) -> None:
    analytics.answers.put_nowait(told(3, "a", full=True))
    async with analytics.serving() as port, worker.running(port):
        await until(lambda: worker.heard)
    again = Worker(tmp_path / "control")
    async with again.running(port):
        assert [one.policies["*"].text for one in again.heard] == ["a"]
        assert again.counted.applied == []
        await until(lambda: "stream" in again.counted.failures)
        analytics.requests.clear()
        analytics.answers.put_nowait(told(4, "b"))
        async with analytics.serving(port):
            await until(lambda: len(again.heard) == 2)
    assert (analytics.requests[0].version, again.heard[1].policies["*"].text) == (3, "b")


async def test_what_steers_is_on_the_disk_at_once(analytics: Analytics, worker: Worker) -> None:
    analytics.answers.put_nowait(told(3, "a", full=True))
    path = worker.folder / "worker-0.snapshot"
    async with analytics.serving() as port, worker.running(port):
        await until(path.exists)
        assert snapshot.read(path).version == 3
        user = pb.UserRisk(tenant="t", user="u", risk=1.0, as_of_unix_us=NOW_US)
        analytics.answers.put_nowait(told(4, users=[user]))
        await until(lambda: len(worker.heard) == 2)
        await asyncio.sleep(0.05)
        assert snapshot.read(path).version == 3
    assert snapshot.read(path).version == 4


async def test_a_policy_that_was_refused_here_is_not_what_a_restart_begins_with(
    analytics: Analytics, worker: Worker
) -> None:
    async with analytics.serving() as port, worker.running(port):
        analytics.answers.put_nowait(told(3, "good", full=True))
        await until(lambda: len(worker.heard) == 1)
        worker.states = (InForce("*", "v3", "v4", "no"),)
        analytics.answers.put_nowait(told(4, "bad"))
        await until(lambda: len(worker.heard) == 2)
    kept = snapshot.read(worker.folder / "worker-0.snapshot")
    assert (kept.version, dict(kept.policies)) == (0, {"*": HeldPolicy("v3", "good")})


def test_a_broken_file_is_ignored_logged_and_counted(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    worker.folder.mkdir()
    (worker.folder / "worker-0.snapshot").write_bytes(b"nonsense")
    worker.watch.begin()
    assert (worker.heard, worker.counted.failures) == ([], ["read"])
    assert [(one.message, one.reason) for one in caplog.records] == [
        ("control.unreadable", "it does not begin as a snapshot")
    ]


def test_a_new_worker_begins_with_what_its_newest_sibling_held(worker: Worker) -> None:
    for number, (text, seen) in enumerate([("old", 100), ("new", 300), ("broken", 400), ("older", 50)], 1):
        path = worker.folder / f"worker-{number}.snapshot"
        snapshot.write(path, Held("i", number, policies={"*": HeldPolicy("v", text)}))
        if text == "broken":
            path.write_bytes(b"")
        os.utime(path, (seen, seen))
    worker.watch.begin()
    assert [(one.version, one.policies["*"].text) for one in worker.heard] == [(0, "new")]


async def test_a_disk_that_is_full_stops_nothing(analytics: Analytics, tmp_path: Path) -> None:
    (tmp_path / "control").write_text("a file where the folder should be")
    worker = Worker(tmp_path / "control")
    analytics.answers.put_nowait(told(3, "a", full=True))
    async with analytics.serving() as port, worker.running(port):
        await until(lambda: "save" in worker.counted.failures)
    assert worker.heard[0].version == 3


async def test_what_is_past_is_let_go_now_and_then(analytics: Analytics, worker: Worker) -> None:
    ended = pb.BudgetUse(tenant="t", budget="b", window_unix_s=0, resets_unix_s=NOW_US // 1_000_000)
    analytics.answers.put_nowait(told(1, full=True, budgets=[ended]))
    analytics.answers.put_nowait(told(2, "a", budgets=[ended]))
    async with analytics.serving() as port, worker.running(port):
        await until(lambda: len(worker.heard) == 2)
        assert [len(one.budgets) for one in worker.heard] == [0, 1]
