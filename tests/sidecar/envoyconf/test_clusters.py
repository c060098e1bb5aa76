"""Where Envoy connects to."""

from sidecar.envoyconf.clusters import MAX_EXCHANGES, clusters
from sidecar.envoyconf.providers import PROVIDERS
from sidecar.envoyconf.spec import GatewaySpec

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock", "/tmp/w-1.sock"), routes_file="routes.json", ca_file="/ca.pem")


def test_there_is_one_cluster_a_place() -> None:
    names = ["provider-openrouter", "provider-anthropic", "provider-openai", "sidecar", "analytics"]
    assert [cluster.name for cluster in clusters(SPEC)] == names
    alone = GatewaySpec(sockets=(), routes_file="r", analytics=None, providers=PROVIDERS[:1])
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
    for provider, cluster in zip(PROVIDERS, clusters(SPEC), strict=False):
        assert cluster.transport_socket is not None
        packed = bytes(cluster.transport_socket.typed_config or b"")
        assert provider.host.encode() in packed
        assert b"/ca.pem" in packed


def test_provider_without_tls_has_no_transport_socket() -> None:
    spec = GatewaySpec(sockets=(), routes_file="r", providers=(PROVIDERS[0].redirected("http://127.0.0.1:1"),))
    assert clusters(spec)[0].transport_socket is None
