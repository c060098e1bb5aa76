"""What runs, and what is checked before it does."""

import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import ConfigError, Settings
from sidecar.policy import Policy, parse_policy
from sidecar.supervisor.plan import children, gateway_spec, needed_ports, prepare, write_envoy, write_watched
from sidecar.types import Mode


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the kernel allows a Unix socket 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="douane") as name:
        yield Path(name)


def settings(folder: Path, **changes: Any) -> Settings:
    names = (
        "port",
        "proxy_port",
        "admin_port",
        "metrics_port",
        "analytics_http_port",
        "analytics_grpc_port",
        "demo_port",
    )
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return Settings(_env_file=None, **{"data": folder, "workers": 2, **ports, **changes})


def test_folder_holds_what_a_user_edits(folder: Path) -> None:
    made = settings(folder)
    prepare(made)
    (folder / "policy.yaml").write_text("mode: observe\n")
    (folder / "run" / "metrics" / "old.db").touch()
    prepare(made)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert found == {"run", "run/metrics", "spool", "log", "policy.yaml", "models.yaml", "digest.key"} | {
        "ca",
        "ca/ca.pem",
        "ca/authority.pem",
        "ca/lock",
    }
    assert (folder / "policy.yaml").read_text() == "mode: observe\n"


def test_taken_port_is_an_error_that_names_it(folder: Path) -> None:
    made = settings(folder)
    with socket.socket() as other:
        other.bind(("127.0.0.1", made.analytics_http_port))
        other.listen()
        with pytest.raises(ConfigError) as caught:
            prepare(made)
    assert str(caught.value) == (
        f"port {made.analytics_http_port} (analytics) cannot be used: Address already in use; "
        "free it or set DOUANE_ANALYTICS_HTTP_PORT"
    )


def test_long_folder_is_an_error_that_names_the_setting(folder: Path) -> None:
    with pytest.raises(ConfigError, match="DOUANE_DATA"):
        prepare(settings(folder / ("x" * 100)))


def test_wrong_table_of_models_stops_the_start(folder: Path) -> None:
    (folder / "models.yaml").write_text("gpt4: {provider: nobody, model: x}")
    with pytest.raises(ValueError, match="nobody"):
        prepare(settings(folder))


def test_ports_depend_on_what_is_started(folder: Path) -> None:
    whole = [what for _, what, *_ in needed_ports(settings(folder))]
    assert whole == [
        "gateway",
        "Envoy's admin page",
        "metrics",
        "forward proxy",
        "analytics",
        "analytics records",
        "stand-in provider",
    ]
    part = settings(folder, analytics_grpc="a.test:1", upstreams={"openai": "http://127.0.0.1:1"}, proxy_port=0)
    assert [what for _, what, *_ in needed_ports(part)] == ["gateway", "Envoy's admin page", "metrics"]


def test_children_start_in_the_order_they_need_each_other(folder: Path) -> None:
    made = settings(folder)
    prepare(made)
    config = write_envoy(made, Policy())
    names = [child.name for child in children(made, config, to_stdout=False)]
    assert names == ["analytics", "demo-provider", "certificates", "worker-0", "worker-1", "envoy"]
    part = settings(
        folder, analytics_grpc="a.test:1", upstreams={"openai": "http://127.0.0.1:1"}, workers=1, proxy_port=0
    )
    assert [child.name for child in children(part, config, to_stdout=True)] == ["worker-0", "envoy"]
    assert {child.log for child in children(part, config, to_stdout=True)} == {None}


@pytest.mark.parametrize(
    ("bind", "remote_pages", "shown", "access"),
    [
        ("127.0.0.1", False, True, {}),
        ("localhost", True, True, {}),
        ("0.0.0.0", False, False, {}),
        ("0.0.0.0", True, True, {"DOUANE_ANALYTICS_AUTHENTICATION": "required"}),
    ],
)
def test_pages_beyond_loopback_are_asked_for_and_need_an_account(
    folder: Path, bind: str, remote_pages: bool, shown: bool, access: dict[str, str]
) -> None:
    made = settings(folder, bind=bind, remote_pages=remote_pages)
    assert (gateway_spec(made, Policy()).analytics is not None) is shown
    assert children(made, folder / "envoy.json", to_stdout=True)[0].environment == access


def test_a_certificate_for_analytics_that_is_not_there_stops_the_start(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"DOUANE_ANALYTICS_CA, _CERT or _KEY: /nowhere\.pem cannot be read"):
        prepare(settings(folder, analytics_ca=Path("/nowhere.pem")))


def test_envoy_reads_the_headers_that_name_who_calls(folder: Path) -> None:
    policy = parse_policy("identity: {user: x-employee, session: x-session-id}", Policy())
    assert gateway_spec(settings(folder), policy).identity_headers == (
        "x-user-id",
        "x-tenant-id",
        "x-team-id",
        "x-session-id",
        "x-employee",
    )


def test_envoy_is_told_what_any_override_may_ask_for(folder: Path) -> None:
    override = "mode: observe\noverrides: [{name: o, match: {user: a}, set: {mode: enforce, response: enforce}}]"
    spec = gateway_spec(settings(folder), parse_policy(override, Policy()))
    assert (spec.fail_open, spec.hold_answers) == (False, True)
    spec = gateway_spec(settings(folder), Policy(mode=Mode.OBSERVE))
    assert (spec.fail_open, spec.hold_answers) == (True, False)


def test_routes_follow_the_policy_s_mode(folder: Path) -> None:
    made = settings(folder)
    prepare(made)
    opened = []
    for mode in (Mode.ENFORCE, Mode.OBSERVE):
        write_watched(made, Policy(mode=mode, version=mode.value))
        text = (folder / "run" / "routes-gateway.json").read_text()
        opened.append((json.loads(text)["version_info"], '"failureModeAllow": true' in text))
    assert opened == [("enforce", False), ("observe", True)]
    assert not (folder / "run" / "routes-gateway.tmp").exists()
