"""The program: opens the database, binds its ports, runs the service in one process and one event loop.

In: Settings. Out: a running service until SIGTERM or SIGINT; then it accepts nothing more, finishes the requests and
the commit in hand, and closes. Raises ConfigError where the machine contradicts the settings (a port in use, no
database). Never: work of its own; service.py constructs what runs.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial

import uvloop
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from analytics import sharing
from analytics.access import first
from analytics.config import ConfigError, Settings, variable
from analytics.ingest import tls
from analytics.service import Service, construct
from analytics.store import database, records, rollups
from analytics.telemetry import configure_logging

_LOG = logging.getLogger("analytics")


def migrate(settings: Settings) -> None:
    """Bring the database's schema up to date. Raises: ConfigError when the database cannot be reached."""
    configure_logging(settings.log_level)
    _open(settings).dispose()


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Engine]:
    """Yield the engine of the settings' database, its schema up to date. Raises: ConfigError."""
    configure_logging("warning")  # for commands that talk to a person
    engine = _open(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def serve(settings: Settings) -> None:
    """Run the service until a signal ends it. Raises: ConfigError."""
    configure_logging(settings.log_level)
    engine = _open(settings)
    try:
        first.ensure(settings, engine, time.time())
        uvloop.run(_run(settings, engine))
    finally:
        engine.dispose()
        _LOG.info("service.stopped")


def _open(settings: Settings) -> Engine:
    try:
        engine = database.connect(settings.url)
        database.migrate(engine)
        _count_again(engine)
    except (DBAPIError, OSError) as error:
        reason = type(error.orig).__name__ if isinstance(error, DBAPIError) else error.strerror
        detail = str(error.orig).splitlines()[0] if isinstance(error, DBAPIError) else str(error.filename)
        raise ConfigError(f"{variable('database_url')}: the database cannot be opened: {reason}: {detail}") from error
    return engine


def _count_again(engine: Engine) -> None:
    with database.writing(engine) as connection:
        if rollups.missing(connection):
            _LOG.info("rollups.rebuilding")
            rollups.rebuild(connection, records.all_finals(connection))
            _LOG.info("rollups.rebuilt")


async def _run(settings: Settings, engine: Engine) -> None:
    _bind("grpc", settings.grpc_host, settings.grpc_port).close()  # for its error; gRPC binds by address only
    with _bind("http", settings.http_host, settings.http_port) as http_socket:
        service = construct(settings, engine)
        if settings.role != "worker":
            tls.listen(service.ingest, f"{_bracketed(settings.grpc_host)}:{settings.grpc_port}", settings)
            await service.ingest.start()
        await _serve(settings, service, http_socket)


async def _serve(settings: Settings, service: Service, http_socket: socket.socket) -> None:
    gc.freeze()  # what is there now stays: collections need not look at it again
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _leave, service)
    sharing.start(service.parts)
    _LOG.info("service.started", extra={"http_port": settings.http_port, "grpc_port": settings.grpc_port})
    tasks = [loop.create_task(work) for work in (service.hub.run(), service.control.run())]
    for task in tasks:
        task.add_done_callback(partial(_ended, service))
    await service.http.serve(sockets=[http_socket])
    _LOG.info("service.stopping")
    service.control.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await service.ingest.stop(settings.shutdown_grace_s)
    await asyncio.to_thread(sharing.stop, service.parts)
    service.writer.shutdown(wait=True)


def _leave(service: Service) -> None:
    service.http.should_exit = True
    service.feed.close()  # else people who watch would hold the server open


def _ended(service: Service, task: "asyncio.Task[None]") -> None:
    """Stop the service when what steers sidecars ended by a fault: half a service is none."""
    if not task.cancelled() and task.exception() is not None:
        _LOG.critical("service.broken", exc_info=task.exception())
        _leave(service)


def _bind(name: str, host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises: ConfigError that names the port and its setting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        setting = variable(f"{name}_port")
        raise ConfigError(f"{setting}: port {port} on {host} cannot be had: {error.strerror}") from error
    return bound


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
