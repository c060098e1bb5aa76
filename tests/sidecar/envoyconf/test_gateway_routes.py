"""The route table: which path goes where, and how it is inspected on the way."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sidecar.envoyconf.providers import PROVIDERS
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.tables import render_table

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane")
OFFERED = [provider.name for provider in PROVIDERS if provider.gateway]
EXT_PROC = "envoy.filters.http.ext_proc"


def routes(spec: GatewaySpec = SPEC) -> list[dict[str, Any]]:
    (table,) = json.loads(render_table(spec, "gateway"))["resources"]
    found: list[dict[str, Any]] = table["virtualHosts"][0]["routes"]
    return found


def test_routes_stand_in_the_order_they_match() -> None:
    assert [route["name"] for route in routes()] == [
        *(f"generate/{name}" for name in OFFERED),
        "generate",
        *(f"gateway/{name}{kind}" for name in OFFERED for kind in ("", "/careful")),
        *["analytics"] * sum(route["name"] == "analytics" for route in routes()),
        "nowhere",
    ]


def test_nothing_to_a_provider_goes_uninspected() -> None:
    for route in routes():
        override = route.get("typedPerFilterConfig", {}).get(EXT_PROC, {})
        assert override.get("disabled", False) is (route["name"] in ("analytics", "nowhere"))


@pytest.mark.parametrize(
    "header", ["x-user-id", "x-tenant-id", "x-session-id", "x-douane-provider", "x-douane-decision-id"]
)
def test_headers_for_us_alone_do_not_reach_the_provider(header: str) -> None:
    upstream = [route for route in routes() if route.get("route", {}).get("cluster", "").startswith("provider-")]
    assert len(upstream) == 3 * len(OFFERED)
    assert all(header in route["requestHeadersToRemove"] for route in upstream)


def test_generate_is_never_passed_on_untranslated() -> None:
    """Not even when Envoy fails open."""
    (entry,) = [route for route in routes(replace(SPEC, fail_open=True)) if route["name"] == "generate"]
    assert entry["directResponse"]["status"] == 500
    assert "failureModeAllow" not in entry["typedPerFilterConfig"][EXT_PROC]["overrides"] or (
        entry["typedPerFilterConfig"][EXT_PROC]["overrides"]["failureModeAllow"] is False
    )


def test_version_is_the_policy_s() -> None:
    assert json.loads(render_table(SPEC, "gateway", "p-1"))["version_info"] == "p-1"


def test_pages_can_be_left_out() -> None:
    assert [route for route in routes(replace(SPEC, analytics=None)) if route["name"] == "analytics"] == []


def test_analytics_is_told_who_asks_whatever_the_client_wrote() -> None:
    """Envoy is on analytics' own machine: without this everybody behind it would be local."""
    told = [route["requestHeadersToAdd"] for route in routes() if route["name"] == "analytics"]
    header = {"key": "x-forwarded-for", "value": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}
    assert told == [[{"header": header, "appendAction": "OVERWRITE_IF_EXISTS_OR_ADD"}]] * 4
