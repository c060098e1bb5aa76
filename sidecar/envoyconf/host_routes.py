"""The routes of the doors that know providers by host: the forward proxy and the transparent door.

In: a GatewaySpec, a door. Out: the routes of its two tables: what arrives as plain HTTP (at the proxy CONNECT too), and what comes
in TLS that was opened. LLM hosts are inspected, and go to the host that the request names, over TLS that is verified; a provider
that DOUANE_UPSTREAMS moves goes there. Other hosts are passed on as they are, or refused by policy (unknown_hosts: deny); in
opened TLS there are none: a Host header that is no LLM host is answered 421 (RFC 9110, 15.5.20).
CONNECT leads to the few ports that TLS is spoken on, and never to this machine: a proxy must not be a way into it.
"""

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from sidecar.envoyconf.gateway_routes import authority
from sidecar.envoyconf.here import HERE, refused_here
from sidecar.envoyconf.inspected_routes import inspected, inspection, refused, uninspected, upstream_headers
from sidecar.envoyconf.providers import Provider, host_pattern
from sidecar.envoyconf.spec import (
    CLUSTER_HOST_PLAIN,
    CLUSTER_HOST_TLS,
    CLUSTER_INSPECTION,
    CLUSTER_ORIGINAL,
    GatewaySpec,
)
from sidecar.envoyconf.typed import seconds

_CONNECTED = route.RouteMatchConnectMatcher()
_UNKNOWN = "not an LLM host that Douane knows, and the policy says unknown_hosts: deny; add it to DOUANE_LLM_HOSTS"
_PORTS = "CONNECT leads to ports {} only; set DOUANE_CONNECT_PORTS"
_MISDIRECTED = "the Host header names no LLM host, though the certificate asked for was one's"
_CIRCLE = "the request has come back to this proxy (RFC 9110, 7.6.3)"
_NOT_HERE = "this proxy does not lead to the machine it runs on; set NO_PROXY for such hosts"


def host_routes(spec: GatewaySpec, table: str) -> list[route.Route]:
    """Return the routes of a door's table, such as proxy or proxy-opened."""
    door, _, opened = table.partition("-")
    if opened:
        return [*_llm_routes(spec, door, with_ports=False), _misdirected(spec, door)]
    inspected_hosts = _llm_routes(spec, door, with_ports=True)
    if door == "proxy":
        return [*_connect_routes(spec), *inspected_hosts, *_passed_on(spec, door, CLUSTER_HOST_PLAIN)]
    return [*inspected_hosts, *_passed_on(spec, door, CLUSTER_ORIGINAL)]


def _llm_routes(spec: GatewaySpec, door: str, *, with_ports: bool) -> list[route.Route]:
    """Return the routes of LLM hosts. Without ports: not those known by a port alone (*:11434), which any name could claim."""
    found = []
    for provider in spec.host_providers:
        hosts = [host for host in provider.hosts if with_ports or ":" not in host]
        if hosts:
            match = route.RouteMatch(prefix="/", headers=[_named(host_pattern(hosts) + "(?::[0-9]+)?")])
            found += inspected(f"{door}/{provider.name}", match, _to(provider), spec)
    return found


def _misdirected(spec: GatewaySpec, door: str) -> route.Route:
    built = refused(f"{door}/misdirected", route.RouteMatch(prefix="/"), 421, _MISDIRECTED, spec)
    if spec.sockets:  # shown to the sidecar all the same: somebody tried, and it goes into the books
        built.typed_per_filter_config = inspection(spec, whole_response=False)
    return built


def _to(provider: Provider) -> route.RouteAction:
    if provider.moved:
        return route.RouteAction(
            cluster=f"provider-{provider.name}", host_rewrite_literal=authority(provider), timeout=seconds(0)
        )
    cluster = CLUSTER_HOST_TLS if provider.tls else CLUSTER_HOST_PLAIN
    return route.RouteAction(cluster=cluster, timeout=seconds(0))


def _connect_routes(spec: GatewaySpec) -> list[route.Route]:
    """Return CONNECT's routes: not to this machine, not to other ports, not to unknown hosts where policy says so; else inside."""
    ports = "|".join(str(port) for port in spec.connect_ports)
    known = host_pattern(host for provider in spec.host_providers for host in provider.hosts if ":" not in host)
    hosts = known if spec.deny_unknown_hosts else ".+"
    inside = route.Route(
        name="proxy/connect",
        match=route.RouteMatch(connect_matcher=_CONNECTED, headers=[_named(f"{hosts}:(?:{ports})")]),
        route=route.RouteAction(
            cluster=CLUSTER_INSPECTION,
            timeout=seconds(0),
            idle_timeout=seconds(spec.passed_idle_s),
            upgrade_configs=[
                route.RouteActionUpgradeConfig(
                    upgrade_type="CONNECT", connect_config=route.RouteActionUpgradeConfigConnectConfig()
                )
            ],
        ),
        typed_per_filter_config=uninspected(spec),
    )
    here = route.RouteMatch(connect_matcher=_CONNECTED, headers=[_named(HERE)])
    port = route.RouteMatch(connect_matcher=_CONNECTED, headers=[_named(f".+:(?:{ports})", otherwise=True)])
    return [
        refused("proxy/connect/here", here, 403, _NOT_HERE, spec),
        refused("proxy/connect/port", port, 403, _PORTS.format(", ".join(map(str, spec.connect_ports))), spec),
        inside,
        refused("proxy/connect/unknown", route.RouteMatch(connect_matcher=_CONNECTED), 403, _UNKNOWN, spec),
    ]


def _passed_on(spec: GatewaySpec, door: str, cluster: str) -> list[route.Route]:
    """Return the routes of plain HTTP to hosts that are none of ours."""
    everything = route.RouteMatch(prefix="/")
    if spec.deny_unknown_hosts:
        return [refused(f"{door}/unknown", everything, 403, _UNKNOWN, spec)]
    passed = route.Route(
        name=f"{door}/passed",
        match=everything,
        route=route.RouteAction(cluster=cluster, timeout=seconds(0)),
        typed_per_filter_config=uninspected(spec),
        request_headers_to_remove=upstream_headers(spec)["request_headers_to_remove"],
    )
    if door != "proxy":
        return [passed]
    passed.typed_per_filter_config |= refused_here()
    passed.request_headers_to_add = [core.HeaderValueOption(header=core.HeaderValue(key="via", value=_via(spec)))]
    here = route.RouteMatch(prefix="/", headers=[_named(HERE)])
    seen = matcher.StringMatcher(contains=_via(spec))
    circle = route.RouteMatch(prefix="/", headers=[route.HeaderMatcher(name="via", string_match=seen)])
    return [
        refused("proxy/here", here, 403, _NOT_HERE, spec),
        refused("proxy/circle", circle, 508, _CIRCLE, spec),
        passed,
    ]


def _via(spec: GatewaySpec) -> str:
    return f"1.1 {spec.name}"


def _named(pattern: str, *, otherwise: bool = False) -> route.HeaderMatcher:
    """Match the host that a request names; otherwise: every other."""
    regex = matcher.RegexMatcher(regex=pattern)
    return route.HeaderMatcher(
        name=":authority", string_match=matcher.StringMatcher(safe_regex=regex), invert_match=otherwise
    )
