"""What tests of the policy, risk and budget endpoints share: the application as somebody, and its audit rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics import config
from analytics.access.principal import Principal
from analytics.api import application as web
from analytics.api import auth
from analytics.api.context import Context
from analytics.live.feed import Feed
from analytics.store import audit
from analytics.telemetry import Metrics
from tests.analytics.conftest import NOW_UNIX_S, local_client

YAML = {"content-type": "application/yaml"}


@dataclass
class Api:
    """A client, and what the application did beside its answers."""

    client: TestClient
    engine: Engine
    application: FastAPI
    steered: list[None] = field(default_factory=list)

    def put(self, text: str, tenant: str = "default", **query: Any) -> httpx.Response:
        return self.client.put(f"/api/policies/{tenant}", content=text, params=query, headers=YAML)

    def audited(self) -> list[tuple[str, str, str, Any, Any]]:
        """Return who changed what, by action: the clock stands still, so the rows have no order."""
        with self.engine.connect() as connection:
            found = audit.page(connection, None, 100)
        rows = [(one.actor, one.action, one.tenant, one.before, one.after) for _, one in found]
        return sorted(rows, key=lambda row: (row[1], str(row[4])))

    def become(self, name: str, role: Any, tenant: str | None = None) -> None:
        """Let every later request be somebody's."""
        self.application.dependency_overrides[auth._principal] = lambda: Principal(name, role, tenant)


@contextmanager
def api(engine: Engine) -> Iterator[Api]:
    """Return the application on an engine, its clock half an hour after the traffic begins."""
    steered: list[None] = []
    registry = Metrics(10, 100, 5.0).registry
    context = Context(config.load(), engine, lambda: NOW_UNIX_S, Feed(lambda: NOW_UNIX_S), lambda: steered.append(None))
    application = web.build(context, registry)
    with local_client(application) as client:
        yield Api(client, engine, application, steered)


def error(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Return what an error answer says."""
    told = answer.json()["error"]
    return answer.status_code, told["message"], told.get("param")
