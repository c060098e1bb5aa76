"""The web application: routers, error shape and security headers put together.

In: what endpoints work with, the metrics registry. Out: an ASGI application. Never: a socket, a thread, a global.
"""

from importlib.metadata import version

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics.api import (
    accounts,
    alerts,
    audit,
    auth,
    budgets,
    costs,
    coverage,
    decisions,
    docs,
    errors,
    export,
    health,
    latency,
    oidc,
    opinions,
    policies,
    policy_changes,
    policy_trials,
    quality,
    recommendations,
    risk,
    security,
    security_users,
    session,
    stream,
    tenants,
    tokens,
    usage,
    usage_lists,
)
from analytics.api.context import Context
from analytics.dashboard import login, pages

# One router a noun, in the order of the documentation.
ROUTERS = (
    *(usage, usage_lists, security, decisions, opinions, stream, costs, latency, quality, export),
    *(alerts, coverage, recommendations, policies, policy_changes, policy_trials, risk, budgets),
    *(session, accounts, tokens, tenants, audit, health),
    security_users,  # the last: it takes what else begins with /api/security/users/
)

# Nothing from elsewhere, nothing inline: text in records comes from attackers.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


def build(context: Context, registry: CollectorRegistry) -> FastAPI:
    """Return the application."""
    application = FastAPI(
        title="Douane analytics",
        version=version("douane"),
        description="What passed Douane's customs: usage, decisions, recommendations.",
        docs_url=None,
        redoc_url=None,
    )
    application.state.context = context
    errors.install(application)
    auth.install(application, context)
    for module in ROUTERS:
        application.include_router(module.router)
    docs.install(application)
    pages.install(application)
    login.install(application)
    application.include_router(oidc.router)
    application.add_middleware(_WithHeaders)
    _serve_metrics(application, registry)
    return application


class _WithHeaders:
    """Puts HEADERS on every answer that does not have its own. Plain ASGI: a stream's writes must reach its own timeout."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._application(scope, receive, with_headers)


def _serve_metrics(application: FastAPI, registry: CollectorRegistry) -> None:
    @application.get("/metrics", include_in_schema=False)
    def metrics(who: auth.Whoever) -> Response:
        if who.who is not None:
            auth.whole(who.who)  # the series name users of every tenant
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})
