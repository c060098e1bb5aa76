"""The application with a desk for alerts, for tests of its endpoints: a folder of its own, a clock that stands."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics import config
from analytics.access.principal import Principal
from analytics.alerts import service
from analytics.alerts.service import Alerting
from analytics.api import application as web
from analytics.api import auth
from analytics.api.context import Context
from analytics.ingest.commit import Books
from analytics.live.feed import Feed
from analytics.store import audit
from analytics.telemetry import Metrics
from analytics.types import DecisionRow
from tests.analytics.conftest import NOW_UNIX_S, local_client


class Alarm:
    """The application and what stands behind it. Nothing is told: the dispatcher does not run."""

    def __init__(self, engine: Engine, folder: Path, **settings: Any) -> None:
        self.engine = engine
        given = config.load(data_dir=folder, **settings)
        self.alerting: Alerting = service.build(given, engine, lambda: NOW_UNIX_S)
        context = Context(given, engine, lambda: NOW_UNIX_S, Feed(lambda: NOW_UNIX_S))
        self.application: FastAPI = web.build(context, Metrics(10, 100, 5.0).registry)
        self.application.state.desk = self.alerting.desk
        self.client: TestClient = local_client(self.application)

    def store(self, *rows: DecisionRow) -> None:
        """Put records into the books, and what they raise into the alerts."""
        desk = self.alerting.desk
        Books(self.engine, (desk.ledger,), (desk.listener,)).store(rows)

    def become(self, name: str, role: Any, tenant: str | None = None) -> None:
        """Let every later request be somebody's."""
        self.application.dependency_overrides[auth._principal] = lambda: Principal(name, role, tenant)

    def audited(self) -> list[tuple[str, str]]:
        """Return who did what, by the action's name: the clock stands, so that ids do not tell the order."""
        with self.engine.connect() as connection:
            found = [(one.actor, one.action) for _, one in audit.page(connection, None, 100)]
        return sorted(found, key=lambda one: one[1])

    def close(self) -> None:
        """Let go of the connections."""
        self.alerting.client.close()
