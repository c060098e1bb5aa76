"""A real gRPC server with Control on it, and bare clients of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from douane.v1 import control_pb2 as pb
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from analytics.control.hub import Hub
from analytics.control.rules import RulesInForce
from analytics.control.serve import Admit, Control, Metrics, add_to
from analytics.ingest.auth import Guard
from analytics.types.control import SidecarState
from tests.analytics.control.steering import RULE
from tests.analytics.traffic import BEGAN_UNIX_US

METHOD = "/douane.v1.Control/Watch"
NOW_S = BEGAN_UNIX_US / 1e6


def anybody(_context: grpc.aio.ServicerContext, tenant: str) -> str:
    return tenant


@dataclass
class Served:
    """A replica of analytics, as far as sidecars see it."""

    hub: Hub
    control: Control
    port: int
    registry: CollectorRegistry
    told: list[tuple[list[SidecarState], list[tuple[str, int]]]] = field(default_factory=list)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@asynccontextmanager
async def serving(
    engine: Engine, admit: Admit = anybody, clock: Callable[[], float] = lambda: NOW_S, guards: Sequence[Guard] = ()
) -> AsyncIterator[Served]:
    """Serve Control over an engine, on a free port."""
    loop, registry = asyncio.get_running_loop(), CollectorRegistry()
    told: list[tuple[list[SidecarState], list[tuple[str, int]]]] = []

    async def tell(states: list[SidecarState], live: list[tuple[str, int]]) -> None:
        told.append((states, live))

    hub = Hub(engine, RulesInForce(RULE), lambda _connection: {}, clock, loop.time)
    control = Control(hub, admit, tell, Metrics(registry), clock)
    server = grpc.aio.server(interceptors=guards, options=(("grpc.so_reuseport", 0),))
    add_to(server, control)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tasks = [asyncio.create_task(hub.run()), asyncio.create_task(control.run())]
    try:
        yield Served(hub, control, port, registry, told)
    finally:
        control.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.stop(1)


Call = grpc.aio.StreamStreamCall


@asynccontextmanager
async def watching(port: int, **request: object) -> AsyncIterator[Call]:
    """Open a stream as a sidecar does, and say the first word."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(
            METHOD, request_serializer=pb.WatchRequest.SerializeToString, response_deserializer=pb.Snapshot.FromString
        )()
        values: Mapping[str, object] = {"sidecar": "web-1/0"} | request
        await call.write(pb.WatchRequest(**values))
        try:
            yield call
        finally:
            call.cancel()


async def heard(call: Call) -> pb.Snapshot:
    """Return the next snapshot, however long it takes within reason."""
    answer: pb.Snapshot = await asyncio.wait_for(call.read(), 10.0)
    return answer


async def ended(call: Call) -> tuple[grpc.StatusCode, str]:
    """Return the status that a stream ends with."""
    try:
        while await heard(call):
            pass
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError("the stream ended without a status")


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(10.0):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
