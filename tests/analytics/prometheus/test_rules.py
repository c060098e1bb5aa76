"""The rules as Prometheus reads them, and a real Prometheus that scrapes both programs and evaluates them."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from douane.v1 import control_pb2 as pb
from douane.v1.control_pb2_grpc import DecisionLogStub

from tests.analytics.conftest import free_port
from tests.analytics.test_app import Service
from tests.analytics.traffic import record

pytestmark = pytest.mark.server
FOLDER = Path(__file__).parents[3] / "analytics" / "prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"] for rule in group["rules"]]
# A sidecar's exporter, in a process of its own as `douane up` runs it, with one of each of its metrics counted.
EXPORTER = """
import sys, time
from sidecar import telemetry
telemetry.VERDICTS.labels("deny", "critical", "enforce").inc(3)
telemetry.VERDICTS.labels("allow", "low", "enforce").inc(9)
telemetry.FAIL_OPEN.labels("deadline").inc(0)
telemetry.LOST.labels("spool_full").inc(0)
telemetry.SPOOL_WAITING.set(4)
telemetry.INSPECT_SECONDS.observe(0.002)
telemetry.serve_metrics(int(sys.argv[1]), sys.argv[2])
time.sleep(600)
"""


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_ones_prometheus_reads() -> None:
    promtool("check", "rules", "rules.yaml")


def test_rules_fire_when_they_should() -> None:
    promtool("test", "rules", "rules_test.yaml")


def test_every_rule_has_its_case() -> None:
    cases = (FOLDER / "rules_test.yaml").read_text()
    assert [
        rule.get("alert") or rule["record"] for rule in RULES if (rule.get("alert") or rule["record"]) not in cases
    ] == []


@contextmanager
def running(*command: str, **environment: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


class Prometheus:
    """What a running Prometheus answers."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1/"

    def get(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=5) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float | None:
        """Return the one value of an expression, None while there is none."""
        try:
            found = self.get("query", query=expression)["result"]
        except OSError:
            return None
        return float(found[0]["value"][1]) if found else None

    def wait(self, expression: str, wanted: float) -> None:
        deadline = time.monotonic() + 60
        while (found := self.value(expression)) != wanted:
            assert time.monotonic() < deadline, f"{expression} is {found}"
            time.sleep(0.25)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    service = Service(f"sqlite:///{tmp_path / 'analytics.db'}", tmp_path)
    process, sidecar_port, port = service.start(), free_port(), free_port()
    (tmp_path / "metrics").mkdir()
    configured = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FOLDER / "rules.yaml")],
        "scrape_configs": [
            {"job_name": f"douane-{name}", "static_configs": [{"targets": [f"127.0.0.1:{one}"]}]}
            for name, one in (("analytics", service.http_port), ("sidecar", sidecar_port))
        ],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configured))
    exporter = running(
        *(sys.executable, "-c", EXPORTER, str(sidecar_port), str(tmp_path / "metrics")),
        PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "metrics"),
    )
    server = running(
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with exporter, server, grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        rows = [record(number) for number in range(20)]
        DecisionLogStub(channel).Publish(pb.PublishRequest(records=rows), timeout=20)
        yield Prometheus(port)
    process.terminate()
    process.wait(20)


def test_prometheus_scrapes_both_and_evaluates_every_rule(prometheus: Prometheus) -> None:
    prometheus.wait("sum(inference_requests_total)", 20)
    prometheus.wait("sum(inference_latency_seconds_count)", 18)
    prometheus.wait('sum(security_threats_total{risk_level="critical"})', 4)
    prometheus.wait('sum(douane_verdicts_total{action="deny"})', 3)
    prometheus.wait('sum(up{job=~"douane-.*"})', 2)
    assert prometheus.value("model_performance_score") is not None
    names = ("inference_requests_total", "model_performance_score", "security_threats_total")
    labels = {name: set(prometheus.get("series", **{"match[]": name})[0]) for name in names}
    own = {"__name__", "instance", "job"}
    assert {name: found - own for name, found in labels.items()} == {
        "inference_requests_total": {"model", "user", "endpoint"},
        "model_performance_score": {"model"},
        "security_threats_total": {"threat_type", "risk_level"},
    }
    groups = prometheus.get("rules")["groups"]
    deadline = time.monotonic() + 60
    while (
        any(rule["health"] == "unknown" for group in groups for rule in group["rules"]) and time.monotonic() < deadline
    ):
        time.sleep(0.5)
        groups = prometheus.get("rules")["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}


def test_every_metric_of_the_rules_is_exported(prometheus: Prometheus) -> None:
    """A rule over a name that nobody exports is healthy, and never fires."""
    prometheus.wait("sum(inference_requests_total)", 20)
    prometheus.wait('sum(up{job=~"douane-.*"})', 2)
    named = re.compile(r"\b(?:inference|security|model|douane)_[a-z_]+\b")
    wanted = {name for rule in RULES for name in named.findall(rule["expr"])} - {"model_performance_score"}
    missing = [name for name in sorted(wanted) if prometheus.value(f"count({name})") is None]
    assert missing == []
