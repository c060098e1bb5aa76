"""The listeners beside the gateway."""

import json
import re
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


def test_only_llm_hosts_are_opened() -> None:
    for name in ("inspection", "transparent"):
        (first, *_) = doors()[name]["filterChainMatcher"]["matcherList"]["matchers"]
        pattern = first["predicate"]["singlePredicate"]["valueMatch"]["safeRegex"]["regex"]
        assert first["onMatch"]["action"]["name"] == "opened"
        assert re.fullmatch(pattern, "api.openai.com")
        assert re.fullmatch(pattern, "bedrock-runtime.us-east-1.amazonaws.com")
        assert not re.fullmatch(pattern, "s3.us-east-1.amazonaws.com")
        assert not re.fullmatch(pattern, "")


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
