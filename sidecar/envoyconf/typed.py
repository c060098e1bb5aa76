"""Small words for building Envoy messages: packing into Any, durations, addresses, the cache of names.

In: values. Out: envoy-data-plane messages.
"""

from datetime import timedelta
from typing import Any

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.common.dynamic_forward_proxy import v3 as forward
from envoy_data_plane.google import protobuf


def pack(message: Any) -> protobuf.Any:
    """Return the message wrapped in google.protobuf.Any, as typed_config wants it."""
    return protobuf.Any.pack(message)


def extension(name: str, message: Any) -> core.TypedExtensionConfig:
    """Return a named extension with its configuration."""
    return core.TypedExtensionConfig(name=name, typed_config=pack(message))


def milliseconds(value: int) -> timedelta:
    """Return a duration of that many milliseconds."""
    return timedelta(milliseconds=value)


def seconds(value: int) -> timedelta:
    """Return a duration of that many seconds; 0 switches a limit of Envoy's off."""
    return timedelta(seconds=value)


def socket_address(host: str, port: int) -> core.Address:
    """Return a TCP address."""
    return core.Address(socket_address=core.SocketAddress(address=host, port_value=port))


def dns_cache() -> forward.DnsCacheConfig:
    """Return the one cache of host names; everything that names it must describe it alike."""
    return forward.DnsCacheConfig(
        name="hosts", dns_lookup_family=cluster.ClusterDnsLookupFamily.V4_PREFERRED, max_hosts=10_000
    )


def pipe_address(path: str) -> core.Address:
    """Return the address of a Unix socket."""
    return core.Address(pipe=core.Pipe(path=path))
