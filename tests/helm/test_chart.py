"""The chart: helm accepts it, renders what the golden files say, and Kubernetes would take every object."""

import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import analytics.config
import sidecar.config
from sidecar.app import load_models
from sidecar.envoyconf.providers import PROVIDERS
from sidecar.policy import Policy, parse_policy
from tests.compose import variables
from tests.helm import chart
from tests.helm.render import golden


@pytest.fixture(scope="session", autouse=True)
def helm_is_there() -> Path:
    """Fetch helm once; an error here is an error of every test."""
    return chart.fetch_helm()


@pytest.fixture(scope="session")
def rendered() -> dict[str, str]:
    return golden()


def _objects(way: str, *options: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(chart.manifests(way, *options)) if found]


def _one(objects: list[dict[str, Any]], kind: str, ending: str) -> dict[str, Any]:
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(ending))


def _pod(objects: list[dict[str, Any]], part: str) -> dict[str, Any]:
    pod: dict[str, Any] = _one(objects, "Deployment", part)["spec"]["template"]["spec"]
    return pod


def _environment(pod: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value") for item in pod["containers"][0]["env"]}


def test_the_ways_of_installing_are_known() -> None:
    assert chart.ways() == ["default", "external-postgres"]


@pytest.mark.parametrize("way", chart.ways())
def test_lint_finds_nothing(way: str) -> None:
    done = chart.helm("lint", "--strict", str(chart.CHART), "--values", str(chart.values_file(way)))
    assert done.returncode == 0, done.stdout + done.stderr


def test_golden_files_are_fresh(rendered: dict[str, str]) -> None:
    """After a change that is meant: python -m tests.helm.render."""
    assert {path.name: path.read_text(encoding="utf-8") for path in chart.GOLDEN.iterdir()} == rendered


@pytest.mark.parametrize("way", chart.ways())
def test_kubernetes_would_take_every_object(way: str) -> None:
    objects = _objects(way)
    assert len(objects) == (9 if way == "default" else 8)  # without a Secret of its own the chart makes one
    for found in objects:
        assert kubernetes_validate.validate(found, chart.KUBERNETES, strict=True) == chart.KUBERNETES


def test_the_validator_refuses_a_misspelt_field() -> None:
    """Otherwise the test before this one says nothing."""
    found = _one(_objects("default"), "Service", "-gateway")
    found["spec"]["portz"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="portz"):
        kubernetes_validate.validate(found, chart.KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("colour=blue", "colour"),
        ("gateway.colour=blue", "colour"),
        ("gateway.spool.colour=blue", "colour"),
        ("policy.modus=enforce", "modus"),
        ("policy.mode=watch", "/policy/mode"),
        ("policy.deadline_ms=601", "/policy/deadline_ms"),
        ("policy.leaks.pii_leak=mask", "/policy/leaks/pii_leak"),
        ("policy.output_leaks.pii_leak=deny", "/policy/output_leaks/pii_leak"),
        ("models.gpt4.provider=nobody", "/models/gpt4/provider"),
        ("gateway.workers=0", "/gateway/workers"),
        ("gateway.upstreams.openai=http://vllm:8000/v1", "/gateway/upstreams/openai"),
        ("gateway.existingSecret=Not_A_Name", "/gateway/existingSecret"),
        ("gateway.service.port=70000", "/gateway/service/port"),
        ("analytics.database.size=lots", "/analytics/database/size"),
    ],
)
def test_schema_refuses(setting: str, complaint: str) -> None:
    done = chart.helm("template", "douane", str(chart.CHART), "--set", setting)
    assert done.returncode != 0
    assert complaint in done.stderr.replace("'", "").replace(".", "/")


def test_a_kept_spool_belongs_to_one_pod() -> None:
    options = ("--set", "gateway.spool.persistent=true,gateway.replicas=2")
    done = chart.helm("template", "douane", str(chart.CHART), *options)
    assert done.returncode != 0
    assert "replicas" in done.stderr


@pytest.mark.parametrize("way", chart.ways())
@pytest.mark.parametrize("part", ["-gateway", "-analytics"])
def test_pods_are_restricted(way: str, part: str) -> None:
    """Source: Kubernetes' Pod Security Standards, profile "restricted", and a root file system that is read-only."""
    pod = _pod(_objects(way), part)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("way", chart.ways())
def test_settings_are_the_programs_own(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable is one that the program reads, and the program starts with the values."""
    objects = _objects(way)
    gateway, books = _environment(_pod(objects, "-gateway")), _environment(_pod(objects, "-analytics"))
    assert set(gateway) <= variables.of_sidecar()
    assert set(books) <= variables.of_analytics()
    for name, value in {**gateway, **books}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    settings = sidecar.config.load_settings()
    assert settings.analytics_grpc == "douane-analytics:8081"
    assert analytics.config.load().exposed


def test_password_and_token_are_made_by_chance_and_differ() -> None:
    made = [chart.helm("template", "douane", str(chart.CHART)).stdout for _ in range(2)]
    secrets = [set(re.findall(r"(?:admin-password|sidecar-token): (\S+)$", one, re.MULTILINE)) for one in made]
    assert [len(one) for one in secrets] == [2, 2]
    assert len(secrets[0] | secrets[1]) == 4


def test_pods_get_the_time_the_supervisor_may_take() -> None:
    """5 s to leave the endpoints, the drain, then drain and 10 s for each of Envoy and the workers."""
    pod = _pod(_objects("default", "--set", "gateway.drainSeconds=30,gateway.workers=3"), "-gateway")
    assert pod["terminationGracePeriodSeconds"] == 5 + 30 + 4 * (30 + 10)


@pytest.mark.parametrize("way", chart.ways())
def test_policy_and_models_are_ones_the_sidecar_reads(way: str, tmp_path: Path) -> None:
    data = _one(_objects(way), "ConfigMap", "-policy")["data"]
    parse_policy(data["policy.yaml"], Policy())
    models = tmp_path / "models.yaml"
    models.write_text(data["models.yaml"], encoding="utf-8")
    assert {"gpt4", "gpt35", "qwendeepseek"} <= set(load_models(models, tuple(p.name for p in PROVIDERS)))


def test_defaults_are_the_sidecar_s_own() -> None:
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text(encoding="utf-8"))
    ours, shipped = yaml.safe_dump(values["policy"]), (chart.ROOT / "sidecar/policy.yaml").read_text(encoding="utf-8")
    assert _without_version(ours) == _without_version(shipped)
    assert values["models"] == yaml.safe_load((chart.ROOT / "sidecar/models.yaml").read_text(encoding="utf-8"))


def _without_version(text: str) -> dict[str, object]:
    policy = parse_policy(text, Policy())
    return {name: getattr(policy, name) for name in Policy.__struct_fields__ if name != "version"}


@pytest.mark.parametrize("part", ["-gateway", "-analytics"])
def test_only_a_change_of_model_names_restarts_the_gateway(part: str) -> None:
    """The policy is read again when its file changes; a restart would cut long answers for nothing."""
    before, after = (_one(_objects("default", *o), "Deployment", part) for o in ((), ("--set", "policy.mode=observe")))
    assert before == after
    renamed = _one(_objects("default", "--set", "models.gpt4.model=gpt-5"), "Deployment", part)
    assert (renamed != before) is (part == "-gateway")


def test_database_credentials_stay_out_of_the_gateway() -> None:
    assert "douane-database" not in yaml.safe_dump(_pod(_objects("external-postgres"), "-gateway"))
    assert "douane-provider-keys" not in yaml.safe_dump(_pod(_objects("external-postgres"), "-analytics"))


def test_without_helm_the_tests_fail_loudly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(chart, "_TOOLS", tmp_path)
    failed = subprocess.CompletedProcess([], 1, "", "no index")
    monkeypatch.setattr(chart.subprocess, "run", lambda *_a, **_k: failed)
    with pytest.raises(RuntimeError, match=r"helm cannot be fetched, so the chart cannot be tested:\nno index"):
        chart.fetch_helm()
