"""The listeners beside the gateway: the forward proxy, the transparent door, and the room behind both where TLS is opened.

In: a GatewaySpec. Out: a DiscoveryResponse of listeners as JSON text, a file of its own that Envoy watches, so that a change of
policy (unknown_hosts) takes effect without a restart.

    CONNECT host:443 ─► proxy ─► inspection (internal) ─┬─ SNI of an LLM host ─► TLS with a leaf of ours ─► inspected HTTP
    http://host/…    ─► proxy ─► inspected HTTP, or passed on as it is
    redirected TCP   ─► transparent ────────────────────┴─ any other ─► TCP, untouched
What is passed through is never decrypted, and a tunnel never leads to this machine (here.py). What is opened goes to the host that
its own Host header names, over TLS that is verified, and never to an address a client chose: a false SNI or a false address leads
nowhere but to a real LLM host. chains.py tells who takes which way.
"""

import json

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state import v3 as filter_state
from envoy_data_plane.envoy.extensions.filters.listener.http_inspector import v3 as http_inspector
from envoy_data_plane.envoy.extensions.filters.listener.original_dst import v3 as original_dst
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector import v3 as tls_inspector
from envoy_data_plane.envoy.extensions.filters.network.set_filter_state import v3 as set_filter_state
from envoy_data_plane.envoy.extensions.filters.network.sni_dynamic_forward_proxy import v3 as sni_forward
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy import v3 as tcp_proxy
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls
from envoy_data_plane.envoy.extensions.transport_sockets.tls.cert_mappers.sni import v3 as sni_mapper
from envoy_data_plane.envoy.extensions.transport_sockets.tls.cert_selectors.on_demand_secret import v3 as on_demand
from envoy_data_plane.envoy.type.v3 import Int32Range

from sidecar.envoyconf.chains import OPENED, PASSED, PLAIN, chosen_chain
from sidecar.envoyconf.filters import connection_manager
from sidecar.envoyconf.here import network_refusal
from sidecar.envoyconf.passthrough_log import pass_through_log, pass_through_log_options, pass_through_stat
from sidecar.envoyconf.spec import (
    CLUSTER_INSPECTION,
    CLUSTER_ORIGINAL,
    CLUSTER_PASSED,
    CLUSTER_SDS,
    CONNECTION_BUFFER,
    NAMED_HOST,
    GatewaySpec,
)
from sidecar.envoyconf.typed import dns_cache, extension, milliseconds, pack, seconds, socket_address

# In a tunnel the client speaks first: it is closed when it says nothing for so long (as request_headers_timeout).
_TUNNEL_SILENT_MS = 10_000
# Redirected connections may be of protocols in which the server speaks first: those pass after this long (Istio's protocol
# detection waited as long), and at once on the ports that are known for it: FTP, SSH, mail, MySQL.
_SILENT_MS = 5_000
_SERVER_FIRST = (21, 22, 25, 110, 143, 587, 3306)


def render_doors(spec: GatewaySpec, version: str = "1") -> str:
    """Return the listeners of the doors beside the gateway as the JSON text of a DiscoveryResponse."""
    built = []
    if spec.proxy_port:
        built += [_proxy(spec), _inspection(spec)]
    if spec.transparent_port:
        built.append(_transparent(spec))
    resources = [{"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", **one.to_dict()} for one in built]
    return json.dumps({"version_info": version, "resources": resources}, indent=1)


def _proxy(spec: GatewaySpec) -> listener.Listener:
    return listener.Listener(
        name="proxy",
        address=socket_address(spec.proxy_bind, spec.proxy_port),
        filter_chains=[listener.FilterChain(filters=[_http(spec, "proxy")])],
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
    )


def _inspection(spec: GatewaySpec) -> listener.Listener:
    """Where CONNECT's tunnels end. Its connections come from within Envoy; original_dst puts the client's address back."""
    return listener.Listener(
        name=CLUSTER_INSPECTION,
        internal_listener=listener.ListenerInternalListenerConfig(),
        listener_filters=[_original_address(), _tls_inspector()],
        listener_filters_timeout=milliseconds(_TUNNEL_SILENT_MS),
        filter_chains=[
            _opened(spec, "proxy"),
            *_passing(spec, [*_to_named_host(), network_refusal(), pass_through(spec, "proxy")]),
        ],
        filter_chain_matcher=chosen_chain(spec, "proxy"),
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
    )


def _transparent(spec: GatewaySpec) -> listener.Listener:
    inspectors = [
        _original_address(),
        _tls_inspector(),
        _listener_filter("envoy.filters.listener.http_inspector", http_inspector.HttpInspector()),
    ]
    first, *others = (socket_address(bind, spec.transparent_port) for bind in spec.transparent_bind)
    for inspector in inspectors[1:]:
        inspector.filter_disabled = _to_ports(_SERVER_FIRST)
    plain = listener.FilterChain(name=PLAIN, filters=[_http(spec, "transparent")])
    return listener.Listener(
        name="transparent",
        address=first,
        additional_addresses=[listener.AdditionalAddress(address=one) for one in others],
        listener_filters=inspectors,
        listener_filters_timeout=milliseconds(_SILENT_MS),
        continue_on_listener_filters_timeout=True,
        filter_chains=[_opened(spec, "transparent"), plain, *_passing(spec, [pass_through(spec, "transparent")])],
        filter_chain_matcher=chosen_chain(spec, "transparent"),
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
    )


def pass_through(spec: GatewaySpec, door: str) -> listener.Filter:
    """Return the filter that carries a connection on as it is."""
    cluster = CLUSTER_PASSED if door == "proxy" else CLUSTER_ORIGINAL
    carried = tcp_proxy.TcpProxy(
        stat_prefix=pass_through_stat(door),
        cluster=cluster,
        idle_timeout=seconds(spec.passed_idle_s),
        access_log=pass_through_log(spec.passed_log, door),
        access_log_options=pass_through_log_options(),
    )
    return listener.Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(carried))


def _passing(spec: GatewaySpec, filters: list[listener.Filter]) -> list[listener.FilterChain]:
    """Return the chain of hosts that are none of ours; without it their connections are closed."""
    return [] if spec.deny_unknown_hosts else [listener.FilterChain(name=PASSED, filters=filters)]


def _to_named_host() -> list[listener.Filter]:
    """Connect to the host that CONNECT named."""
    named = filter_state.FilterStateValue(
        object_key="envoy.upstream.dynamic_host",
        format_string=core.SubstitutionFormatString(
            text_format_source=core.DataSource(inline_string=f"%FILTER_STATE({NAMED_HOST}:PLAIN)%")
        ),
    )
    told = set_filter_state.Config(on_new_connection=[named])
    resolved = sni_forward.FilterConfig(dns_cache_config=dns_cache(), port_value=443, save_upstream_address=True)
    return [
        listener.Filter(name="envoy.filters.network.set_filter_state", typed_config=pack(told)),
        listener.Filter(name="envoy.filters.network.sni_dynamic_forward_proxy", typed_config=pack(resolved)),
    ]


def _opened(spec: GatewaySpec, door: str) -> listener.FilterChain:
    """A client's TLS ends here, with a certificate made for the name it asked for."""
    selector = on_demand.Config(
        config_source=core.ConfigSource(
            api_config_source=core.ApiConfigSource(
                api_type=core.ApiConfigSourceApiType.DELTA_GRPC,
                transport_api_version=core.ApiVersion.V3,
                grpc_services=[core.GrpcService(envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=CLUSTER_SDS))],
            ),
            resource_api_version=core.ApiVersion.V3,
        ),
        certificate_mapper=extension("sni", sni_mapper.Sni(default_value="unnamed")),
    )
    common = tls.CommonTlsContext(
        alpn_protocols=["h2", "http/1.1"],
        custom_tls_certificate_selector=extension("envoy.tls.certificate_selectors.on_demand_secret", selector),
    )
    # Resumed sessions have no certificate to select: Envoy 1.40 aborts on them (ENVOY.md 5).
    context = tls.DownstreamTlsContext(
        common_tls_context=common,
        disable_stateless_session_resumption=True,
        disable_stateful_session_resumption=True,
    )
    named = extension("envoy.transport_sockets.tls", context)
    return listener.FilterChain(
        name=OPENED,
        filters=[_http(spec, f"{door}-opened")],
        transport_socket=core.TransportSocket(name=named.name, typed_config=named.typed_config),
        transport_socket_connect_timeout=seconds(10),
    )


def _http(spec: GatewaySpec, table: str) -> listener.Filter:
    return listener.Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=pack(connection_manager(spec, table))
    )


def _original_address() -> listener.ListenerFilter:
    return _listener_filter("envoy.filters.listener.original_dst", original_dst.OriginalDst())


def _tls_inspector() -> listener.ListenerFilter:
    return _listener_filter("envoy.filters.listener.tls_inspector", tls_inspector.TlsInspector())


def _listener_filter(name: str, config: object) -> listener.ListenerFilter:
    return listener.ListenerFilter(name=name, typed_config=pack(config))


def _to_ports(ports: tuple[int, ...]) -> listener.ListenerFilterChainMatchPredicate:
    ranges = [
        listener.ListenerFilterChainMatchPredicate(destination_port_range=Int32Range(start=port, end=port + 1))
        for port in ports
    ]
    return listener.ListenerFilterChainMatchPredicate(
        or_match=listener.ListenerFilterChainMatchPredicateMatchSet(rules=ranges)
    )
