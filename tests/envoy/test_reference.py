"""The reference configuration is fresh, and a real Envoy accepts it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.envoy.reference import FOLDER, SPEC, rendered

ENVOY = Path(sys.executable).with_name("envoy")


@pytest.mark.parametrize("name", rendered())
def test_the_reference_is_fresh(name: str) -> None:
    assert (FOLDER / name).read_text() == rendered()[name], "run `make proto`"


@pytest.mark.server
def test_a_real_envoy_accepts_it(tmp_path: Path) -> None:
    """The route table's path is the one thing that must exist where Envoy checks."""
    config = (FOLDER / "gateway.json").read_text().replace(SPEC.routes_file, str(FOLDER / "gateway.routes.json"))
    (tmp_path / "gateway.json").write_text(config)
    result = subprocess.run(
        [str(ENVOY), "--mode", "validate", "-c", str(tmp_path / "gateway.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
