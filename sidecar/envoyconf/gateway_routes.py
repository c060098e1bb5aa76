"""The gateway's routes: providers by path, the mission's /generate, people's pages.

In: a GatewaySpec. Out: the virtual host of the gateway.
generate: headers and the whole body both ways, because both are translated; a translated call goes on by the sidecar's header.
People's pages and the API go to analytics without inspection.
"""

from typing import Any

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from sidecar.envoyconf.inspected_routes import inspected, inspection, refused, uninspected, upstream_headers
from sidecar.envoyconf.providers import Provider
from sidecar.envoyconf.spec import CLUSTER_ANALYTICS, PROVIDER_HEADER, GatewaySpec
from sidecar.envoyconf.typed import seconds

_ANALYTICS_PREFIXES = ("/api/", "/dashboard", "/docs", "/openapi.json")
_NOT_FOUND = "no such door; LLM calls go to {}, or /generate; people to /dashboard and /docs"


def gateway_routes(spec: GatewaySpec) -> list[route.Route]:
    """Return the gateway's routes; Envoy takes the first that matches."""
    offered = [provider for provider in spec.providers if provider.gateway]
    routes = [*_generate_routes(spec, offered)]
    for provider in offered:
        action = _to(provider, prefix_rewrite=provider.upstream_prefix)
        match = route.RouteMatch(prefix=provider.gateway_prefix)
        routes += inspected(f"gateway/{provider.name}", match, action, spec)
    paths = ", ".join(provider.gateway_prefix for provider in reversed(offered))
    return [
        *routes,
        *_analytics_routes(spec),
        refused("nowhere", route.RouteMatch(prefix="/"), 404, _NOT_FOUND.format(paths), spec),
    ]


def _generate_routes(spec: GatewaySpec, offered: list[Provider]) -> list[route.Route]:
    """Return the routes a translated /generate call takes (by the sidecar's header), then /generate itself."""
    if not spec.sockets:
        return []
    translated = [
        route.Route(
            name=f"generate/{provider.name}",
            match=route.RouteMatch(
                prefix="/",
                headers=[
                    route.HeaderMatcher(name=PROVIDER_HEADER, string_match=matcher.StringMatcher(exact=provider.name))
                ],
            ),
            route=_to(provider),
            request_body_buffer_limit=spec.max_body_bytes,
            typed_per_filter_config=inspection(spec, whole_response=True),
            **upstream_headers(spec),
        )
        for provider in offered
    ]
    entry = route.Route(
        name="generate",
        match=route.RouteMatch(path="/generate"),
        direct_response=route.DirectResponseAction(
            status=500, body=core.DataSource(inline_string="the sidecar did not translate this call")
        ),
        request_body_buffer_limit=spec.max_body_bytes,
        typed_per_filter_config=inspection(spec, whole_response=True),
    )
    return [*translated, entry]


def _analytics_routes(spec: GatewaySpec) -> list[route.Route]:
    if spec.analytics is None:
        return []
    return [
        route.Route(
            name="analytics",
            match=route.RouteMatch(prefix=prefix),
            route=route.RouteAction(cluster=CLUSTER_ANALYTICS, timeout=seconds(0)),
            request_headers_to_add=[_client_address()],
            typed_per_filter_config=uninspected(spec),
        )
        for prefix in _ANALYTICS_PREFIXES
    ]


def _client_address() -> core.HeaderValueOption:
    """To analytics every request comes from Envoy, on its own machine: who asks is told here, whatever the client wrote.

    Without it everybody who reaches the gateway would be the local administrator of an installation without accounts.
    """
    return core.HeaderValueOption(
        header=core.HeaderValue(key="x-forwarded-for", value="%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"),
        append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _to(provider: Provider, **rewrite: Any) -> route.RouteAction:
    """No route timeout: long answers are normal; the connection manager's idle timeout ends dead ones."""
    return route.RouteAction(
        cluster=f"provider-{provider.name}", host_rewrite_literal=authority(provider), timeout=seconds(0), **rewrite
    )


def authority(provider: Provider) -> str:
    """Return a provider's host as requests name it."""
    usual = 443 if provider.tls else 80
    return provider.host if provider.port == usual else f"{provider.host}:{provider.port}"
