"""Who asks, for tests of the API: people and programs on an application that serves a network."""

from typing import Any

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics import config
from analytics.access import log_in
from analytics.access.principal import Role
from analytics.api import application as web
from analytics.api.context import Context
from analytics.live.feed import Feed
from analytics.store import database
from analytics.telemetry import Metrics
from tests.analytics.access.people_here import person, session, token
from tests.analytics.conftest import NOW_UNIX_S

HOST = "douane.test"


def remote(engine: Engine, **settings: Any) -> FastAPI:
    """Return the application as it serves a network: everybody logs in."""
    made = config.load(http_host="0.0.0.0", **settings)
    context = Context(made, engine, lambda: NOW_UNIX_S, Feed(lambda: NOW_UNIX_S))
    return web.build(context, Metrics(10, 100, 5.0).registry)


def visitor(application: FastAPI, **headers: str) -> TestClient:
    """Return somebody elsewhere, with these headers on every request; redirects are shown, not followed."""
    return TestClient(
        application,
        f"http://{HOST}",
        raise_server_exceptions=False,
        client=("203.0.113.9", 40_000),
        follow_redirects=False,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def program(
    application: FastAPI, engine: Engine, role: Role, of: str | None = None, scopes: tuple[str, ...] = ()
) -> TestClient:
    """Return a program with a token of its own."""
    with database.writing(engine) as connection:
        text = token(connection, role, of, scopes)
    return visitor(application, authorization=f"Bearer {text}")


def somebody(application: FastAPI, engine: Engine, name: str, role: Role, of: str | None = None) -> TestClient:
    """Return a person who has an account and is logged in, with the session's token at hand."""
    with database.writing(engine) as connection:
        person(connection, name, role, of)
        secret = session(connection, name, NOW_UNIX_S)
    one = visitor(application, x_csrf_token=log_in.csrf_token(secret))
    one.cookies.set("douane_session", secret, domain=HOST)
    return one
