"""Writes envoy/*.json: the configuration of the defaults and of every door, to be read by people.

Run by `make proto`; tests/envoy/test_reference.py compares, and has a real Envoy check them.
"""

from pathlib import Path

from sidecar.envoyconf.bootstrap import render_bootstrap
from sidecar.envoyconf.doors import render_doors
from sidecar.envoyconf.providers import provider_named
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.tables import render_table

FOLDER = Path(__file__).parents[2] / "envoy"
SPEC = GatewaySpec(
    sockets=("/var/lib/douane/run/worker-0.sock", "/var/lib/douane/run/worker-1.sock"),
    folder="/var/lib/douane/run",
    proxy_port=3128,
    transparent_port=15001,
    providers=(provider_named("anthropic"), provider_named("openai")),  # two are enough to read
    host_providers=(provider_named("bedrock"), provider_named("openai")),
)


def rendered() -> dict[str, str]:
    """Return the reference files by name."""
    return {
        "envoy.json": render_bootstrap(SPEC) + "\n",
        "doors.json": render_doors(SPEC) + "\n",
        **{f"routes-{table}.json": render_table(SPEC, table) + "\n" for table in SPEC.tables},
    }


if __name__ == "__main__":
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
