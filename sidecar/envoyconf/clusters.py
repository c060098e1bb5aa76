"""The clusters: the sidecar's workers, analytics, and one per provider.

In: a GatewaySpec. Out: a list of Cluster messages.
"""

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as http
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any as ProtobufAny

from sidecar.envoyconf.filters import CLUSTER_SIDECAR
from sidecar.envoyconf.providers import Provider
from sidecar.envoyconf.routes import CLUSTER_ANALYTICS
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.typed import extension, milliseconds, pack, pipe_address, seconds, socket_address

# An exchange holds one gRPC stream for its whole life, and Envoy's default circuit breaker stops at 1,024 (ENVOY.md 3).
MAX_EXCHANGES = 100_000
# Small HTTP/2 windows make large prompts slow (ENVOY.md 5).
WINDOW_BYTES = 4 * 1024 * 1024


def clusters(spec: GatewaySpec) -> list[cluster.Cluster]:
    """Return every cluster the gateway needs."""
    found = [_provider(provider, spec) for provider in spec.providers]
    if spec.sockets:
        found.append(_sidecar(spec))
    if spec.analytics is not None:
        found.append(_analytics(*spec.analytics))
    return found


def _sidecar(spec: GatewaySpec) -> cluster.Cluster:
    """All workers are endpoints of one cluster: SO_REUSEPORT would spread HTTP/2 connections unevenly (ENVOY.md 14)."""
    http2 = core.Http2ProtocolOptions(
        max_concurrent_streams=MAX_EXCHANGES,
        initial_stream_window_size=WINDOW_BYTES,
        initial_connection_window_size=4 * WINDOW_BYTES,
    )
    return cluster.Cluster(
        name=CLUSTER_SIDECAR,
        type=cluster.ClusterDiscoveryType.STATIC,
        connect_timeout=milliseconds(250),
        lb_policy=cluster.ClusterLbPolicy.LEAST_REQUEST,
        load_assignment=_assignment(CLUSTER_SIDECAR, [pipe_address(path) for path in spec.sockets]),
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
        type=cluster.ClusterDiscoveryType.LOGICAL_DNS,
        dns_lookup_family=cluster.ClusterDnsLookupFamily.V4_PREFERRED,
        connect_timeout=seconds(5),
        load_assignment=_assignment(name, [socket_address(provider.host, provider.port)]),
        circuit_breakers=_unbounded(),
        per_connection_buffer_limit_bytes=spec.max_body_bytes,
    )
    if provider.tls:
        built.transport_socket = _verified_tls(provider.host, spec.ca_file)
        built.typed_extension_protocol_options = _by_alpn()
    return built


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
    names.matcher = _exact(host)
    validation = tls.CertificateValidationContext(
        trusted_ca=core.DataSource(filename=ca_file), match_typed_subject_alt_names=[names]
    )
    context = tls.UpstreamTlsContext(sni=host, common_tls_context=tls.CommonTlsContext(validation_context=validation))
    named = extension("envoy.transport_sockets.tls", context)
    return core.TransportSocket(name=named.name, typed_config=named.typed_config)


def _exact(value: str) -> matcher.StringMatcher:
    return matcher.StringMatcher(exact=value)


def _by_alpn() -> dict[str, ProtobufAny]:
    auto = http.HttpProtocolOptionsAutoHttpConfig(
        http_protocol_options=core.Http1ProtocolOptions(), http2_protocol_options=core.Http2ProtocolOptions()
    )
    return {_OPTIONS: pack(http.HttpProtocolOptions(auto_config=auto))}


def _protocol(explicit: http.HttpProtocolOptionsExplicitHttpConfig) -> dict[str, ProtobufAny]:
    return {_OPTIONS: pack(http.HttpProtocolOptions(explicit_http_config=explicit))}


_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
