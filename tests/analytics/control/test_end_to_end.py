"""The whole way, over real gRPC: a change through the API is in force in three sidecars' watches, and they say so.

`python -m tests.analytics.control.bench_push` measures the same way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine

from analytics.ingest.auth import Guard, Senders, admit
from analytics.store import database, sidecars
from sidecar.config import Settings
from sidecar.control.policies import Policies
from sidecar.control.snapshot import Held
from sidecar.control.watch import Clock, Place, Watch
from sidecar.policy import Compiled, Policy
from sidecar.uplink import open_channel
from tests.analytics.api.steering import api
from tests.analytics.conftest import NOW_UNIX_S
from tests.analytics.control.steering import activate, books, row
from tests.analytics.control.watching import serving, until

pytestmark = pytest.mark.server
BUILT_IN = Compiled(Policy())


class Ignored:
    """Counts nothing."""

    def control_applied(self, version: int, unix_s: float) -> None:
        """Count nothing."""

    def control_failed(self, what: str) -> None:
        """Count nothing."""


@dataclass
class Sidecar:
    """One worker's watch and policies, as sidecar/app.py puts them together."""

    name: str
    folder: Path
    heard: list[Held] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policies = Policies(lambda _tenant: BUILT_IN, Policy(), lambda *, good: None)
        place = Place(self.name, self.folder / f"{self.name.replace('/', '-')}.snapshot")
        clock = Clock(lambda: round(NOW_UNIX_S * 1e6), Random(1))
        self.watch = Watch(place, self._apply, self.policies.in_force, Ignored(), clock)

    def _apply(self, held: Held) -> None:
        self.policies.apply(held)
        self.heard.append(held)

    @asynccontextmanager
    async def running(self, port: int, token: str = "") -> AsyncIterator[None]:
        settings = Settings(_env_file=None, analytics_grpc=f"127.0.0.1:{port}", analytics_token=token or None)
        async with open_channel(settings) as channel:
            task = asyncio.create_task(self.watch.run(channel))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def three(folder: Path, port: int) -> AsyncIterator[list[Sidecar]]:
    """Return three sidecars that watch and have heard."""
    workers = [Sidecar(f"web-{number}/0", folder) for number in range(3)]
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker.running(port))
        await until(lambda: all(worker.heard for worker in workers))
        yield workers


async def test_a_policy_is_in_force_everywhere_and_refused_where_it_cannot_be(engine: Engine, tmp_path: Path) -> None:
    with api(engine) as on:
        async with serving(engine) as served, three(tmp_path, served.port) as workers:
            digest = (await asyncio.to_thread(on.put, "deny_score: 12", activate=True)).json()["digest"]
            await until(lambda: all(one.policies.of("default").policy.version == digest for one in workers))
            states = [state for worker in workers for state in worker.policies.in_force() if state.tenant == "default"]
            await asyncio.to_thread(on.client.post, "/api/policies/default/rollback")
            await asyncio.to_thread(on.client.delete, "/api/policies/default")
            await until(lambda: all(one.policies.of("default") is BUILT_IN for one in workers))
    assert [(state.version, state.refused_version) for state in states] == [(digest, "")] * 3


async def test_what_sidecars_have_in_force_is_shown(sqlite_engine: Engine, tmp_path: Path) -> None:
    def note() -> None:
        with database.writing(sqlite_engine) as connection:
            sidecars.tell(connection, [state for states, _ in served.told for state in states])

    with api(sqlite_engine) as on:
        async with serving(sqlite_engine, clock=lambda: NOW_UNIX_S) as served, three(tmp_path, served.port):
            digest = (await asyncio.to_thread(on.put, "deny_score: 12", activate=True)).json()["digest"]
            await until(lambda: sum(str(states).count(digest) for states, _ in served.told) >= 3)
            await asyncio.to_thread(note)
            rollout = (await asyncio.to_thread(on.client.get, "/api/policies/default")).json()["rollout"]
    assert rollout == {"sidecars": 3, "versions": {digest: 3}, "refusals": []}


async def test_risk_quarantine_and_budgets_reach_every_sidecar(engine: Engine, tmp_path: Path) -> None:
    policy = "user_risk: {quarantine_at: 20}\nbudgets: [{name: calls, unit: requests, window: day, limit: 9}]"
    with api(engine) as on:
        async with serving(engine) as served, three(tmp_path, served.port) as workers:
            await asyncio.to_thread(on.put, policy, activate=True)
            store = books(engine, lambda: NOW_UNIX_S).store
            rows = [row(number, 8.0, at_us=1_800_000_000, sidecar=worker.name) for number, worker in enumerate(workers)]
            await asyncio.to_thread(store, rows)
            await until(lambda: all(("default", "alice") in one.watch.held.users for one in workers))
            await until(lambda: all(one.watch.held.budgets for one in workers))
            user = workers[0].watch.held.users["default", "alice"]
            uses = [worker.watch.held.budgets["default", "calls", ""] for worker in workers]
            body = {"reason": "a mistake"}
            await asyncio.to_thread(lambda: on.client.post("/api/security/users/alice/release", json=body))
            await until(
                lambda: all(not w.watch.held.users["default", "alice"].quarantined_until_unix_us for w in workers)
            )
    assert user.quarantined_until_unix_us > NOW_UNIX_S * 1e6
    assert user.reason.startswith("user risk ")
    assert [(use.others, use.own) for use in uses] == [(2, 1)] * 3


async def test_a_sidecar_watches_with_its_token_and_not_without(sqlite_engine: Engine, tmp_path: Path) -> None:
    guard = Guard(Senders(sqlite_engine, lambda: NOW_UNIX_S, required=True, shared_token="open sesame"))
    known, stranger = Sidecar("web-1/0", tmp_path), Sidecar("web-2/0", tmp_path)
    async with (
        serving(sqlite_engine, admit, guards=[guard]) as served,
        known.running(served.port, "open sesame"),
        stranger.running(served.port, "friend"),
    ):
        await until(lambda: known.heard)
        activate(sqlite_engine, "deny_score: 12")
        await until(lambda: known.policies.of("default").policy.deny_score == 12)
        assert (stranger.heard, served.sample("douane_control_streams")) == ([], 1.0)
