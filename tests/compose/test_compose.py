"""docker-compose.yml: nothing is open to the network, nothing is lost with a container, everything is watched."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose import variables

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EVERY = pytest.mark.parametrize("name", SERVICES)


def _dockerfile(service: dict[str, Any]) -> str:
    return (ROOT / service["build"]["dockerfile"]).read_text(encoding="utf-8") if "build" in service else ""


def test_the_services_are_known() -> None:
    assert list(SERVICES) == ["gateway", "analytics", "postgres"]


@EVERY
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), port


@EVERY
def test_health_is_watched(name: str) -> None:
    assert "healthcheck" in SERVICES[name] or "\nHEALTHCHECK " in _dockerfile(SERVICES[name])


@EVERY
def test_nobody_is_root_and_nothing_is_writable_but_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service.get("user") == "postgres" or re.search(r"^USER 10001:10001$", _dockerfile(service), re.MULTILINE)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    assert "privileged" not in service


@EVERY
def test_a_comment_line_says_what_the_service_is(name: str) -> None:
    lines = TEXT.splitlines()
    assert lines[lines.index(f"  {name}:") - 1].startswith("  # ")
    assert lines[lines.index(f"  {name}:") - 2] in ("", "services:")


@EVERY
def test_others_are_waited_for_as_far_as_needed(name: str) -> None:
    """Analytics cannot start without its database; the gateway's spool waits for analytics by itself."""
    needed = {
        "gateway": {"analytics": {"condition": "service_started"}},
        "analytics": {"postgres": {"condition": "service_healthy"}},
    }
    assert SERVICES[name].get("depends_on", {}) == needed.get(name, {})


def test_what_is_kept_lies_on_named_volumes() -> None:
    assert SERVICES["gateway"]["volumes"] == ["spool:/var/lib/douane"]
    assert SERVICES["postgres"]["volumes"] == ["database:/var/lib/postgresql/data"]
    assert set(COMPOSE["volumes"]) == {"spool", "database"}


def test_the_gateway_has_no_way_to_the_database() -> None:
    assert SERVICES["gateway"]["networks"] == ["records"]
    assert SERVICES["postgres"]["networks"] == ["books"]
    assert COMPOSE["networks"]["books"] == {"internal": True}
    assert "POSTGRES_PASSWORD" not in str(SERVICES["gateway"])


def test_keys_come_from_outside_and_may_be_missing() -> None:
    for key in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY"):
        assert SERVICES["gateway"]["environment"][key] == f"${{{key}:-}}"


def test_nothing_starts_without_a_password_and_a_token() -> None:
    """Compose refuses with the message; the gateway knows the token and not the password."""
    gateway, books = (SERVICES[name]["environment"] for name in ("gateway", "analytics"))
    assert books["DOUANE_ANALYTICS_ADMIN_PASSWORD"].startswith("${DOUANE_ADMIN_PASSWORD:?")
    assert books["DOUANE_ANALYTICS_SIDECAR_TOKEN"] == gateway["DOUANE_ANALYTICS_TOKEN"]
    assert gateway["DOUANE_ANALYTICS_TOKEN"].startswith("${DOUANE_SIDECAR_TOKEN:?")
    assert "PASSWORD" not in str(gateway)


def test_settings_are_the_programs_own() -> None:
    assert set(SERVICES["gateway"]["environment"]) <= variables.of_sidecar()
    assert set(SERVICES["analytics"]["environment"]) <= variables.of_analytics()


def test_stopping_takes_no_longer_than_it_may() -> None:
    """The drain, then drain and 10 s for each of Envoy and the two workers (10 s is DOUANE_DRAIN_S's default)."""
    assert SERVICES["gateway"]["environment"]["DOUANE_WORKERS"] == "${DOUANE_WORKERS:-2}"
    assert SERVICES["gateway"]["stop_grace_period"] == f"{10 + 3 * (10 + 10)}s"
