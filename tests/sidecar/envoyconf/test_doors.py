"""The listeners beside the gateway."""

import json
from dataclasses import replace
from typing import Any

from sidecar.envoyconf.doors import pass_through, render_doors
from sidecar.envoyconf.spec import GatewaySpec

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane", proxy_port=3128, transparent_port=15001)


def doors(spec: GatewaySpec = SPEC) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(render_doors(spec, "p-1"))["resources"]}


def test_each_door_is_there_when_it_has_a_port() -> None:
    assert list(doors()) == ["proxy", "inspection", "transparent"]
    assert list(doors(replace(SPEC, transparent_port=0))) == ["proxy", "inspection"]
    assert list(doors(replace(SPEC, proxy_port=0))) == ["transparent"]
    assert doors(replace(SPEC, proxy_port=0, transparent_port=0)) == {}
    assert json.loads(render_doors(SPEC, "p-1"))["version_info"] == "p-1"


def test_a_silent_client_is_not_taken_for_one_without_tls() -> None:
    """A ClientHello that came late was passed through unseen."""
    tunnel, redirected = doors()["inspection"], doors()["transparent"]
    assert "continueOnListenerFiltersTimeout" not in tunnel
    assert (tunnel["listenerFiltersTimeout"], redirected["listenerFiltersTimeout"]) == ("10s", "5s")
    inspectors = redirected["listenerFilters"][1:]
    ports = [rule["destinationPortRange"]["start"] for rule in inspectors[0]["filterDisabled"]["orMatch"]["rules"]]
    assert ports == [21, 22, 25, 110, 143, 587, 3306]
    assert inspectors[1]["filterDisabled"] == inspectors[0]["filterDisabled"]


def test_a_tunnel_does_not_lead_to_this_machine_by_any_name() -> None:
    (passed,) = [chain for chain in doors()["inspection"]["filterChains"] if chain["name"] == "passed"]
    names = [one["name"].rpartition(".")[2] for one in passed["filters"]]
    assert names == ["set_filter_state", "sni_dynamic_forward_proxy", "rbac", "tcp_proxy"]
    assert passed["filters"][1]["typedConfig"]["saveUpstreamAddress"] is True


def test_sessions_are_never_resumed() -> None:
    """Envoy 1.40 aborts on a resumed session where certificates are made on demand (ENVOY.md 5)."""
    for name in ("inspection", "transparent"):
        (opened,) = [chain for chain in doors()[name]["filterChains"] if chain["name"] == "opened"]
        context = opened["transportSocket"]["typedConfig"]
        assert context["disableStatelessSessionResumption"] is True
        assert context["disableStatefulSessionResumption"] is True


def test_unknown_hosts_have_no_chain_where_policy_denies_them() -> None:
    names = [chain["name"] for chain in doors()["inspection"]["filterChains"]]
    denied = [c["name"] for c in doors(replace(SPEC, deny_unknown_hosts=True))["inspection"]["filterChains"]]
    assert (names, denied) == (["opened", "passed"], ["opened"])


def test_the_proxy_is_on_loopback_unless_told_otherwise() -> None:
    assert doors(replace(SPEC, bind="0.0.0.0"))["proxy"]["address"]["socketAddress"]["address"] == "127.0.0.1"


def test_what_passes_goes_where_it_was_going() -> None:
    assert b"passed" in bytes(pass_through(SPEC, "proxy").typed_config or b"")
    assert b"original" in bytes(pass_through(SPEC, "transparent").typed_config or b"")
