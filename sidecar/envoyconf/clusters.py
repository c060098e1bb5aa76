"""The clusters: the sidecar's workers, analytics, one per provider with an address of its own, and those that a host name leads to.

In: a GatewaySpec. Out: a list of Cluster messages.
"""

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.envoy.extensions.clusters.common.dns import v3 as dns_common
from envoy_data_plane.envoy.extensions.clusters.dns import v3 as dns
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy import v3 as dynamic_cluster
from envoy_data_plane.envoy.extensions.transport_sockets.internal_upstream import v3 as internal_upstream
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer import v3 as raw_buffer
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as http
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any as ProtobufAny

from sidecar.envoyconf.providers import Provider
from sidecar.envoyconf.spec import (
    CLUSTER_ANALYTICS,
    CLUSTER_HOST_PLAIN,
    CLUSTER_HOST_TLS,
    CLUSTER_INSPECTION,
    CLUSTER_ORIGINAL,
    CLUSTER_PASSED,
    CLUSTER_SDS,
    CLUSTER_SIDECAR,
    CONNECTION_BUFFER,
    GatewaySpec,
)
from sidecar.envoyconf.typed import dns_cache, extension, milliseconds, pack, pipe_address, seconds, socket_address

# An exchange holds one gRPC stream for its whole life, and Envoy's default circuit breaker stops at 1,024 (ENVOY.md 3).
MAX_EXCHANGES = 100_000
# Small HTTP/2 windows make large prompts slow (ENVOY.md 5).
WINDOW_BYTES = 4 * 1024 * 1024


def clusters(spec: GatewaySpec) -> list[cluster.Cluster]:
    """Return every cluster the doors need."""
    found = [_provider(provider, spec) for provider in _fixed(spec)]
    if spec.sockets:
        found.append(_workers(CLUSTER_SIDECAR, spec.sockets))
    if spec.analytics is not None:
        found.append(_analytics(*spec.analytics))
    if spec.doors:
        found += [_workers(CLUSTER_SDS, (spec.sds_socket,)), _by_host(spec, tls_=True), _by_host(spec, tls_=False)]
    if spec.proxy_port:
        found += [_inspection(), _passed()]
    if spec.transparent_port:
        found.append(_original())
    return found


def _fixed(spec: GatewaySpec) -> list[Provider]:
    """Return the providers that have one address: of both tables, each name once."""
    moved = [provider for provider in spec.host_providers if provider.moved]
    return list({p.name: p for p in (*moved, *spec.providers) if p.host}.values())


def _workers(name: str, sockets: tuple[str, ...]) -> cluster.Cluster:
    """All workers are endpoints of one cluster: SO_REUSEPORT would spread HTTP/2 connections unevenly (ENVOY.md 14)."""
    http2 = core.Http2ProtocolOptions(
        max_concurrent_streams=MAX_EXCHANGES,
        initial_stream_window_size=WINDOW_BYTES,
        initial_connection_window_size=4 * WINDOW_BYTES,
    )
    return cluster.Cluster(
        name=name,
        type=cluster.ClusterDiscoveryType.STATIC,
        connect_timeout=milliseconds(250),
        lb_policy=cluster.ClusterLbPolicy.LEAST_REQUEST,
        load_assignment=_assignment(name, [pipe_address(path) for path in sockets]),
        circuit_breakers=_unbounded(),
        outlier_detection=_shun_the_dead(),
        typed_extension_protocol_options=_protocol(
            http.HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=http2)
        ),
    )


def _shun_the_dead() -> cluster.OutlierDetection:
    """A worker that was killed looks least busy: leave it out for half a second after its first refused connection."""
    return cluster.OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=1,
        enforcing_consecutive_local_origin_failure=100,
        enforcing_local_origin_success_rate=0,
        enforcing_success_rate=0,
        interval=milliseconds(250),
        base_ejection_time=milliseconds(500),
        max_ejection_time=seconds(2),
        max_ejection_percent=100,
    )


def _analytics(host: str, port: int) -> cluster.Cluster:
    return cluster.Cluster(
        name=CLUSTER_ANALYTICS,
        type=cluster.ClusterDiscoveryType.STRICT_DNS,
        connect_timeout=seconds(1),
        load_assignment=_assignment(CLUSTER_ANALYTICS, [socket_address(host, port)]),
    )


def _provider(provider: Provider, spec: GatewaySpec) -> cluster.Cluster:
    name = f"provider-{provider.name}"
    built = cluster.Cluster(
        name=name,
        cluster_type=_asked_for_now_and_then(),
        connect_timeout=seconds(5),
        load_assignment=_assignment(name, [socket_address(provider.host, provider.port)]),
        circuit_breakers=_unbounded(),
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
    )
    if provider.tls:
        built.transport_socket = _verified_tls(provider.host, spec.ca_file)
        built.typed_extension_protocol_options = _by_alpn()
    return built


def _asked_for_now_and_then() -> cluster.ClusterCustomClusterType:
    """Envoy asks for the names of all providers all the time, every 5 s if it may: as often as they say, or once a minute."""
    config = dns.DnsCluster(
        dns_refresh_rate=seconds(60),
        dns_failure_refresh_rate=dns.DnsClusterRefreshRate(base_interval=seconds(5), max_interval=seconds(60)),
        respect_dns_ttl=True,
        dns_lookup_family=dns_common.DnsLookupFamily.V4_PREFERRED,
        all_addresses_in_single_endpoint=True,
    )
    return cluster.ClusterCustomClusterType(name="envoy.cluster.dns", typed_config=pack(config))


def _by_host(spec: GatewaySpec, *, tls_: bool) -> cluster.Cluster:
    """The host that a request names. Over TLS its chain and that very name are verified, always."""
    name = CLUSTER_HOST_TLS if tls_ else CLUSTER_HOST_PLAIN
    built = cluster.Cluster(
        name=name,
        lb_policy=cluster.ClusterLbPolicy.CLUSTER_PROVIDED,
        connect_timeout=seconds(5),
        cluster_type=_resolving(),
        circuit_breakers=_unbounded(),
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
        typed_extension_protocol_options=_by_alpn(verify_name=tls_) if tls_ else {},
    )
    if tls_:
        built.transport_socket = _tls_socket(tls.UpstreamTlsContext(common_tls_context=_trusting(spec.ca_file)))
    return built


def _resolving() -> cluster.ClusterCustomClusterType:
    named = extension(
        "envoy.clusters.dynamic_forward_proxy", dynamic_cluster.ClusterConfig(dns_cache_config=dns_cache())
    )
    return cluster.ClusterCustomClusterType(name=named.name, typed_config=named.typed_config)


def _inspection() -> cluster.Cluster:
    """The way from CONNECT into the room where TLS is opened; filter state that is shared comes along."""
    transport = internal_upstream.InternalUpstreamTransport(
        transport_socket=_socket("envoy.transport_sockets.raw_buffer", raw_buffer.RawBuffer())
    )
    address = core.Address(envoy_internal_address=core.EnvoyInternalAddress(server_listener_name=CLUSTER_INSPECTION))
    return cluster.Cluster(
        name=CLUSTER_INSPECTION,
        type=cluster.ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(1),
        load_assignment=_assignment(CLUSTER_INSPECTION, [address]),
        circuit_breakers=_unbounded(),
        transport_socket=_socket("envoy.transport_sockets.internal_upstream", transport),
    )


def _passed() -> cluster.Cluster:
    """Whatever host a tunnel names; its bytes are not ours."""
    return cluster.Cluster(
        name=CLUSTER_PASSED,
        lb_policy=cluster.ClusterLbPolicy.CLUSTER_PROVIDED,
        connect_timeout=seconds(5),
        cluster_type=_resolving(),
        circuit_breakers=_unbounded(),
    )


def _original() -> cluster.Cluster:
    """Where a redirected connection was going."""
    return cluster.Cluster(
        name=CLUSTER_ORIGINAL,
        type=cluster.ClusterDiscoveryType.ORIGINAL_DST,
        lb_policy=cluster.ClusterLbPolicy.CLUSTER_PROVIDED,
        connect_timeout=seconds(5),
        circuit_breakers=_unbounded(),
    )


def _assignment(name: str, addresses: list[core.Address]) -> endpoint.ClusterLoadAssignment:
    endpoints = [endpoint.LbEndpoint(endpoint=endpoint.Endpoint(address=address)) for address in addresses]
    return endpoint.ClusterLoadAssignment(
        cluster_name=name, endpoints=[endpoint.LocalityLbEndpoints(lb_endpoints=endpoints)]
    )


def _unbounded() -> cluster.CircuitBreakers:
    limits = cluster.CircuitBreakersThresholds(
        max_connections=MAX_EXCHANGES, max_pending_requests=MAX_EXCHANGES, max_requests=MAX_EXCHANGES
    )
    return cluster.CircuitBreakers(thresholds=[limits])


def _verified_tls(host: str, ca_file: str) -> core.TransportSocket:
    """Verify the provider's chain and name always; there is no setting to switch it off."""
    names = tls.SubjectAltNameMatcher(san_type=tls.SubjectAltNameMatcherSanType.DNS)
    names.matcher = matcher.StringMatcher(exact=host)
    return _tls_socket(tls.UpstreamTlsContext(sni=host, common_tls_context=_trusting(ca_file, names)))


def _trusting(ca_file: str, *names: tls.SubjectAltNameMatcher) -> tls.CommonTlsContext:
    validation = tls.CertificateValidationContext(
        trusted_ca=core.DataSource(filename=ca_file), match_typed_subject_alt_names=list(names)
    )
    return tls.CommonTlsContext(validation_context=validation)


def _tls_socket(context: tls.UpstreamTlsContext) -> core.TransportSocket:
    return _socket("envoy.transport_sockets.tls", context)


def _socket(name: str, config: object) -> core.TransportSocket:
    return core.TransportSocket(name=name, typed_config=pack(config))


def _by_alpn(*, verify_name: bool = False) -> dict[str, ProtobufAny]:
    """HTTP/2 where the host speaks it; verify_name: SNI and the name to verify are those of the request."""
    auto = http.HttpProtocolOptionsAutoHttpConfig(
        http_protocol_options=core.Http1ProtocolOptions(), http2_protocol_options=core.Http2ProtocolOptions()
    )
    named = core.UpstreamHttpProtocolOptions(auto_sni=True, auto_san_validation=True) if verify_name else None
    return {_OPTIONS: pack(http.HttpProtocolOptions(auto_config=auto, upstream_http_protocol_options=named))}


def _protocol(explicit: http.HttpProtocolOptionsExplicitHttpConfig) -> dict[str, ProtobufAny]:
    return {_OPTIONS: pack(http.HttpProtocolOptions(explicit_http_config=explicit))}


_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
