"""This machine, as a destination that the forward proxy refuses: a proxy must not be a way into the machine it runs on.

In: nothing. Out: a pattern of the names that say so themselves, and filters that look at the address a name led to.
The pattern gives a clear answer and is no defence: any name may lead to 127.0.0.1 (the machine's own often does). The filters
are the defence; they see the address that is about to be connected to.
Source: RFC 6890: loopback, "this network", link-local (where clouds keep their metadata service).
"""

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.config.rbac import v3 as rules
from envoy_data_plane.envoy.extensions.filters.http.rbac import v3 as http_rbac
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.filters.network.rbac import v3 as network_rbac
from envoy_data_plane.envoy.extensions.rbac.matchers.upstream_ip_port import v3 as upstream
from envoy_data_plane.google.protobuf import Any as ProtobufAny

from sidecar.envoyconf.typed import extension, pack

_RBAC = "envoy.filters.http.rbac"
_NAMES = r"localhost|.*\.localhost|127\.[0-9.]+|0\.[0-9.]+|0|169\.254\.[0-9.]+|\[::1?\]|\[fe80:.*\]|\[::ffff:.*\]"
HERE = rf"(?i)(?:{_NAMES})\.?(?::[0-9]+)?"
_RANGES = (
    ("127.0.0.0", 8),
    ("0.0.0.0", 8),  # noqa: S104 - refused, not bound
    ("169.254.0.0", 16),
    ("::1", 128),
    ("::", 128),
    ("fe80::", 10),
    ("::ffff:127.0.0.0", 104),
    ("::ffff:0.0.0.0", 104),
    ("::ffff:169.254.0.0", 112),
    ("fd00:ec2::254", 128),  # AWS's metadata service over IPv6
)


def http_refusal() -> hcm.HttpFilter:
    """Return the filter of HTTP; it stands behind the resolver and is off where a route does not switch it on."""
    return hcm.HttpFilter(name=_RBAC, typed_config=pack(http_rbac.Rbac(rules=_rules())), disabled=True)


def refused_here() -> dict[str, ProtobufAny]:
    """Return what switches the filter on for a route."""
    return {_RBAC: pack(http_rbac.RbacPerRoute(rbac=http_rbac.Rbac(rules=_rules())))}


def network_refusal() -> listener.Filter:
    """Return the filter of a tunnel; it stands behind the resolver. No byte goes to a refused address."""
    config = network_rbac.Rbac(rules=_rules(), stat_prefix="here")
    return listener.Filter(name="envoy.filters.network.rbac", typed_config=pack(config))


def _rules() -> rules.Rbac:
    ranges = [rules.Permission(matcher=extension("address", _range(*one))) for one in _RANGES]
    everybody = rules.Policy(permissions=ranges, principals=[rules.Principal(any=True)])
    return rules.Rbac(action=rules.RbacAction.DENY, policies={"here": everybody})


def _range(prefix: str, length: int) -> upstream.UpstreamIpPortMatcher:
    return upstream.UpstreamIpPortMatcher(upstream_ip=core.CidrRange(address_prefix=prefix, prefix_len=length))
