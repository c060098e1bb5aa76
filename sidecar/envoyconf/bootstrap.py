"""The bootstrap: node, admin, the gateway listener, clusters.

In: a GatewaySpec. Out: JSON text for `envoy -c`.
"""

import json

from envoy_data_plane.envoy.config.bootstrap import v3 as bootstrap
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener

from sidecar.envoyconf.clusters import clusters
from sidecar.envoyconf.filters import connection_manager
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.typed import pack, socket_address


def render_bootstrap(spec: GatewaySpec) -> str:
    """Return Envoy's bootstrap for this gateway as JSON text."""
    built = bootstrap.Bootstrap(
        # A node id and cluster are needed by every xDS source; without them Envoy 1.40 aborts (ENVOY.md 5).
        node=core.Node(id="douane", cluster="douane"),
        admin=bootstrap.Admin(address=socket_address("127.0.0.1", spec.admin_port)),
        static_resources=bootstrap.BootstrapStaticResources(listeners=[_gateway(spec)], clusters=clusters(spec)),
    )
    return json.dumps(built.to_dict(), indent=1)


def _gateway(spec: GatewaySpec) -> listener.Listener:
    manager = listener.Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=pack(connection_manager(spec))
    )
    return listener.Listener(
        name="gateway",
        address=socket_address(spec.bind, spec.gateway_port),
        filter_chains=[listener.FilterChain(filters=[manager])],
        per_connection_buffer_limit_bytes=spec.max_body_bytes,
    )
