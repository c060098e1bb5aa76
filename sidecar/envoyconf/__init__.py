"""Envoy's configuration, built in types (envoy-data-plane) from a GatewaySpec.

In: a GatewaySpec. Out: the bootstrap and the route table as JSON texts that Envoy reads.
The route table is a file of its own that Envoy watches, so that a policy change of mode (which decides whether Envoy
fails open or closed) takes effect without a restart and without draining a listener.
Never: starts Envoy (app.py does), reads settings (config.py does).
"""

from sidecar.envoyconf.bootstrap import render_bootstrap
from sidecar.envoyconf.routes import render_routes
from sidecar.envoyconf.spec import GatewaySpec

__all__ = ["GatewaySpec", "render_bootstrap", "render_routes"]
