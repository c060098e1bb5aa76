"""The bootstrap: node, admin, the gateway listener, clusters, and where the other doors are found.

In: a GatewaySpec. Out: JSON text for `envoy -c`.
"""

import json

from envoy_data_plane.envoy.config.bootstrap import v3 as bootstrap
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.extensions.bootstrap.internal_listener import v3 as internal_listener
from envoy_data_plane.google.protobuf import Struct

from sidecar.envoyconf.clusters import clusters
from sidecar.envoyconf.filters import connection_manager
from sidecar.envoyconf.spec import CONNECTION_BUFFER, GatewaySpec
from sidecar.envoyconf.typed import extension, pack, socket_address

_MAX_PATTERN = 100_000


def render_bootstrap(spec: GatewaySpec) -> str:
    """Return Envoy's bootstrap for this gateway as JSON text."""
    built = bootstrap.Bootstrap(
        # A node id and cluster are needed by every xDS source; without them Envoy 1.40 aborts (ENVOY.md 5).
        node=core.Node(id="douane", cluster="douane"),
        admin=bootstrap.Admin(address=socket_address("127.0.0.1", spec.admin_port)),
        static_resources=bootstrap.BootstrapStaticResources(listeners=[_gateway(spec)], clusters=clusters(spec)),
        layered_runtime=bootstrap.LayeredRuntime(layers=[_limits()]),
        bootstrap_extensions=[extension("envoy.bootstrap.internal_listener", internal_listener.InternalListener())],
    )
    if spec.doors:
        watched = core.PathConfigSource(path=spec.doors_file)
        built.dynamic_resources = bootstrap.BootstrapDynamicResources(
            lds_config=core.ConfigSource(path_config_source=watched, resource_api_version=core.ApiVersion.V3)
        )
    return json.dumps(built.to_dict(), indent=1)


def _limits() -> bootstrap.RuntimeLayer:
    """Envoy refuses patterns of more than 100 instructions, which a table of host names is; RE2 is linear in any case."""
    sizes = {f"re2.max_program_size.{level}_level": _MAX_PATTERN for level in ("error", "warn")}
    return bootstrap.RuntimeLayer(name="limits", static_layer=Struct.from_dict(sizes))


def _gateway(spec: GatewaySpec) -> listener.Listener:
    manager = listener.Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=pack(connection_manager(spec, "gateway"))
    )
    return listener.Listener(
        name="gateway",
        address=socket_address(spec.bind, spec.gateway_port),
        filter_chains=[listener.FilterChain(filters=[manager])],
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER,
    )
