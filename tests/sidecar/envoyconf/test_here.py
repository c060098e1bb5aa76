"""This machine as a destination."""

import re

import pytest

from sidecar.envoyconf.filters import connection_manager
from sidecar.envoyconf.here import HERE, http_refusal, network_refusal, refused_here
from sidecar.envoyconf.spec import GatewaySpec

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane", proxy_port=3128)


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST.:80", "a.localhost", "127.1:1", "[::1]:443", "169.254.169.254"]
)
def test_names_that_say_so_are_told(name: str) -> None:
    assert re.fullmatch(HERE, name)


@pytest.mark.parametrize("name", ["localhost.example", "1.127.0.1", "api.openai.com", "10.0.0.1", "[2001:db8::1]"])
def test_others_are_not(name: str) -> None:
    assert not re.fullmatch(HERE, name)


def test_the_address_is_looked_at_behind_the_resolver_where_a_route_asks_for_it() -> None:
    names = [one.name for one in connection_manager(SPEC, "proxy").http_filters]
    assert names[-3:] == [
        "envoy.filters.http.dynamic_forward_proxy",
        "envoy.filters.http.rbac",
        "envoy.filters.http.router",
    ]
    assert http_refusal().disabled
    assert list(refused_here()) == ["envoy.filters.http.rbac"]


def test_both_filters_have_the_same_ranges() -> None:
    for packed in (bytes(http_refusal().typed_config or b""), bytes(network_refusal().typed_config or b"")):
        for prefix in (b"127.0.0.0", b"169.254.0.0", b"::1", b"fe80::"):
            assert prefix in packed
