"""Coverage through a whole installation: lines, counters, analytics, the command; a kill -9 of the supervisor loses nothing.

The doors' own connections are in the tests of the doors; here their log is written by hand, as tests/envoy/test_pass_through_log.py
shows that Envoy writes it.
"""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sidecar.coverage.follow import log_path
from tests.sidecar.coverage.test_lines import line
from tests.support.calls import call, chat
from tests.support.installation import PYTHON, Installation, eventually
from tests.support.upstream import Upstream

pytestmark = pytest.mark.server


@pytest.fixture
def installation(tmp_path: Path, upstream: Upstream) -> Iterator[Installation]:
    found = Installation(tmp_path / "d", DOUANE_MODE="observe", DOUANE_UPSTREAMS=f"openai={upstream.url}").wait()
    yield found
    found.stop()


def passed(installation: Installation, *numbers: int, **fields: Any) -> None:
    """Write down connections as Envoy does."""
    start = f"{time.time():.6f}"
    with log_path(installation.data).open("ab") as file:
        for number in numbers:
            file.write(line(connection=number, start=start, written=start, **fields) + b"\n")


def told(installation: Installation) -> dict[str, int]:
    """Return the connections that analytics was told of, by host."""
    with suppress(OSError):
        workloads = installation.get("/api/coverage?days=1")["workloads"]
        return {host["host"]: host["connections"] for one in workloads for host in one["pass_through"]}
    return {}


def coverage(installation: Installation, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PYTHON, "-m", "sidecar", "coverage", f"--data={installation.data}", *options],
        cwd=installation.data,
        env={name: value for name, value in os.environ.items() if not name.startswith("DOUANE_")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_was_not_inspected_is_told_by_analytics_and_the_command(installation: Installation) -> None:
    assert call(installation.gateway, body=chat("hello")).status == 200
    passed(installation, *range(5), sni="pypi.org")
    eventually(lambda: told(installation) == {"pypi.org": 5}, 40)
    assert coverage(installation, "--fail-on-uninspected").returncode == 0
    passed(installation, 7, sni="api.openai.com")
    eventually(lambda: coverage(installation, "--fail-on-uninspected").returncode == 3, 10)  # the tally knows it first
    eventually(lambda: told(installation) == {"pypi.org": 5, "api.openai.com": 1}, 40)
    report = json.loads(coverage(installation, "--json").stdout)
    assert (report["source"], report["summary"]["llm_hosts"], report["summary"]["calls"]) == ("analytics", 1, 1)
    (workload,) = report["workloads"]
    assert [(one["door"], one["requests"]) for one in workload["doors"]] == [("gateway", 1)]
    text = coverage(installation).stdout
    assert "1 LLM host(s) reached WITHOUT inspection" in text
    assert 'douane_pass_through_connections_total{door="proxy",llm="listed"} 1.0' in installation.metrics()


def test_a_fail_open_of_envoy_is_the_only_trace_and_is_told(installation: Installation) -> None:
    """Without its worker the sidecar writes no record; in observe mode Envoy lets the call pass."""
    os.kill(installation.process.pid, signal.SIGSTOP)  # nobody starts the worker again
    try:
        installation.kill("worker-0")
        assert call(installation.gateway, body=chat("nobody looks at this")).status == 200
    finally:
        os.kill(installation.process.pid, signal.SIGCONT)
    name = 'douane_envoy_sight_total{door="gateway",kind="failure_mode_allowed"}'
    eventually(lambda: name in installation.metrics(), 20)
    eventually(lambda: installation.get("/api/coverage")["summary"]["envoy_fail_open"] >= 1, 40)


def test_a_killed_supervisor_loses_no_line(installation: Installation) -> None:
    passed(installation, *range(40), sni="pypi.org")
    time.sleep(1.2)
    passed(installation, *range(100, 140), sni="pypi.org")
    children = installation.children()
    installation.process.kill()
    installation.process.wait(10)
    passed(installation, *range(200, 210), sni="pypi.org")
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children.values()), 20)
    installation.process = installation._start()
    installation.wait()
    eventually(lambda: told(installation) == {"pypi.org": 90}, 40)
    (workload,) = installation.get("/api/coverage")["workloads"]
    losses = {one["kind"]: one["count"] for one in workload["losses"] if one["loss"]}
    assert losses == {"unclean_stops": 1}


def test_the_last_lines_of_a_run_are_delivered_before_it_ends(tmp_path: Path, upstream: Upstream) -> None:
    found = Installation(tmp_path / "d", DOUANE_UPSTREAMS=f"openai={upstream.url}").wait()
    passed(found, *range(3), sni="pypi.org")
    assert found.stop() == 0
    result = coverage(found, "--json")
    assert "this installation does not run" in result.stderr
    assert json.loads(result.stdout)["summary"]["pass_through_connections"] == 3
    with sqlite3.connect(f"file:{found.data / 'analytics.db'}?mode=ro", uri=True) as db:
        assert db.execute("SELECT sum(connections) FROM pass_through").fetchone() == (3,)
