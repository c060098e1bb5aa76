"""Control.Watch through a real gRPC server: whole or resumed, coalesced, refused with a reason, ended with a status."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from douane.v1 import control_pb2 as pb
from sqlalchemy import Engine, update

from analytics.control import serve
from analytics.store import control_state, database, sidecars
from analytics.store.tables import CONTROL_STATE, POLICIES
from analytics.types.control import SidecarState
from tests.analytics.control.steering import activate, books, row
from tests.analytics.control.watching import NOW_S, ended, heard, serving, until, watching
from tests.analytics.traffic import BEGAN_UNIX_US

pytestmark = pytest.mark.server


def texts(snapshot: pb.Snapshot) -> dict[str, str]:
    return {one.tenant: one.text for one in snapshot.policies}


async def test_everything_first_then_what_changed(engine: Engine) -> None:
    activate(engine, "mode: observe")
    async with serving(engine) as served, watching(served.port) as call:
        first = await heard(call)
        activate(engine, "deny_score: 12", "other")
        second = await heard(call)
        assert served.sample("douane_control_streams") == 1.0
    assert (first.full, first.version, texts(first)) == (True, 1, {"default": "mode: observe"})
    assert (second.full, second.version, texts(second)) == (False, 2, {"other": "deny_score: 12"})
    assert first.installation == second.installation != ""


async def test_a_sidecar_resumes_after_the_version_it_names(engine: Engine) -> None:
    activate(engine, "mode: observe")
    async with serving(engine) as served:
        async with watching(served.port) as call:
            first = await heard(call)
        activate(engine, "mode: enforce")
        await served.hub.refresh()
        known = {"version": first.version, "installation": first.installation}
        async with watching(served.port, **known) as call:
            resumed = await heard(call)
        async with watching(served.port, **known | {"installation": "another"}) as call:
            foreign = await heard(call)
        async with watching(served.port, **known | {"version": 99}) as call:
            ahead = await heard(call)
    assert [(one.full, one.version) for one in (resumed, foreign, ahead)] == [(False, 2), (True, 2), (True, 2)]


async def test_who_names_a_version_before_what_was_forgotten_begins_anew(sqlite_engine: Engine) -> None:
    for _ in range(3):
        activate(sqlite_engine, "mode: observe")
    with database.writing(sqlite_engine) as connection:
        control_state.forget(connection, 2)
        installation = control_state.read(connection).installation
    async with serving(sqlite_engine) as served:
        found = []
        for version in (1, 2):
            async with watching(served.port, version=version, installation=installation) as call:
                found.append((await heard(call)).full)
    assert found == [True, False]


async def test_another_replicas_newer_version_is_waited_for_not_undone(sqlite_engine: Engine) -> None:
    async with serving(sqlite_engine) as served:
        async with watching(served.port) as call:
            first = await heard(call)
        activate(sqlite_engine, "mode: observe")
        async with watching(served.port, version=1, installation=first.installation) as call:
            answer = await heard(call)
    assert (answer.full, answer.version, texts(answer)) == (False, 1, {})


async def test_a_heartbeat_says_that_nothing_is_new(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "HEARTBEAT_S", 0.05)
    activate(sqlite_engine, "mode: observe")
    async with serving(sqlite_engine) as served, watching(served.port) as call:
        first, beat = await heard(call), await heard(call)
    assert beat == pb.Snapshot(version=first.version, installation=first.installation)


async def test_a_slow_sidecar_gets_the_newest_state_not_a_queue(sqlite_engine: Engine) -> None:
    """It reads nothing while 120 policies of 100 KB come into force: far more than any buffer on the way holds."""
    pad = "# " + "x" * 100_000 + "\n"
    async with serving(sqlite_engine) as served, watching(served.port) as slow:
        first = await heard(slow)
        async with watching(served.port, sidecar="quick") as quick:
            await heard(quick)
            for number in range(120):
                activate(sqlite_engine, f"{pad}deny_score: {number + 10}")
                if number % 20 == 0:
                    served.hub.nudge()
                    await heard(quick)
        bytes_, snapshot = 0, first
        while snapshot.version < 120:
            snapshot = await heard(slow)
            bytes_ += len(snapshot.SerializeToString())
    assert texts(snapshot)["default"] == f"{pad}deny_score: 129"
    assert bytes_ < 6_000_000


@pytest.mark.parametrize(
    ("request_", "code", "details"),
    [
        ({"sidecar": ""}, grpc.StatusCode.INVALID_ARGUMENT, "sidecar is a name of 1 to 256 characters"),
        ({"sidecar": "x" * 257}, grpc.StatusCode.INVALID_ARGUMENT, "sidecar is a name of 1 to 256 characters"),
        ({"tenant": "other"}, grpc.StatusCode.PERMISSION_DENIED, "this token is of tenant default"),
    ],
)
async def test_who_may_not_watch_is_told_why(
    sqlite_engine: Engine, request_: dict[str, str], code: grpc.StatusCode, details: str
) -> None:
    def admit(_context: grpc.aio.ServicerContext, tenant: str) -> str:
        if tenant not in ("", "default"):
            raise PermissionError("this token is of tenant default")
        return "default"

    async with serving(sqlite_engine, admit) as served, watching(served.port, **request_) as call:
        assert await ended(call) == (code, details)
        assert served.sample("douane_control_refused_total", reason=code.name.lower()) == 1.0


async def test_an_admitted_tenant_sees_its_own_only(sqlite_engine: Engine) -> None:
    activate(sqlite_engine, "mode: observe", "default")
    activate(sqlite_engine, "mode: enforce", "other")
    async with serving(sqlite_engine, lambda _context, _tenant: "other") as served, watching(served.port) as call:
        assert texts(await heard(call)) == {"other": "mode: enforce"}


async def test_streams_end_with_a_status_when_analytics_stops(sqlite_engine: Engine) -> None:
    async with serving(sqlite_engine) as served, watching(served.port) as call:
        await heard(call)
        served.control.stop()
        assert await ended(call) == (grpc.StatusCode.UNAVAILABLE, "analytics is stopping")


async def test_what_sidecars_tell_is_noted(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "TELL_EVERY_S", 0.02)
    monkeypatch.setattr(serve, "TOUCH_EVERY_S", 0.02)
    state = {"tenant": "default", "version": "abc", "refused_version": "def", "refusal": "no " * 400}
    async with serving(sqlite_engine) as served, watching(served.port) as call:
        await heard(call)
        await call.write(pb.WatchRequest(sidecar="web-1/0", version=7, policies=[pb.PolicyState(**state)]))
        await until(lambda: any(states and states[0].version == 7 for states, _ in served.told))
    noted = [one for states, _ in served.told for one in states][-1]
    assert noted == SidecarState("web-1/0", "", 7, BEGAN_UNIX_US, ({**state, "refusal": ("no " * 400)[:500]},))
    assert ("web-1/0", 0) in [one for _, live in served.told for one in live]


async def test_what_is_noted_is_held_in_the_store(sqlite_engine: Engine) -> None:
    with ThreadPoolExecutor(1) as writer:
        tell = serve.telling(sqlite_engine, writer, lambda: NOW_S + 5)
        await tell([SidecarState("a", "", 1, 7, ()), SidecarState("b", "t", 2, 8, ({"tenant": "t"},))], [])
        await tell([], [("a", 3), ("gone", 4)])
    with sqlite_engine.connect() as connection:
        assert sidecars.read(connection, None, 0, 10) == [
            SidecarState("a", "", 3, BEGAN_UNIX_US + 5_000_000, ()),
            SidecarState("b", "t", 2, 8, ({"tenant": "t"},)),
        ]


async def test_budget_use_of_three_sidecars_is_told_to_each(engine: Engine) -> None:
    activate(engine, "budgets: [{name: calls, unit: requests, window: day, limit: 3}]")
    names = [f"web-{number}/0" for number in range(3)]
    store = books(engine, lambda: NOW_S).store
    store([row(number, sidecar=name) for number, name in enumerate(names + names[:1])])
    async with serving(engine) as served:
        found = {}
        for name in names:
            async with watching(served.port, sidecar=name) as call:
                last = (await heard(call)).budgets[-1]
                found[name] = (last.others, last.own)
    assert found == {"web-0/0": (2, 2), "web-1/0": (3, 1), "web-2/0": (3, 1)}


async def test_a_database_put_back_from_a_copy_is_told_whole(sqlite_engine: Engine) -> None:
    for _ in range(3):
        activate(sqlite_engine, "mode: observe")
    async with serving(sqlite_engine) as served, watching(served.port) as call:
        first = await heard(call)
        with database.writing(sqlite_engine) as connection:
            connection.execute(update(CONTROL_STATE).values(version=1))
            connection.execute(update(POLICIES).values(changed_version=1))
        second = await heard(call)
    assert [(one.full, one.version, texts(one)) for one in (first, second)] == [
        (True, 3, {"default": "mode: observe"}),
        (True, 1, {"default": "mode: observe"}),
    ]


async def test_streams_rest_when_there_is_nothing_to_tell(sqlite_engine: Engine) -> None:
    activate(sqlite_engine, "mode: observe")
    async with serving(sqlite_engine) as served, watching(served.port) as call:
        await heard(call)
        await until(lambda: served.hub.telling == (1, 0))
        began = time.process_time()
        await asyncio.sleep(0.5)
        spent = time.process_time() - began
        sent = [served.sample("douane_control_snapshots_total", kind=kind) for kind in ("full", "delta")]
    assert (sent, spent < 0.25) == ([1.0, None], True)
