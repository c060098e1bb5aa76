"""The gateway's route table, a file that Envoy watches.

In: a GatewaySpec. Out: a DiscoveryResponse with one RouteConfiguration, as JSON.

Three kinds of route:
* swift: a POST that announces a body as it is. One gRPC message carries body and attributes.
* careful: everything else that goes to a provider (GET, chunked, compressed or empty bodies, DELETE ...). Request headers
  are sent too, so that no request passes unseen (with headers SKIP a request without a body would never reach the sidecar) and
  content-encoding can be taken away.
* generate: the mission's own call. Headers and the whole body both ways, because both are translated.
Answers of providers go on without content-length (HTTP/1.1 sends them chunked): the sidecar may put other text into them, and
where it is not shown their headers (swift) it could not take the header away itself.
People's pages and the API go to analytics without inspection.
"""

import json
from typing import Any

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.http.buffer import v3 as buffer
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.envoy.type.v3 import Int64Range
from envoy_data_plane.google.protobuf import Any as ProtobufAny

from sidecar.envoyconf.filters import EXT_PROC, processing_mode, response_attributes
from sidecar.envoyconf.providers import Provider
from sidecar.envoyconf.spec import INTERNAL_HEADERS, PROVIDER_HEADER, GatewaySpec
from sidecar.envoyconf.typed import pack, seconds

CLUSTER_ANALYTICS = "analytics"
_ANALYTICS_PREFIXES = ("/api/", "/dashboard", "/docs", "/openapi.json")
_NOT_FOUND = (
    "no such door; LLM calls go to /v1/ (OpenAI), /openrouter/v1/, /anthropic/v1/ or /generate, "
    "people to /dashboard and /docs"
)


def render_routes(spec: GatewaySpec, version: str = "1") -> str:
    """Return the route table as the JSON text of a DiscoveryResponse."""
    resource = {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", **_table(spec)}
    return json.dumps({"version_info": version, "resources": [resource]}, indent=1)


def _table(spec: GatewaySpec) -> dict[str, Any]:
    routes = [*_generate_routes(spec), *(r for p in spec.providers for r in _provider_routes(p, spec))]
    host = route.VirtualHost(
        name="gateway",
        domains=["*"],
        routes=[*routes, *_analytics_routes(spec), _not_found(spec)],
        typed_per_filter_config=_failure_mode(spec),
    )
    table: dict[str, Any] = route.RouteConfiguration(name="gateway", virtual_hosts=[host]).to_dict()
    return table


def _provider_routes(provider: Provider, spec: GatewaySpec) -> list[route.Route]:
    announced = [
        route.HeaderMatcher(name=":method", string_match=matcher.StringMatcher(exact="POST")),
        route.HeaderMatcher(name="content-length", range_match=Int64Range(start=1, end=2**62)),
        route.HeaderMatcher(name="content-encoding", present_match=True, invert_match=True),
    ]
    swift = _provider_route(provider, spec, announced)
    swift.name = f"gateway/{provider.name}"
    careful = _provider_route(provider, spec, [])
    careful.name = f"gateway/{provider.name}/careful"
    if spec.sockets:
        careful.typed_per_filter_config = _mode(spec, whole_response=False)
    return [swift, careful]


def _provider_route(provider: Provider, spec: GatewaySpec, headers: list[route.HeaderMatcher]) -> route.Route:
    return route.Route(
        match=route.RouteMatch(prefix=provider.gateway_prefix, headers=headers),
        route=_to(provider, prefix_rewrite=provider.upstream_prefix),
        request_body_buffer_limit=spec.max_body_bytes,
        response_headers_to_remove=["content-length"] if spec.sockets else [],
        **_upstream_headers(spec),
    )


def _generate_routes(spec: GatewaySpec) -> list[route.Route]:
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
            typed_per_filter_config=_mode(spec, whole_response=True),
            **_upstream_headers(spec),
        )
        for provider in spec.providers
    ]
    entry = route.Route(
        name="generate",
        match=route.RouteMatch(path="/generate"),
        direct_response=route.DirectResponseAction(
            status=500, body=core.DataSource(inline_string="the sidecar did not translate this call")
        ),
        request_body_buffer_limit=spec.max_body_bytes,
        typed_per_filter_config=_mode(spec, whole_response=True),
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
            typed_per_filter_config=_uninspected(spec),
        )
        for prefix in _ANALYTICS_PREFIXES
    ]


def _not_found(spec: GatewaySpec) -> route.Route:
    return route.Route(
        name="nowhere",
        match=route.RouteMatch(prefix="/"),
        direct_response=route.DirectResponseAction(status=404, body=core.DataSource(inline_string=_NOT_FOUND)),
        typed_per_filter_config=_uninspected(spec),
    )


def _to(provider: Provider, **rewrite: Any) -> route.RouteAction:
    """No route timeout: long answers are normal; the connection manager's idle timeout ends dead ones."""
    return route.RouteAction(
        cluster=f"provider-{provider.name}", host_rewrite_literal=_authority(provider), timeout=seconds(0), **rewrite
    )


def _authority(provider: Provider) -> str:
    usual = 443 if provider.tls else 80
    return provider.host if provider.port == usual else f"{provider.host}:{provider.port}"


def _upstream_headers(spec: GatewaySpec) -> dict[str, Any]:
    """Identity headers are for us alone, and the sidecar cannot read a compressed answer."""
    plain = core.HeaderValueOption(
        header=core.HeaderValue(key="accept-encoding", value="identity"),
        append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    hidden = [*INTERNAL_HEADERS, *spec.identity_headers, "x-forwarded-proto", "x-envoy-expected-rq-timeout-ms"]
    return {"request_headers_to_add": [plain], "request_headers_to_remove": hidden}


def _mode(spec: GatewaySpec, *, whole_response: bool) -> dict[str, ProtobufAny]:
    overrides = ext_proc.ExtProcOverrides(
        processing_mode=processing_mode(request_headers=True, whole_response=whole_response),
        failure_mode_allow=spec.fail_open and not whole_response,  # an untranslated /generate call can go nowhere
        response_attributes=response_attributes(spec),
    )
    return {EXT_PROC: pack(ext_proc.ExtProcPerRoute(overrides=overrides))}


def _failure_mode(spec: GatewaySpec) -> dict[str, ProtobufAny]:
    if not spec.sockets:
        return {}
    return {
        EXT_PROC: pack(ext_proc.ExtProcPerRoute(overrides=ext_proc.ExtProcOverrides(failure_mode_allow=spec.fail_open)))
    }


def _uninspected(spec: GatewaySpec) -> dict[str, ProtobufAny]:
    if not spec.sockets:
        return {}
    return {
        EXT_PROC: pack(ext_proc.ExtProcPerRoute(disabled=True)),
        "envoy.filters.http.buffer": pack(buffer.BufferPerRoute(disabled=True)),
    }
