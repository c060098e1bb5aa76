"""The web application: routers, error shape and security headers put together.

In: settings, engine, metrics registry, clock. Out: an ASGI application. Never: a socket, a thread, a global.
"""

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy import Engine

from analytics.api import alerts, coverage, decisions, docs, errors, health, recommendations, usage
from analytics.api.context import Context
from analytics.config import Settings
from analytics.dashboard import pages

# Nothing from elsewhere, nothing inline: text in records comes from attackers.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


def build(settings: Settings, engine: Engine, registry: CollectorRegistry, clock: Callable[[], float]) -> FastAPI:
    """Return the application."""
    application = FastAPI(
        title="Douane analytics",
        version=version("douane"),
        description="What passed Douane's customs: usage, decisions, recommendations.",
        docs_url=None,
        redoc_url=None,
    )
    application.state.context = Context(settings, engine, clock)
    errors.install(application)
    for router in (
        usage.router,
        coverage.router,
        recommendations.router,
        decisions.router,
        alerts.router,
        health.router,
    ):
        application.include_router(router)
    docs.install(application)
    pages.install(application)
    application.middleware("http")(_with_headers)
    _serve_metrics(application, registry)
    return application


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update({name: value for name, value in HEADERS.items() if name not in response.headers})
    return response


def _serve_metrics(application: FastAPI, registry: CollectorRegistry) -> None:
    @application.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})
