"""Routes whose traffic the sidecar inspects, whichever door it came by.

In: what to match and where to send it. Out: routes in pairs.
* swift: a POST that announces a body as it is. One gRPC message carries body and attributes.
* careful: everything else that goes to a provider (GET, chunked, compressed or empty bodies, DELETE ...). Request headers
  are sent too, so that no request passes unseen (with headers SKIP a request without a body would never reach the sidecar) and
  content-encoding can be taken away.
Answers of providers go on without content-length (HTTP/1.1 sends them chunked): the sidecar may put other text into them, and
where it is not shown their headers (swift) it could not take the header away itself.
A route's name is door/provider: it is how the sidecar knows them.
"""

from typing import Any

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.http.buffer import v3 as buffer
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.envoy.type.v3 import Int64Range
from envoy_data_plane.google.protobuf import Any as ProtobufAny

from sidecar.envoyconf.filters import EXT_PROC, processing_mode, response_attributes
from sidecar.envoyconf.spec import INTERNAL_HEADERS, GatewaySpec
from sidecar.envoyconf.typed import pack


def inspected(name: str, match: route.RouteMatch, action: route.RouteAction, spec: GatewaySpec) -> list[route.Route]:
    """Return the swift and the careful route for what match describes."""
    announced = [
        route.HeaderMatcher(name=":method", string_match=matcher.StringMatcher(exact="POST")),
        route.HeaderMatcher(name="content-length", range_match=Int64Range(start=1, end=2**62)),
        route.HeaderMatcher(name="content-encoding", present_match=True, invert_match=True),
    ]
    swift = _route(name, _with(match, announced), action, spec)
    careful = _route(f"{name}/careful", match, action, spec)
    if spec.sockets:
        careful.typed_per_filter_config = inspection(spec, whole_response=False)
        if spec.hold_answers:
            swift.typed_per_filter_config = inspection(spec, whole_response=False, request_headers=False)
    return [swift, careful]


def _with(match: route.RouteMatch, headers: list[route.HeaderMatcher]) -> route.RouteMatch:
    return route.RouteMatch(prefix=match.prefix, headers=[*match.headers, *headers])


def _route(name: str, match: route.RouteMatch, action: route.RouteAction, spec: GatewaySpec) -> route.Route:
    return route.Route(
        name=name,
        match=match,
        route=action,
        request_body_buffer_limit=spec.max_body_bytes,
        response_headers_to_remove=["content-length"] if spec.sockets else [],
        **upstream_headers(spec),
    )


def refused(name: str, match: route.RouteMatch, status: int, text: str, spec: GatewaySpec) -> route.Route:
    """Return a route that answers itself and is not inspected."""
    return route.Route(
        name=name,
        match=match,
        direct_response=route.DirectResponseAction(status=status, body=core.DataSource(inline_string=text)),
        typed_per_filter_config=uninspected(spec),
    )


def upstream_headers(spec: GatewaySpec) -> dict[str, Any]:
    """Identity headers are for us alone, and the sidecar cannot read a compressed answer."""
    plain = core.HeaderValueOption(
        header=core.HeaderValue(key="accept-encoding", value="identity"),
        append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    hidden = [*INTERNAL_HEADERS, *spec.identity_headers, "x-forwarded-proto", "x-envoy-expected-rq-timeout-ms"]
    return {"request_headers_to_add": [plain], "request_headers_to_remove": hidden}


def inspection(spec: GatewaySpec, *, whole_response: bool, request_headers: bool = True) -> dict[str, ProtobufAny]:
    """Return how much of an exchange the sidecar is shown, where that is not the usual."""
    overrides = ext_proc.ExtProcOverrides(
        processing_mode=processing_mode(
            request_headers=request_headers, whole_response=whole_response, response_headers=spec.hold_answers
        ),
        failure_mode_allow=spec.fail_open and not whole_response,  # an untranslated /generate call can go nowhere
        response_attributes=response_attributes(spec),
    )
    return {EXT_PROC: pack(ext_proc.ExtProcPerRoute(overrides=overrides))}


def failure_mode(spec: GatewaySpec) -> dict[str, ProtobufAny]:
    """Return whether Envoy lets requests by when no worker answers."""
    if not spec.sockets:
        return {}
    return {
        EXT_PROC: pack(ext_proc.ExtProcPerRoute(overrides=ext_proc.ExtProcOverrides(failure_mode_allow=spec.fail_open)))
    }


def uninspected(spec: GatewaySpec) -> dict[str, ProtobufAny]:
    """Return what keeps the sidecar out of a route."""
    if not spec.sockets:
        return {}
    return {
        EXT_PROC: pack(ext_proc.ExtProcPerRoute(disabled=True)),
        "envoy.filters.http.buffer": pack(buffer.BufferPerRoute(disabled=True)),
    }
