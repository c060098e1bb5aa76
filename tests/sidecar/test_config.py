"""The settings: what is read from where, and what a bad value is told."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import ConfigError, Settings, load_settings
from sidecar.envoyconf.providers import PROVIDERS
from sidecar.policy import Policy
from sidecar.types import Mode

# Assembled, so that scanners of this repository stay quiet.
KEY = "sk-" + "x" * 8


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path) -> Iterator[None]:
    """Begin with an environment that says nothing, in a folder without .env. pydantic-settings reads both itself."""
    before, folder = dict(os.environ), Path.cwd()
    for name in before:
        if name.startswith("DOUANE_") or name.endswith("_API_KEY") or name in OTHERS:
            del os.environ[name]
    os.chdir(tmp_path)
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(before)


OTHERS = ("ALERT_SECURITY_THRESHOLD", "AUTO_BLOCK_CRITICAL_THREATS", "SSL_CERT_FILE")


def settings(**environment: str) -> Settings:
    os.environ.update(environment)
    return load_settings()


def test_defaults_need_nothing() -> None:
    found = settings()
    assert (found.port, found.bind, found.mode, found.workers) == (
        8000,
        "127.0.0.1",
        Mode.ENFORCE,
        os.cpu_count(),
    )
    assert found.folder == Path("~/.local/share/douane").expanduser()
    assert found.default_policy() == Policy()
    assert found.demo() is True
    assert {(p.host, p.port, p.tls) for p in found.providers()} == {("127.0.0.1", 8090, False)}


def test_environment_env_file_and_command_line_in_that_order() -> None:
    Path(".env").write_text(f"DOUANE_PORT=1001\nDOUANE_ADMIN_PORT=1002\nOPENAI_API_KEY={KEY}\nUNRELATED=1\n")
    os.environ["DOUANE_PORT"] = "2001"
    found = load_settings(port=None, demo_port=3003)
    assert (found.port, found.admin_port, found.demo_port, found.keys()) == (2001, 1002, 3003, {"openai": KEY})
    assert load_settings(port=4001).port == 4001


def test_a_key_switches_the_stand_in_off() -> None:
    found = settings(OPENROUTER_API_KEY=KEY)
    assert (found.demo(), found.providers(), found.keys()) == (False, PROVIDERS, {"openrouter": KEY})


def test_an_empty_key_is_none() -> None:
    assert settings(OPENAI_API_KEY="").demo() is True


def test_upstreams_are_served_elsewhere() -> None:
    found = settings(DOUANE_UPSTREAMS="openai=http://127.0.0.1:9999, anthropic=https://a.test")
    served = {p.name: (p.host, p.port, p.tls) for p in found.providers()}
    assert [served[name] for name in ("openrouter", "anthropic", "openai")] == [
        ("openrouter.ai", 443, True),
        ("a.test", 443, True),
        ("127.0.0.1", 9999, False),
    ]
    assert {p.name for p in found.host_providers() if p.moved} == {"anthropic", "openai"}
    assert found.demo() is False


def test_policy_defaults_come_from_the_mission_s_variables() -> None:
    found = settings(ALERT_SECURITY_THRESHOLD="7.5", AUTO_BLOCK_CRITICAL_THREATS="false", DOUANE_MODE="observe")
    assert found.default_policy() == Policy(mode=Mode.OBSERVE, alert_score=7.5, block_critical=False)
    assert settings(DOUANE_ALERT_SECURITY_THRESHOLD="7.5").alert_security_threshold == 7.5


def test_digest_key_is_hexadecimal_or_made() -> None:
    assert settings().secret_key() is None
    assert settings(DOUANE_DIGEST_KEY="0f" * 16).secret_key() == b"\x0f" * 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOUANE_PORT", "70000"),
        ("DOUANE_PORT", "http"),
        ("DOUANE_WORKERS", "0"),
        ("DOUANE_MODE", "enforced"),
        ("DOUANE_MAX_BODY_BYTES", "1"),
        ("DOUANE_SPOOL_MAX_BYTES", "-1"),
        ("DOUANE_SPOOL_SYNC", "perhaps"),
        ("DOUANE_DRAIN_S", "soon"),
        ("DOUANE_LOG_LEVEL", "LOUD"),
        ("DOUANE_UPSTREAMS", "openia=http://127.0.0.1:1"),
        ("DOUANE_UPSTREAMS", "openai=127.0.0.1:1"),
        ("DOUANE_UPSTREAMS", "openai"),
        ("DOUANE_UPSTREAMS", "openai=http://127.0.0.1:99999"),
        ("DOUANE_DIGEST_KEY", "not hexadecimal, and secret"),
        ("DOUANE_DIGEST_KEY", "0f0f"),
        ("DOUANE_DIGEST_KEY", "0f" * 65),
        ("ALERT_SECURITY_THRESHOLD", "0"),
        ("ALERT_SECURITY_THRESHOLD", "20"),
        ("AUTO_BLOCK_CRITICAL_THREATS", "maybe"),
    ],
)
def test_bad_value_names_its_variable_and_its_shape(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**{name: value})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name}: ")
    assert line.endswith("characters)")


def test_every_bad_value_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(DOUANE_PORT="0", DOUANE_WORKERS="none")
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["DOUANE_PORT", "DOUANE_WORKERS"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOUANE_DIGEST_KEY", "hunter2-hunter2"),
        ("DOUANE_DIGEST_KEY", "abcdef"),
        ("DOUANE_UPSTREAMS", "openai=http://user:hunter2@127.0.0.1:1/path"),
    ],
)
def test_secrets_are_never_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**{name: value})
    assert "hunter2" not in str(caught.value)
    assert "abcdef" not in str(caught.value)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY", "DOUANE_DIGEST_KEY"])
def test_secrets_print_as_stars(name: str) -> None:
    secret = "ab" * 16
    found = settings(**{name: secret})
    assert secret not in repr(found)
    assert secret not in str(found.model_dump())


def test_settings_do_not_change() -> None:
    found: Any = settings()
    with pytest.raises(ValueError, match="frozen"):
        found.port = 1


def test_every_setting_has_a_line_of_help() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_stand_in_never_takes_the_place_of_a_host_that_a_program_names() -> None:
    assert settings().demo() is True
    assert not any(provider.moved for provider in settings().host_providers())


def test_llm_hosts_of_one_s_own_are_read() -> None:
    found = settings(DOUANE_LLM_HOSTS="llm.corp.example=openai, *.claude.corp.example=anthropic")
    assert {"llm.corp.example", "*.claude.corp.example"} < set(found.llm_names())
    with pytest.raises(ConfigError, match=r"DOUANE_LLM_HOSTS: .*unknown provider 'nobody'"):
        settings(DOUANE_LLM_HOSTS="llm.corp.example=nobody")


def test_connect_ports_are_a_list() -> None:
    assert settings(DOUANE_CONNECT_PORTS="443, 8443").connect_ports == (443, 8443)
    with pytest.raises(ConfigError, match="DOUANE_CONNECT_PORTS"):
        settings(DOUANE_CONNECT_PORTS="443,many")
