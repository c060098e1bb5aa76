"""Control.Watch: one stream for each sidecar worker, over the hub's state.

In: WatchRequests: the first one opens, later ones say what is in force there. Out: Snapshots: at first everything, or what is newer
than the version that the sidecar names; then what is newer than what was sent; a heartbeat when there is nothing.
A stream holds two numbers and no queue: while one write waits for a slow sidecar, what changes meanwhile becomes part of
the next one.
Never: one tenant's rows to a sidecar of another; a stream that ends in silence (it is aborted with a status, and opened again).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from douane.v1 import control_pb2 as pb
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from analytics.control.hub import Hub
from analytics.store import database, sidecars
from analytics.types.control import SidecarState

_LOG = logging.getLogger("analytics.control")

# A sidecar takes silence three times as long for a broken stream (sidecar/control/watch).
HEARTBEAT_S = 10.0
# How long a stream may take to say who it is, and to take one part: whoever takes longer is gone, and comes back.
OPEN_S, WRITE_S = 10.0, 60.0
STREAMS_MAX = 10_000
TELL_EVERY_S = 1.0
TOUCH_EVERY_S = 30.0
NAME_CHARS, REFUSAL_CHARS, STATES_MAX = 256, 500, 1_000

# The tenant that a stream may serve, "" for all. Raises: PermissionError that says why it may not.
Admit = Callable[[grpc.aio.ServicerContext, str], str]
# Holds what sidecars told, and which of them are still there: (states, versions of live streams).
Tell = Callable[[list[SidecarState], list[tuple[str, int]]], Awaitable[None]]


class Metrics:
    """What the control channel counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.streams = Gauge("douane_control_streams", "Sidecar workers that watch", registry=registry)
        self.sent = Counter(
            "douane_control_snapshots_total", "Snapshots sent to sidecars", ("kind",), registry=registry
        )
        self.refused = Counter("douane_control_refused_total", "Watches refused", ("reason",), registry=registry)


@dataclass(slots=True)
class _Stream:
    """One sidecar's stream: whose it is, and how far it is."""

    sidecar: str
    tenant: str
    version: int
    prices: int = -1
    begun: bool = False
    installation: str = ""


class Control:
    """The servicer."""

    def __init__(self, hub: Hub, admit: Admit, tell: Tell, metrics: Metrics, clock: Callable[[], float]) -> None:
        """clock returns seconds since 1970 UTC."""
        self._hub = hub
        self._admit = admit
        self._tell = tell
        self._metrics = metrics
        self._clock = clock
        self._live: dict[int, _Stream] = {}
        self._states: dict[str, SidecarState] = {}
        self._stopping = False

    async def run(self) -> None:
        """Note who is there and what they told, until cancelled."""
        rounds = 0
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            rounds += 1
            await self._note(everybody=rounds % round(TOUCH_EVERY_S / TELL_EVERY_S) == 0)

    async def _note(self, *, everybody: bool) -> None:
        states, self._states = self._states, {}
        live = [(one.sidecar, one.version) for one in self._live.values()] if everybody else []
        if not states and not live:
            return
        try:
            await self._tell(list(states.values()), live)
        except SQLAlchemyError as error:
            self._states = states | self._states  # told again with the next round; a newer word goes before
            _LOG.warning("control.not_noted", extra={"error": type(error).__name__, "sidecars": len(states)})

    def stop(self) -> None:
        """End every stream, so that sidecars go to another replica, or come back."""
        self._stopping = True
        self._hub.wake()

    async def watch(self, requests: AsyncIterator[pb.WatchRequest], context: grpc.aio.ServicerContext) -> None:
        """Serve one stream until it ends. Raises: a gRPC abort, always with its reason."""
        stream = await self._opened(requests, context)
        self._live[id(stream)] = stream
        self._metrics.streams.set(len(self._live))
        listening = asyncio.create_task(self._listen(stream, requests))
        try:
            while not self._stopping:
                await self._send(stream, context)
                await self._rest(stream, context)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "analytics is stopping")
        except TimeoutError:
            await self._refuse(context, grpc.StatusCode.DEADLINE_EXCEEDED, f"nothing was taken for {WRITE_S:g} s")
        finally:
            listening.cancel()
            del self._live[id(stream)]
            self._metrics.streams.set(len(self._live))

    async def _opened(self, requests: AsyncIterator[pb.WatchRequest], context: grpc.aio.ServicerContext) -> _Stream:
        if len(self._live) >= STREAMS_MAX or self._stopping:
            await self._refuse(context, grpc.StatusCode.UNAVAILABLE, "no room for another stream here")
        try:
            async with asyncio.timeout(OPEN_S):
                request = await anext(requests)
        except (TimeoutError, StopAsyncIteration):
            await self._refuse(context, grpc.StatusCode.DEADLINE_EXCEEDED, "the stream did not say whose it is")
        if not 0 < len(request.sidecar) <= NAME_CHARS or len(request.tenant) > NAME_CHARS:
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "sidecar is a name of 1 to 256 characters")
        try:
            tenant = self._admit(context, request.tenant)
        except PermissionError as error:
            await self._refuse(context, grpc.StatusCode.PERMISSION_DENIED, str(error))
        stream = _Stream(request.sidecar, tenant, await self._resumed(request))
        self._hear(stream, request)
        return stream

    async def _resumed(self, request: pb.WatchRequest) -> int:
        """Return the version to go on from, 0 to begin anew. A version ahead of ours may be another replica's news."""
        if self._hub.version < request.version or self._hub.state.at is None:
            with contextlib.suppress(SQLAlchemyError):
                await self._hub.refresh()
        at = self._hub.state.at
        if at is None or request.installation != at.installation:
            return 0
        return request.version if at.forgotten <= request.version <= at.version else 0

    async def _send(self, stream: _Stream, context: grpc.aio.ServicerContext) -> None:
        """Bring a stream to the newest state."""
        state = self._hub.state
        if state.at is None:  # the store has not been reached yet: the sidecar keeps what it has
            return
        version, prices = state.at.version, state.prices_version
        same = stream.installation in ("", state.at.installation) and stream.version <= version
        since = stream.version if same else 0  # else the database is another one, or an older copy of itself
        if stream.begun and (since, stream.prices) == (version, prices):
            return  # woken for what was part of the last answer already
        parts = state.parts(since, stream.tenant, stream.sidecar, stream.prices)
        for part in parts:
            await self._write(part, context)
        self._metrics.sent.labels("delta" if since else "full").inc()
        stream.version, stream.prices, stream.begun = version, prices, True
        stream.installation = state.at.installation

    async def _write(self, part: bytes, context: grpc.aio.ServicerContext) -> None:
        async with asyncio.timeout(WRITE_S):
            await context.write(part)

    async def _rest(self, stream: _Stream, context: grpc.aio.ServicerContext) -> None:
        """Wait until there is something to tell; say that we are there meanwhile."""
        while not await self._hub.news(stream.version, stream.prices, HEARTBEAT_S) and not self._stopping:
            if self._hub.state.at is not None:
                await self._write(self._hub.state.heartbeat(), context)
                self._metrics.sent.labels("heartbeat").inc()

    async def _listen(self, stream: _Stream, requests: AsyncIterator[pb.WatchRequest]) -> None:
        """Hear what the sidecar tells of itself later on."""
        async for request in requests:
            self._hear(stream, request)

    def _hear(self, stream: _Stream, request: pb.WatchRequest) -> None:
        told = tuple(_state(one) for one in request.policies[:STATES_MAX] if _mine(stream.tenant, one.tenant))
        now_unix_us = round(self._clock() * 1e6)
        self._states[stream.sidecar] = SidecarState(stream.sidecar, stream.tenant, request.version, now_unix_us, told)

    async def _refuse(self, context: grpc.aio.ServicerContext, code: grpc.StatusCode, reason: str) -> None:
        self._metrics.refused.labels(code.name.lower()).inc()
        await context.abort(code, reason)
        raise AssertionError("abort raises")


def _mine(served: str, tenant: str) -> bool:
    return not served or tenant in (served, "*")


def _state(one: pb.PolicyState) -> Mapping[str, str]:
    return {
        "tenant": one.tenant[:NAME_CHARS],
        "version": one.version[:NAME_CHARS],
        "refused_version": one.refused_version[:NAME_CHARS],
        "refusal": one.refusal[:REFUSAL_CHARS],
    }


def add_to(server: grpc.aio.Server, control: Control) -> None:
    """Offer Control on a server. Answers are bytes already: a snapshot for five hundred sidecars is serialized once."""
    watch = grpc.stream_stream_rpc_method_handler(
        control.watch, request_deserializer=pb.WatchRequest.FromString, response_serializer=bytes
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("douane.v1.Control", {"Watch": watch}),))


def telling(engine: Engine, writer: ThreadPoolExecutor, clock: Callable[[], float]) -> Tell:
    """Return what holds what sidecars told, in the writer's thread: transactions do not meet."""

    def write(states: list[SidecarState], live: list[tuple[str, int]]) -> None:
        with database.writing(engine) as connection:
            sidecars.tell(connection, states)
            sidecars.touch(connection, live, round(clock() * 1e6))

    async def tell(states: list[SidecarState], live: list[tuple[str, int]]) -> None:
        await asyncio.get_running_loop().run_in_executor(writer, write, states, live)

    return tell
