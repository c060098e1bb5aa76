"""One worker, constructed top to bottom: settings, policy, rules, spool, publisher, server.

In: Settings and the worker's index. Out: a running worker, until it is told to stop.
Here are the clock, the randomness, the files and the threads that everything else is handed.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import grpc
import msgspec
from douane.v1.control_pb2 import PublishResponse

from sidecar.config import Settings
from sidecar.control.packs_folder import PacksFolder
from sidecar.control.policies import Policies
from sidecar.control.policy_file import PolicyFile
from sidecar.control.snapshot import NOTHING, Held
from sidecar.control.watch import Clock, Place, Watch
from sidecar.detectors.ruleset import Ruleset
from sidecar.extproc.exchange import Exchange
from sidecar.extproc.server import Desk, build_server
from sidecar.extproc.surroundings import Surroundings
from sidecar.identity import Identifier, Workload
from sidecar.pipeline import Pipeline
from sidecar.protocols.generate import Target
from sidecar.record.publish import Publisher
from sidecar.record.spool import Spool
from sidecar.refusal import refusal_body
from sidecar.risk.memo import Memo
from sidecar.telemetry import Counts
from sidecar.uplink import failure, open_channel

log = logging.getLogger("douane.worker")

# A worker whose event loop stands still this long is stuck: it leaves a traceback and exits, and its supervisor starts another.
_STUCK_S = 20


def socket_path(folder: Path, index: int) -> Path:
    """Return the Unix socket of a worker."""
    return folder / "run" / f"worker-{index}.sock"


def snapshot_path(folder: Path, index: int) -> Path:
    """Return where a worker keeps what analytics has told it."""
    return folder / "control" / f"worker-{index}.snapshot"


def policy_path(settings: Settings) -> Path | None:
    """Return the policy file in use, None when there is none."""
    return _chosen(settings.policy_file, settings.folder / "policy.yaml")


def packs_path(settings: Settings) -> Path:
    """Return the folder of users' packs; it need not exist unless it was named."""
    return settings.packs_dir.expanduser() if settings.packs_dir else settings.folder / "packs"


def models_path(settings: Settings) -> Path:
    """Return the table of model names in use."""
    return _chosen(settings.models_file, settings.folder / "models.yaml") or Path(__file__).with_name("models.yaml")


def _chosen(named: Path | None, usual: Path) -> Path | None:
    if named is not None:
        return named.expanduser()
    return usual if usual.exists() else None


def load_models(path: Path, providers: tuple[str, ...]) -> dict[str, Target]:
    """Return the table of model names.

    Raises: ValueError naming the file and the line's fault; OSError when the file cannot be read.
    """
    try:
        table = msgspec.yaml.decode(path.read_bytes(), type=dict[str, Target])
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    for name, target in table.items():
        if target.provider not in providers:
            raise ValueError(f"{path}: {name} names provider {target.provider!r}; known: {', '.join(providers)}")
    return table


def digest_key(settings: Settings) -> bytes:
    """Return the installation's key, made once in the data folder unless one is configured."""
    configured = settings.secret_key()
    if configured is not None:
        return configured
    path = settings.folder / "digest.key"
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(32))
    return path.read_bytes()


def decision_ids(wall_ns: Callable[[], int], entropy: Callable[[int], bytes]) -> Callable[[], str]:
    """Return a source of UUIDs of version 7 as 32 hex digits (RFC 9562, 5.7): they sort by time."""

    def next_id() -> str:
        bits = (wall_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(entropy(10))
        bits = bits & ~(0xF << 76) | 7 << 76
        return f"{bits & ~(0b11 << 62) | 0b10 << 62:032x}"

    return next_id


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def _pipeline(ruleset: Ruleset, max_body_bytes: int) -> Pipeline:
    """Return the line with these rules and a memo of its own: what other rules found says nothing about these."""
    return Pipeline(_monotonic_us, ruleset, Memo(os.urandom(32)), max_body_bytes)


class Worker:
    """One sidecar worker. It needs nothing on the hot path but its own memory and its own disk."""

    def __init__(self, settings: Settings, index: int) -> None:
        self.settings = settings
        self.counts = Counts()
        self.policy = PolicyFile(policy_path(settings), settings.default_policy(), self.counts.policy_read)
        self.held = NOTHING
        self.policies = Policies(self.policy.of, settings.default_policy(), self.counts.policy_read)
        self.spool = _open_spool(settings, index)
        self.counts.recovered(self.spool.recovered)
        self.packs = PacksFolder(packs_path(settings), self.counts.packs_read, required=settings.packs_dir is not None)
        self.around = self._surroundings()
        self.threads = ThreadPoolExecutor(2, thread_name_prefix="inspect")
        self.channel = open_channel(settings)
        self.name = f"{socket.gethostname()}/{index}"
        self.watch = self._watch(index)
        self.publisher = Publisher(self.spool, _sender(self.channel), self.counts, time.monotonic, Random())
        self.server = build_server(self._desk(), f"unix:{socket_path(settings.folder, index)}")

    def _watch(self, index: int) -> Watch:
        file = snapshot_path(self.settings.folder, index)
        clock = Clock(lambda: time.time_ns() // 1_000, Random())
        return Watch(Place(self.name, file), self._told, self.policies.in_force, self.counts, clock)

    def _told(self, held: Held) -> None:
        """Put in force what analytics has told: exchanges that begin from now on see it. What is the same costs nothing."""
        before, self.held = self.held, held
        if held.policies is not before.policies:
            self.policies.apply(held)
            self._show_policies()
        if held.users is not before.users:
            self.around.users.apply(held.users)
        if held.prices is not before.prices:
            self.around.budgets.prices(held.prices)
        if held.budgets is not before.budgets:
            self.around.budgets.apply(held.budgets, time.time_ns() // 1_000)

    def _show_policies(self) -> None:
        self.counts.policies_in_force((one.tenant, one.version) for one in self.policies.in_force())

    def _desk(self) -> Desk:
        next_id = decision_ids(time.time_ns, os.urandom)
        return Desk(
            spool=self.spool,
            counts=self.counts,
            new_exchange=lambda: Exchange(next_id(), self.policies, self.around),
            now_us=_monotonic_us,
            digest=self.around.identifier.digest,
            sidecar=self.name,
            threads=self.threads,
        )

    def _surroundings(self) -> Surroundings:
        settings = self.settings
        providers = settings.providers()
        return Surroundings(
            pipeline=_pipeline(self.packs.current, self.settings.max_body_bytes),
            identifier=Identifier(
                digest_key(settings),
                settings.user_header,
                settings.tenant_header,
                settings.session_header,
                Workload(settings.pod_name, settings.pod_namespace, settings.service_account),
                settings.team_header,
            ),
            models=load_models(models_path(settings), tuple(p.name for p in providers)),
            keys=_generate_keys(settings),
            paths={p.name: f"{p.upstream_prefix}chat/completions" for p in providers},
            wall_offset_us=time.time_ns() // 1000 - _monotonic_us(),
            refusal=refusal_body,
        )

    def _rules_changed(self) -> None:
        """Exchanges that begin from now on see the new rules; those under way keep theirs."""
        self.around = replace(self.around, pipeline=_pipeline(self.packs.current, self.settings.max_body_bytes))

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then finish what is under way and deliver what waits."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._show_policies()
        self.watch.begin()
        await self.server.start()
        log.info("worker.ready", extra={"pid": os.getpid(), "recovered": self.spool.recovered})
        watches = (
            self.policy.watch(self._show_policies),
            self.packs.watch(self._rules_changed),
            self.watch.run(self.channel),
        )
        tasks = [loop.create_task(work) for work in (self.publisher.run(), *watches, self._heartbeat())]
        waiting = loop.create_task(stop.wait())
        await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        broken = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        await self._stop([waiting, *tasks])
        if broken:  # a worker that no longer delivers, or no longer reads its policy or rules, must not go on as if nothing were
            raise RuntimeError("a background task of the worker ended") from broken[0]

    async def _heartbeat(self) -> None:
        """Show the spool's depth, and keep the watchdog quiet."""
        show = self.counts.watch_spool(lambda: self.spool.waiting, lambda: len(self.spool.open))
        while True:
            faulthandler.dump_traceback_later(_STUCK_S, exit=True)
            show()
            await asyncio.sleep(1)

    async def _stop(self, tasks: list["asyncio.Task[Any]"]) -> None:
        await self.server.stop(self.settings.drain_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        faulthandler.cancel_dump_traceback_later()
        left = await self.publisher.drain(min(5.0, self.settings.drain_s))
        log.info("worker.stopped", extra={"undelivered": left})
        await self.channel.close()
        self.spool.close()
        self.threads.shutdown(wait=False)


def _open_spool(settings: Settings, index: int) -> Spool:
    """Open this worker's spool; the first worker takes over those of workers that no longer exist."""
    folder = settings.folder / "spool"
    folder.mkdir(parents=True, exist_ok=True)
    spool = Spool(folder / f"worker-{index}.db", settings.spool_max_bytes, sync=settings.spool_sync)
    if index == 0:
        ours = {f"worker-{number}.db" for number in range(settings.workers)}
        for path in sorted(folder.glob("worker-*.db")):
            if path.name not in ours:
                log.info("spool.absorbed", extra={"file": path.name, "records": spool.absorb(path)})
    return spool


def _generate_keys(settings: Settings) -> Mapping[str, str]:
    """The stand-in provider takes any key, but the header must be there."""
    return dict.fromkeys((p.name for p in settings.providers()), "demo") if settings.demo() else settings.keys()


def _sender(channel: grpc.aio.Channel) -> Callable[[bytes], "asyncio.Future[PublishResponse]"]:
    """Return what sends one serialized PublishRequest."""
    call = channel.unary_unary(
        "/douane.v1.DecisionLog/Publish", request_serializer=bytes, response_deserializer=PublishResponse.FromString
    )

    async def send(request: bytes) -> PublishResponse:
        try:
            answer: PublishResponse = await call(request, timeout=30.0, wait_for_ready=False)
        except grpc.aio.AioRpcError as error:
            raise failure(error) from None
        return answer

    return send  # type: ignore[return-value] # a coroutine function is what Publisher awaits
