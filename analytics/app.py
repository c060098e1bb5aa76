"""The service: constructs everything, top to bottom, and runs it in one process and one event loop.

In: Settings. Out: a running service until SIGTERM or SIGINT; then it accepts nothing more, finishes the requests and
the commit in hand, and closes. Raises ConfigError where the machine contradicts the settings (a port in use, no
database). Never: work of its own.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import grpc
import uvicorn
import uvloop
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from analytics.access import first
from analytics.access.origin import is_loopback
from analytics.api import application as web
from analytics.config import ConfigError, Settings, variable
from analytics.control import serve as steering
from analytics.control.hub import Hub, ReadPrices
from analytics.control.ledgers import BudgetLedger, RiskLedger
from analytics.control.prices import prices
from analytics.control.rules import RulesInForce
from analytics.control.serve import Control, telling
from analytics.ingest import auth, price, tls
from analytics.ingest import server as ingest
from analytics.ingest.commit import Books
from analytics.live.feed import Feed
from analytics.live.notices import Notices
from analytics.store import coverage, database, records, rollups
from analytics.telemetry import Metrics, configure_logging
from analytics.types import CoverageRows

_LOG = logging.getLogger("analytics")


class _Http(uvicorn.Server):
    """uvicorn without its signal handlers (`_run` has one for both servers), which ends its live streams first."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell who watches that nothing follows, then finish the requests in hand."""
        self._feed.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@dataclass(frozen=True, slots=True)
class _Service:
    """What runs: two servers, what steers sidecars, the engine, and the thread that writes."""

    http: _Http
    ingest: grpc.aio.Server
    hub: Hub
    control: Control
    engine: Engine
    writer: ThreadPoolExecutor


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
        service = _construct(settings, engine)
        tls.listen(service.ingest, f"{_bracketed(settings.grpc_host)}:{settings.grpc_port}", settings)
        await service.ingest.start()
        await _serve(settings, service, http_socket)


async def _serve(settings: Settings, service: _Service, http_socket: socket.socket) -> None:
    gc.freeze()  # what is there now stays: collections need not look at it again
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, service.http, "should_exit", True)
    _LOG.info("service.started", extra={"http_port": settings.http_port, "grpc_port": settings.grpc_port})
    tasks = [loop.create_task(work) for work in (service.hub.run(), service.control.run())]
    for task in tasks:
        task.add_done_callback(partial(_ended, service.http))
    await service.http.serve(sockets=[http_socket])
    _LOG.info("service.stopping")
    service.control.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await service.ingest.stop(settings.shutdown_grace_s)
    service.writer.shutdown(wait=True)


def _ended(http: _Http, task: "asyncio.Task[None]") -> None:
    """Stop the service when what steers sidecars ended by a fault: half a service is none."""
    if not task.cancelled() and task.exception() is not None:
        _LOG.critical("service.broken", exc_info=task.exception())
        http.should_exit = True


def _construct(settings: Settings, engine: Engine) -> _Service:
    metrics = Metrics(settings.metrics_label_cap, settings.metrics_series_cap, settings.alert_latency_threshold)
    writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
    feed = Feed(time.time)
    hub = Hub(engine, RulesInForce(settings.risk_rule), _prices(), time.time, time.monotonic)
    control = Control(
        hub,
        auth.admit,
        telling(engine, writer, time.time),
        steering.Metrics(metrics.registry),
        time.time,
    )
    application = web.build(settings, engine, metrics.registry, time.time, feed)
    web.steer(application, hub.nudge)
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who is behind a proxy is decided once, in the gate
        timeout_graceful_shutdown=round(settings.shutdown_grace_s),
    )
    rules = RulesInForce(settings.risk_rule)
    ledgers = (RiskLedger(rules, time.time), BudgetLedger(rules))
    books = Books(engine, ledgers, listeners=(Notices(feed, time.time),))
    servicer = ingest.DecisionLog(books.store, _covering(engine), metrics, writer)
    server = ingest.build(servicer, _guard(settings, engine))
    steering.add_to(server, control)
    return _Service(_Http(config, feed), server, hub, control, engine, writer)


def _prices() -> ReadPrices:
    """Return what reads the prices of the models met, for sidecars."""
    listed = price.load(None)
    return lambda connection: prices(connection, listed.cost_nanousd, time.time_ns() // 1_000)


def _guard(settings: Settings, engine: Engine) -> auth.Guard:
    shared = settings.sidecar_token.get_secret_value() if settings.sidecar_token else ""
    required = not is_loopback(settings.grpc_host)
    return auth.Guard(auth.Senders(engine, time.time, required=required, shared_token=shared))


def _covering(engine: Engine) -> ingest.Cover:
    def cover(rows: CoverageRows) -> int:
        with database.writing(engine) as connection:
            return coverage.store(connection, rows, int(time.time()))

    return cover


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
