"""Route tables: one file each that Envoy watches, so that a policy change of mode takes effect without a restart.

In: a GatewaySpec, a table's name (GatewaySpec.tables). Out: a DiscoveryResponse with one RouteConfiguration, as JSON.
"""

import json

from envoy_data_plane.envoy.config.route import v3 as route

from sidecar.envoyconf.gateway_routes import gateway_routes
from sidecar.envoyconf.host_routes import host_routes
from sidecar.envoyconf.inspected_routes import failure_mode
from sidecar.envoyconf.spec import GatewaySpec


def render_table(spec: GatewaySpec, table: str, version: str = "1") -> str:
    """Return a route table as the JSON text of a DiscoveryResponse."""
    routes = gateway_routes(spec) if table == "gateway" else host_routes(spec, table)
    host = route.VirtualHost(name=table, domains=["*"], routes=routes, typed_per_filter_config=failure_mode(spec))
    built = route.RouteConfiguration(name=table, virtual_hosts=[host]).to_dict()
    resource = {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", **built}
    return json.dumps({"version_info": version, "resources": [resource]}, indent=1)
