"""Writes envoy/gateway.json and envoy/gateway.routes.json: the configuration of the defaults, to be read by people.

Run by `make proto`; tests/envoy/test_reference.py compares, and has a real Envoy check them.
"""

from pathlib import Path

from sidecar.envoyconf.bootstrap import render_bootstrap
from sidecar.envoyconf.routes import render_routes
from sidecar.envoyconf.spec import GatewaySpec

FOLDER = Path(__file__).parents[2] / "envoy"
SPEC = GatewaySpec(
    sockets=("/var/lib/douane/run/worker-0.sock", "/var/lib/douane/run/worker-1.sock"),
    routes_file="/var/lib/douane/run/routes.json",
)


def rendered() -> dict[str, str]:
    """Return the reference files by name."""
    return {
        "gateway.json": render_bootstrap(SPEC) + "\n",
        "gateway.routes.json": render_routes(SPEC) + "\n",
    }


if __name__ == "__main__":
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
