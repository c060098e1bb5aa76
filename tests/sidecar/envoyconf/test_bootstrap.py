"""The configuration that Envoy is given, read by a real Envoy (`--mode validate`)."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.envoyconf.bootstrap import render_bootstrap
from sidecar.envoyconf.providers import PROVIDERS
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.tables import render_table

BESIDE = Path(sys.executable).with_name("envoy")
ENVOY = str(BESIDE) if BESIDE.exists() else shutil.which("envoy") or "envoy"
SPEC = GatewaySpec(sockets=("/tmp/w-0.sock", "/tmp/w-1.sock"), folder="/run/douane")
ELSEWHERE = tuple(provider.redirected("http://127.0.0.1:9999") for provider in PROVIDERS)
SPECS = {
    "default": SPEC,
    "observe": replace(SPEC, fail_open=True),
    "providers elsewhere": replace(SPEC, providers=ELSEWHERE),
    "one provider over TLS on another port": replace(SPEC, providers=(PROVIDERS[2].redirected("https://a.test:8443"),)),
    "without pages": replace(SPEC, analytics=None, bind="0.0.0.0"),
    "without a sidecar": replace(SPEC, sockets=()),
    "other headers and limits": replace(SPEC, identity_headers=("x-a",), max_body_bytes=1024, idle_timeout_s=0),
}


def every(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value below a value."""
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from every(inner)


def named(value: Any, name: str) -> list[Any]:
    return [found for key, found in every(value) if key == name]


@pytest.mark.server
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_envoy_accepts_bootstrap_and_routes(spec: GatewaySpec, tmp_path: Path) -> None:
    """The route table is a file of its own; put in its place, Envoy checks both at once."""
    spec = replace(spec, folder=str(tmp_path))
    (tmp_path / "routes-gateway.json").write_text(render_table(spec, "gateway"))
    (table,) = json.loads(render_table(spec, "gateway"))["resources"]
    del table["@type"]
    whole = json.loads(render_bootstrap(spec))
    for manager in named(whole, "typedConfig"):
        if manager.pop("rds", None) is not None:
            manager["routeConfig"] = table
    assert named(whole, "routeConfig") == [table]
    for name, text in (("split", render_bootstrap(spec)), ("whole", json.dumps(whole))):
        config = tmp_path / f"{name}.json"
        config.write_text(text)
        done = subprocess.run(
            [ENVOY, "--mode", "validate", "-c", str(config), "--log-level", "error"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_admin_page_is_on_loopback_whatever_the_gateway_s_address() -> None:
    config = json.loads(render_bootstrap(replace(SPEC, bind="0.0.0.0", admin_port=9902)))
    assert config["admin"]["address"]["socketAddress"] == {"address": "127.0.0.1", "portValue": 9902}
    (gateway,) = config["staticResources"]["listeners"]
    assert gateway["address"]["socketAddress"]["address"] == "0.0.0.0"


def test_node_is_named() -> None:
    """Without id and cluster Envoy 1.40 aborts at the first xDS source (ENVOY.md 5)."""
    assert json.loads(render_bootstrap(SPEC))["node"] == {"id": "douane", "cluster": "douane"}
