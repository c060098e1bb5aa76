"""The watch: one stream to analytics for as long as the worker lives, and what it brings put in force.

In: a channel to analytics, the snapshot file. Out: each new Held, handed to `apply`; what is in force here, told to analytics.
What was held last is read from the disk first, so that a restart works while analytics is away; it stays in force however
long that lasts, and `douane_snapshot_heard_unix_seconds` shows it. A stream that breaks, or says nothing for longer than
analytics' heartbeat, is opened again, later each time, and resumes after the version held.
Never: waits for analytics on the way of an exchange; puts half a snapshot in force; gives up.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Lock
from typing import Protocol

import grpc
from douane.v1 import control_pb2 as pb

from sidecar.control import snapshot
from sidecar.control.snapshot import BrokenSnapshot, Held, HeldPolicy

log = logging.getLogger("douane.control")

# A whole snapshot comes in parts far below this (analytics/control/serve); gRPC's own default of 4 MiB would do, were a policy not
# allowed 256 KB for each tenant.
_MAX_MESSAGE_BYTES = 64 << 20
# Analytics sends at least every 10 s (analytics/control/serve.HEARTBEAT_S): three of them missing is a stream that is dead.
_SILENCE_S = 30.0
_BACKOFF_S = (0.1, 2.0)  # first and longest wait after a failure: five hundred sidecars that try are little work
_SAVE_EVERY_S = (
    5.0  # risk and budgets move all the time: what a restart loses of them is at most this, and it is told again anyway
)
_CLEAR_EVERY_US = 60_000_000  # the shortest window of a budget
_PARTS_MAX = 1_000  # a snapshot in more parts is not one

METHOD = "/douane.v1.Control/Watch"
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # gRPC waits up to two minutes before it connects again, and fails every call meanwhile.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class InForce:
    """Which policy is in force here for a tenant, and, where the newest could not be used, which one and why."""

    tenant: str
    version: str
    refused_version: str = ""
    refusal: str = ""


class Counts(Protocol):
    """What the watch counts."""

    def control_applied(self, version: int, unix_s: float) -> None: ...

    def control_failed(self, what: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Clock:
    """Where times and chance come from: microseconds since 1970, and what jitters the waits."""

    unix_us: Callable[[], int]
    random: Random = field(default_factory=Random)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose watch this is, and where it keeps what it holds. tenant is the only one served here, empty for all."""

    sidecar: str
    file: Path
    tenant: str = ""


class Watch:
    """Holds what analytics has told. apply is called with every new Held, in_force asked what came of it."""

    def __init__(
        self,
        place: Place,
        apply: Callable[[Held], None],
        in_force: Callable[[], tuple[InForce, ...]],
        counts: Counts,
        clock: Clock,
    ) -> None:
        self.held = snapshot.NOTHING
        self._place = place
        self._apply = apply
        self._in_force = in_force
        self._counts = counts
        self._clock = clock
        self._wait = _BACKOFF_S[0]
        self._told: tuple[InForce, ...] = ()
        self._cleared_unix_us = 0
        self._usable: dict[str, HeldPolicy] = {}
        self._unsaved, self._urgent = asyncio.Event(), asyncio.Event()
        self._saved = snapshot.NOTHING
        self._saving = Lock()

    def begin(self) -> None:
        """Put in force what was held before the restart: this worker's, else what its newest sibling held."""
        own = self._read(self._place.file)
        held = own if own is not None else self._of_siblings()
        if held is not None:
            self._take(snapshot.without_past(held, self._clock.unix_us()))
            log.info("control.restored", extra={"version": held.version, "policies": len(held.policies)})

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Follow analytics until cancelled; what is held is on the disk then."""
        saving = asyncio.create_task(self._save_now_and_then())
        try:
            while True:
                try:
                    await self._follow(channel)
                except ConnectionError as error:
                    self._counts.control_failed("stream")
                    log.warning("control.away", extra={"reason": str(error), "held": self.held.version})
                await asyncio.sleep(self._wait * (0.5 + self._clock.random.random()))
                self._wait = min(self._wait * 2, _BACKOFF_S[1])
        finally:
            saving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await saving
            self._save()

    async def _follow(self, channel: grpc.aio.Channel) -> None:
        """Read one stream to its end. Raises: ConnectionError, however it ends."""
        stream = channel.stream_stream(
            METHOD,
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.Snapshot.FromString,
        )()
        try:
            await self._tell(stream)
            while True:
                parts = await self._next(stream)
                # Beside the loop, on which exchanges wait: a whole snapshot may hold tens of thousands of users.
                held = await asyncio.to_thread(snapshot.applied, self.held, parts)
                self._take(self._without_past(held), steering=_steers(parts))
                self._counts.control_applied(held.version, self._clock.unix_us() / 1e6)
                self._wait = _BACKOFF_S[0]
                if self._in_force() != self._told:
                    await self._tell(stream)
        except grpc.aio.AioRpcError as error:
            _go_if_cancelled()
            raise ConnectionError(f"{error.code().name}: {error.details()}") from None
        except asyncio.InvalidStateError as error:  # a write on a stream that has ended meanwhile
            raise ConnectionError(f"the stream ended: {error}") from None
        finally:
            stream.cancel()

    async def _next(self, stream: grpc.aio.StreamStreamCall) -> list[pb.Snapshot]:
        """Return the parts of the next snapshot."""
        parts: list[pb.Snapshot] = []
        while not parts or parts[-1].continued:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    part = await stream.read()
            except TimeoutError:
                raise ConnectionError(f"nothing was heard for {_SILENCE_S:g} s") from None
            if part is grpc.aio.EOF:
                raise ConnectionError("analytics ended the stream")
            parts.append(part)
            if len(parts) > _PARTS_MAX:
                raise ConnectionError(f"a snapshot of more than {_PARTS_MAX} parts")
        return parts

    async def _tell(self, stream: grpc.aio.StreamStreamCall) -> None:
        states = self._in_force()
        request = pb.WatchRequest(
            sidecar=self._place.sidecar,
            tenant=self._place.tenant,
            installation=self.held.installation,
            version=self.held.version,
            policies=[
                pb.PolicyState(
                    tenant=one.tenant,
                    version=one.version,
                    refused_version=one.refused_version,
                    refusal=one.refusal,
                )
                for one in states
            ],
        )
        await stream.write(request)
        self._told = states

    def _without_past(self, held: Held) -> Held:
        now_unix_us = self._clock.unix_us()
        if now_unix_us - self._cleared_unix_us < _CLEAR_EVERY_US:
            return held
        self._cleared_unix_us = now_unix_us
        return snapshot.without_past(held, now_unix_us)

    def _take(self, held: Held, *, steering: bool = True) -> None:
        """Put a Held in force. steering: it may change who passes, so it goes to the disk at once."""
        before, self.held = self.held, held
        if held is not before:
            self._apply(held)
            refused = {one.tenant for one in self._in_force() if one.refused_version}
            usable = {tenant: policy for tenant, policy in held.policies.items() if tenant not in refused}
            self._usable = {tenant: self._usable[tenant] for tenant in refused if tenant in self._usable} | usable
            self._unsaved.set()
            if steering:
                self._urgent.set()

    async def _save_now_and_then(self) -> None:
        """Keep what is held on the disk: at once when it steers who may pass, with some delay when numbers moved."""
        while True:
            await self._unsaved.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SAVE_EVERY_S):  # wait_for may lose a cancellation (before Python 3.12)
                    await self._urgent.wait()
            self._unsaved.clear()
            self._urgent.clear()
            await asyncio.to_thread(self._save)

    def _save(self) -> None:
        with self._saving:
            held = snapshot.keeping(self.held, self._usable)
            if held == self._saved:
                return
            try:
                snapshot.write(self._place.file, held)
                self._saved = held
            except OSError as error:
                self._counts.control_failed("save")
                log.error("control.not_saved", extra={"reason": error.strerror})  # noqa: TRY400 - the disk's fault, not ours

    def _of_siblings(self) -> Held | None:
        """Return what another worker of this sidecar held last: a worker that is new begins with it."""
        own, folder = self._place.file, self._place.file.parent
        others = [path for path in folder.glob(f"*{own.suffix}") if path != own]
        for path in sorted(others, key=_written, reverse=True):
            held = self._read(path)
            if held is not None:
                return snapshot.of_sibling(held)
        return None

    def _read(self, path: Path) -> Held | None:
        try:
            return snapshot.read(path)
        except FileNotFoundError:
            return None
        except (OSError, BrokenSnapshot) as error:
            self._counts.control_failed("read")
            log.error("control.unreadable", extra={"file": path.name, "reason": str(error)})  # noqa: TRY400 - a file's fault
            return None


def _go_if_cancelled() -> None:
    """Raise what was asked of this task: grpc.aio answers a cancellation with the stream's own end, if both come together."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone between the listing and this
        return 0.0


def _steers(parts: list[pb.Snapshot]) -> bool:
    """Tell whether a snapshot changes a policy, a quarantine or a reset."""
    return any(
        part.full or part.policies or any(u.quarantined_until_unix_us or u.reset_unix_us for u in part.users)
        for part in parts
    )
