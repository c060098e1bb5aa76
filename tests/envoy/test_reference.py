"""The reference configuration is fresh, and a real Envoy accepts it."""

import json
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
    """The listeners of the doors are checked as if they stood in the bootstrap: what Envoy watches it reads later."""
    config = json.loads((FOLDER / "envoy.json").read_text().replace(SPEC.folder, str(FOLDER)))
    doors = (FOLDER / "doors.json").read_text().replace(SPEC.folder, str(FOLDER))
    listeners = json.loads(doors.replace(SPEC.passed_log, str(tmp_path / "passed.log")))["resources"]
    config["staticResources"]["listeners"] += [
        {key: value for key, value in one.items() if key != "@type"} for one in listeners
    ]
    del config["dynamicResources"]
    (tmp_path / "envoy.json").write_text(json.dumps(config))
    result = subprocess.run(
        [str(ENVOY), "--mode", "validate", "-c", str(tmp_path / "envoy.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
