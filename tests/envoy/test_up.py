"""`douane up` itself: clear errors, restarts, one installation per folder."""

import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.calls import call, chat
from tests.support.installation import PYTHON, Installation, eventually

pytestmark = pytest.mark.server


def up(*options: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PYTHON, "-m", "sidecar", "up", *options], cwd=cwd, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_port_in_use_is_named(tmp_path: Path, enforcing: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = up(f"--data={tmp_path}/d", f"--port={port}", cwd=tmp_path)
    assert result.returncode == 2
    assert f"port {port} (gateway) cannot be used: Address already in use; free it or set DOUANE_PORT" in result.stderr


def test_a_second_installation_on_one_folder_is_refused(tmp_path: Path, enforcing: Installation) -> None:
    result = up(f"--data={enforcing.data}", cwd=tmp_path)
    assert result.returncode == 2
    assert f"another douane runs on {enforcing.data}" in result.stderr


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    result = up(f"--data={tmp_path}/d", "--port=99999", cwd=tmp_path)
    assert result.returncode == 2
    assert "DOUANE_PORT: Input should be less than or equal to 65535" in result.stderr


@pytest.mark.parametrize("name", ["envoy", "analytics", "worker-0"])
def test_a_child_that_dies_is_started_again(enforcing: Installation, name: str) -> None:
    before = enforcing.children()[name]
    enforcing.kill(name)
    eventually(lambda: enforcing.children().get(name, before) != before, 15)
    eventually(lambda: _well(enforcing), 15)


def _well(installation: Installation) -> bool:
    with suppress(OSError):
        return bool(installation.get("/api/health")) and call(installation.gateway, body=chat("well?")).status == 200
    return False


def test_the_pages_are_reached_through_the_gateway(enforcing: Installation) -> None:
    import urllib.request

    for path, word in (
        ("/dashboard", b"<html"),
        ("/docs", b"swagger"),
        ("/openapi.json", b"openapi"),
        ("/api/health", b"ok"),
    ):
        answer = urllib.request.urlopen(enforcing.gateway + path, timeout=10)
        assert answer.status == 200
        assert word in answer.read().lower()
