"""The service, constructed top to bottom: what is written, who is told of it, the two servers, what steers sidecars.

In: Settings, an engine. Out: a Service, in which nothing runs yet. Raises ConfigError for a bad file of prices.
Never: a socket, a signal, a loop; app.py has them.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from analytics import sharing
from analytics.access.origin import is_loopback
from analytics.alerts import service as alerts
from analytics.api import application as web
from analytics.api.context import Context
from analytics.config import ConfigError, Settings, variable
from analytics.control import serve as steering
from analytics.control.hub import Hub, ReadPrices
from analytics.control.ledgers import BudgetLedger, RiskLedger
from analytics.control.prices import prices
from analytics.control.rules import RulesInForce
from analytics.control.serve import Control
from analytics.ingest import auth, price
from analytics.ingest import server as ingest
from analytics.ingest.commit import Books
from analytics.ingest.depths import StreamMetrics
from analytics.ingest.worker import Desk
from analytics.live.feed import Feed
from analytics.live.notices import Notices
from analytics.schedule.jobs import jobs
from analytics.schedule.scheduler import Office, ScheduleMetrics
from analytics.store import coverage, database
from analytics.telemetry import Metrics
from analytics.tracing import tracer as tracing
from analytics.types import CoverageRows


class Http(uvicorn.Server):
    """uvicorn without its signal handlers (app.py has one for both servers), which ends its live streams first."""

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
class Service:
    """What runs: two servers, what steers sidecars, the thread that writes, the feed, and what has threads of its own."""

    http: Http
    ingest: grpc.aio.Server
    hub: Hub
    control: Control
    engine: Engine
    writer: ThreadPoolExecutor
    feed: Feed
    parts: tuple[sharing.Part, ...]


def construct(settings: Settings, engine: Engine) -> Service:
    """Return the service of the settings."""
    metrics = Metrics(settings.metrics_label_cap, settings.metrics_series_cap, settings.alert_latency_threshold)
    writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
    shared, name = sharing.link(settings), sharing.process_name()
    live = sharing.live(shared, metrics.registry)
    rules = RulesInForce(settings.risk_rule)
    listed = _listed(settings)
    hub = Hub(engine, RulesInForce(settings.risk_rule), _read_prices(listed), time.time, time.monotonic)
    note = steering.telling(engine, writer, time.time)
    control = Control(hub, auth.admit, note, steering.Metrics(metrics.registry), time.time)
    tracer = tracing.build(settings, metrics.registry)
    alerting = alerts.build(settings, engine, time.time, metrics.registry)
    ledgers = RiskLedger(rules, time.time), BudgetLedger(rules), alerting.desk.ledger
    books = Books(engine, ledgers, (Notices(live.publisher, time.time), alerting.desk.listener, tracer), listed)
    desk = Desk(books.store, writer, metrics, StreamMetrics(metrics.registry))
    line = sharing.line(settings, shared, desk, name)
    office = Office(engine, time.time, name, ScheduleMetrics(metrics.registry))
    scheduled = jobs(engine, alerting, settings)
    telling = (*sharing.telling(settings, alerting), *sharing.tracing(settings, tracer))
    parts = (*telling, *live.parts, *line.parts, *sharing.scheduler(settings, shared, scheduled, office))
    servicer = ingest.DecisionLog(books.store, _covering(engine), metrics, writer, line.buffer)
    server = ingest.build(servicer, _guard(settings, engine))
    steering.add_to(server, control)
    application = web.build(Context(settings, engine, time.time, live.feed, hub.nudge), metrics.registry)
    application.state.desk = alerting.desk
    http = Http(_http_config(settings, application), live.feed)
    return Service(http, server, hub, control, engine, writer, live.feed, parts)


def _http_config(settings: Settings, application: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who is behind a proxy is decided once, in the gate
        timeout_graceful_shutdown=round(settings.shutdown_grace_s),
    )


def _guard(settings: Settings, engine: Engine) -> auth.Guard:
    shared = settings.sidecar_token.get_secret_value() if settings.sidecar_token else ""
    required = not is_loopback(settings.grpc_host)
    return auth.Guard(auth.Senders(engine, time.time, required=required, shared_token=shared))


def _listed(settings: Settings) -> price.Prices:
    try:
        return price.load(settings.prices_file)
    except price.PricesError as error:
        raise ConfigError(f"{variable('prices_file')}: {error}") from error


def _read_prices(listed: price.Prices) -> ReadPrices:
    """Return what reads the prices of the models met, for sidecars."""
    return lambda connection: prices(connection, listed.cost_nanousd, time.time_ns() // 1_000)


def _covering(engine: Engine) -> ingest.Cover:
    def cover(rows: CoverageRows) -> int:
        with database.writing(engine) as connection:
            return coverage.store(connection, rows, int(time.time()))

    return cover
