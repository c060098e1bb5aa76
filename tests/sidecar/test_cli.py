"""The command line: what it prints and how it ends."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path) -> Iterator[None]:
    """Away from a developer's .env."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"], ["envoy-config", "--help"]])
def test_help_is_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert (caught.value.code, "usage: douane" in capsys.readouterr().out) == (0, True)


@pytest.mark.parametrize("arguments", [[], ["upp"], ["up", "--mode", "maybe"], ["up", "--port", "many"]])
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert (caught.value.code, "usage: douane" in capsys.readouterr().err) == (2, True)


def test_wrong_setting_is_2_and_names_its_variable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--data", str(tmp_path), "--port", "70000"]) == 2
    assert capsys.readouterr().err.startswith("douane: DOUANE_PORT: ")


def test_missing_policy_file_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["envoy-config", "--policy-file", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(("mode", "opened"), [("enforce", False), ("observe", True)])
def test_envoy_config_prints_bootstrap_and_routes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str, opened: bool
) -> None:
    assert main(["envoy-config", "--data", str(tmp_path), "--mode", mode]) == 0
    assert json.loads(capsys.readouterr().out)["node"] == {"id": "douane", "cluster": "douane"}
    assert main(["envoy-config", "--data", str(tmp_path), "--mode", mode, "--table", "gateway"]) == 0
    printed = capsys.readouterr().out
    (table,) = json.loads(printed)["resources"]
    assert [host["name"] for host in table["virtualHosts"]] == ["gateway"]
    assert ('"failureModeAllow": true' in printed) is opened
