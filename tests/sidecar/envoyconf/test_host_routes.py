"""The routes of the doors by host: who is inspected, who passes, who is refused, as a real regular expression engine reads them."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from sidecar.envoyconf.providers import PROVIDERS
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.tables import render_table

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane", proxy_port=3128, transparent_port=15001)
DENYING = replace(SPEC, deny_unknown_hosts=True)
EXT_PROC, RBAC = "envoy.filters.http.ext_proc", "envoy.filters.http.rbac"


def routes(table: str, spec: GatewaySpec = SPEC) -> list[dict[str, Any]]:
    (found,) = json.loads(render_table(spec, table))["resources"]
    listed: list[dict[str, Any]] = found["virtualHosts"][0]["routes"]
    return listed


def taken(authority: str, table: str, spec: GatewaySpec = SPEC, *, connect: bool = False) -> str:
    """Return the name of the route that a request without a body takes."""
    for route in routes(table, spec):
        match = route["match"]
        if ("connectMatcher" in match) is not connect:
            continue
        named = [h for h in match.get("headers", []) if h["name"] == ":authority"]
        others = [h for h in match.get("headers", []) if h["name"] != ":authority"]
        hits = [
            bool(re.fullmatch(h["stringMatch"]["safeRegex"]["regex"], authority)) is not h.get("invertMatch", False)
            for h in named
        ]
        if all(hits) and not others:
            return str(route["name"])
    return ""


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("api.openai.com:443", "proxy/connect"),
        ("files.example.com:443", "proxy/connect"),
        ("192.0.2.7:443", "proxy/connect"),
        ("api.openai.com:8443", "proxy/connect/port"),
        ("api.openai.com", "proxy/connect/port"),
        ("localhost:443", "proxy/connect/here"),
        ("LocalHost.:443", "proxy/connect/here"),
        ("127.0.0.1:9901", "proxy/connect/here"),
        ("127.1:443", "proxy/connect/here"),
        ("[::1]:443", "proxy/connect/here"),
        ("[::ffff:127.0.0.1]:443", "proxy/connect/here"),
        ("169.254.169.254:80", "proxy/connect/here"),
        ("0.0.0.0:443", "proxy/connect/here"),
    ],
)
def test_connect_leads_inside_or_nowhere(authority: str, name: str) -> None:
    assert taken(authority, "proxy", connect=True) == name


def test_unknown_hosts_are_denied_where_policy_says_so() -> None:
    assert taken("files.example.com:443", "proxy", DENYING, connect=True) == "proxy/connect/unknown"
    assert taken("api.openai.com:443", "proxy", DENYING, connect=True) == "proxy/connect"
    assert taken("files.example.com", "proxy", DENYING) == "proxy/unknown"
    assert taken("files.example.com", "transparent", DENYING) == "transparent/unknown"
    assert taken("mine.openai.azure.com", "transparent", DENYING) == "transparent/azure/careful"


@pytest.mark.parametrize("door", ["proxy", "transparent"])
def test_what_was_opened_goes_to_llm_hosts_alone(door: str) -> None:
    table = f"{door}-opened"
    assert taken("api.anthropic.com", table) == f"{door}/anthropic/careful"
    assert taken("bedrock-runtime.eu-west-3.amazonaws.com:443", table) == f"{door}/bedrock/careful"
    assert taken("internal.example", table) == f"{door}/misdirected"
    assert routes(table)[-1]["directResponse"]["status"] == 421


@pytest.mark.parametrize("door", ["proxy", "transparent"])
def test_plain_http_is_inspected_or_passed_on(door: str) -> None:
    assert taken("ollama.internal:11434", door) == f"{door}/ollama/careful"
    assert taken("api.openai.com", door) == f"{door}/openai/careful"
    assert taken("example.com", door) == f"{door}/passed"
    assert taken("localhost:9901", door) == ("proxy/here" if door == "proxy" else "transparent/passed")


def test_a_host_known_by_its_port_is_none_in_opened_tls() -> None:
    """Else a client of api.openai.com could name any machine: Host: internal.example:11434."""
    for door in ("proxy", "transparent"):
        assert taken("internal.example:11434", f"{door}-opened") == f"{door}/misdirected"


def test_what_the_proxy_passes_on_is_marked_and_does_not_come_here_or_back() -> None:
    found = {route["name"]: route for route in routes("proxy", replace(SPEC, name="douane-1"))}
    assert found["proxy/passed"]["requestHeadersToAdd"] == [{"header": {"key": "via", "value": "1.1 douane-1"}}]
    assert RBAC in found["proxy/passed"]["typedPerFilterConfig"]
    (via,) = found["proxy/circle"]["match"]["headers"]
    assert (via["name"], via["stringMatch"]) == ("via", {"contains": "1.1 douane-1"})
    assert found["proxy/circle"]["directResponse"]["status"] == 508
    assert list(found).index("proxy/circle") < list(found).index("proxy/passed")


def test_nothing_to_an_llm_host_goes_uninspected() -> None:
    for table in ("proxy", "proxy-opened", "transparent", "transparent-opened"):
        for route in routes(table):
            provider = route["name"].partition("/")[2].partition("/")[0]
            disabled = route.get("typedPerFilterConfig", {}).get(EXT_PROC, {}).get("disabled", False)
            assert disabled is (provider not in {*(p.name for p in PROVIDERS), "misdirected"}), route["name"]


def test_a_host_goes_over_tls_to_where_its_name_leads_or_where_it_was_moved() -> None:
    found = {route["name"]: route.get("route", {}) for route in routes("proxy-opened")}
    assert found["proxy/openai"]["cluster"] == "host-tls"
    assert "hostRewriteLiteral" not in found["proxy/openai"]
    plain = {route["name"]: route.get("route", {}) for route in routes("proxy")}
    assert plain["proxy/ollama"]["cluster"] == "host-plain"
    moved = tuple(p.redirected("https://a.test:8443") if p.name == "openai" else p for p in PROVIDERS)
    found = {r["name"]: r.get("route", {}) for r in routes("proxy-opened", replace(SPEC, host_providers=moved))}
    assert (found["proxy/openai"]["cluster"], found["proxy/openai"]["hostRewriteLiteral"]) == (
        "provider-openai",
        "a.test:8443",
    )
