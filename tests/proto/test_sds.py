"""Our messages of secret discovery have the bytes of Envoy's own (envoy-data-plane)."""

from douane.envoy import sds_pb2 as pb
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls
from envoy_data_plane.envoy.service.discovery import v3 as discovery
from envoy_data_plane.google.rpc import Status

from sidecar.certs.authority import utc_now
from sidecar.certs.sds import SECRET_TYPE, response
from sidecar.certs.signing import Leaf


def test_a_request_of_envoy_s_is_read() -> None:
    sent = discovery.DeltaDiscoveryRequest(
        resource_names_subscribe=["a", "b"],
        resource_names_unsubscribe=["c"],
        type_url=SECRET_TYPE,
        response_nonce="n",
        error_detail=Status(code=3, message="no"),
    )
    read = pb.DeltaDiscoveryRequest.FromString(bytes(sent))
    assert (list(read.resource_names_subscribe), list(read.resource_names_unsubscribe)) == (["a", "b"], ["c"])
    assert (read.type_url, read.response_nonce) == (SECRET_TYPE, "n")
    assert (read.error_detail.code, read.error_detail.message) == (3, "no")


def test_a_secret_of_ours_is_read_by_envoy_s_types() -> None:
    data = response({"A.test": Leaf("a.test", b"chain", b"key", utc_now())}, ["b.test"], "1.1").SerializeToString()
    read = discovery.DeltaDiscoveryResponse.parse(data)
    assert (read.system_version_info, read.nonce, read.type_url) == ("1.1", "1.1", SECRET_TYPE)
    assert read.removed_resources == ["b.test"]
    (resource,) = read.resources
    assert (resource.name, resource.version) == ("A.test", "1.1")
    assert resource.resource is not None
    secret = tls.Secret.parse(resource.resource.value)
    assert secret.name == "A.test"
    certificate = secret.tls_certificate
    assert certificate is not None
    assert certificate.certificate_chain is not None
    assert certificate.private_key is not None
    assert (certificate.certificate_chain.inline_bytes, certificate.private_key.inline_bytes) == (b"chain", b"key")
