"""Where Envoy connects to."""

from dataclasses import replace

from envoy_data_plane.envoy.config.core import v3 as core

from sidecar.envoyconf.clusters import MAX_EXCHANGES, clusters
from sidecar.envoyconf.providers import PROVIDERS
from sidecar.envoyconf.spec import GatewaySpec

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock", "/tmp/w-1.sock"), folder="/run/douane", ca_file="/ca.pem")


def test_there_is_one_cluster_a_place() -> None:
    fixed = [f"provider-{provider.name}" for provider in PROVIDERS if provider.host]
    names = [*fixed, "sidecar", "analytics"]
    assert [cluster.name for cluster in clusters(SPEC)] == names
    doors = replace(SPEC, proxy_port=3128, transparent_port=15001)
    behind = ["sds", "host-tls", "host-plain", "inspection", "passed", "original"]
    assert [cluster.name for cluster in clusters(doors)] == [*names, *behind]
    alone = GatewaySpec(sockets=(), folder="r", analytics=None, providers=PROVIDERS[:1])
    assert [cluster.name for cluster in clusters(alone)] == names[:1]


def test_every_worker_is_an_endpoint_of_one_cluster() -> None:
    sidecar = next(cluster for cluster in clusters(SPEC) if cluster.name == "sidecar")
    assert sidecar.load_assignment is not None
    (group,) = sidecar.load_assignment.endpoints
    pipes = [e.endpoint.address.pipe.path for e in group.lb_endpoints if e.endpoint and e.endpoint.address]  # type: ignore[union-attr]
    assert pipes == list(SPEC.sockets)


def test_no_circuit_breaker_stops_at_the_default_of_1024() -> None:
    for cluster in clusters(SPEC):
        if cluster.name != "analytics":
            assert cluster.circuit_breakers is not None
            (limits,) = cluster.circuit_breakers.thresholds
            assert (limits.max_connections, limits.max_pending_requests, limits.max_requests) == (MAX_EXCHANGES,) * 3


def test_providers_over_tls_are_always_verified() -> None:
    fixed = [provider for provider in PROVIDERS if provider.host]
    for provider, cluster in zip(fixed, clusters(SPEC), strict=False):
        assert cluster.transport_socket is not None
        packed = bytes(cluster.transport_socket.typed_config or b"")
        assert provider.host.encode() in packed
        assert b"/ca.pem" in packed


def test_provider_without_tls_has_no_transport_socket() -> None:
    spec = GatewaySpec(sockets=(), folder="r", providers=(PROVIDERS[0].redirected("http://127.0.0.1:1"),))
    assert clusters(spec)[0].transport_socket is None


def test_a_host_that_a_request_names_is_verified_by_that_name() -> None:
    (found,) = [c for c in clusters(replace(SPEC, proxy_port=3128)) if c.name == "host-tls"]
    assert found.transport_socket is not None
    assert b"/ca.pem" in bytes(found.transport_socket.typed_config or b"")
    (options,) = found.typed_extension_protocol_options.values()
    assert options.unpack().upstream_http_protocol_options == core.UpstreamHttpProtocolOptions(
        auto_sni=True, auto_san_validation=True
    )


def test_a_moved_provider_has_one_cluster_for_all_doors() -> None:
    moved = tuple(p.redirected("https://a.test") if p.name in ("azure", "openai") else p for p in PROVIDERS)
    spec = replace(SPEC, providers=moved, host_providers=moved, proxy_port=3128)
    names = [cluster.name for cluster in clusters(spec)]
    assert names.count("provider-openai") == names.count("provider-azure") == 1
