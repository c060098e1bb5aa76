from dataclasses import replace

import pytest

from analytics.insight.coverage import Summary, blind_spots, nameless, summarise
from analytics.types import CoverageView, DoorCalls, PassedHost, Window, Workload, WorkloadCoverage

NOW = 1_000_000
HOST = PassedHost("proxy", "api.openai.com", "openai", True, 4, 1, 100, 2_000, "10.0.0.7", 5)
PYPI = replace(HOST, host="pypi.org", llm="", listed=False)
CALLS = DoorCalls("gateway", requests=10, fail_open=1, passed_unscanned=2, body_bytes=900, scanned_bytes=800)
SHOP = WorkloadCoverage(
    Workload("shop", "shop-1", "buyer", "node-1"),
    NOW,
    (CALLS, replace(CALLS, door="proxy")),
    (HOST, PYPI),
    (
        ("", "watched_s", 60),
        ("", "envoy_restarts", 1),
        ("gateway", "failure_mode_allowed", 3),
        ("proxy", "pass_through_connections", 8),
    ),
)


def view(*workloads: WorkloadCoverage) -> CoverageView:
    return CoverageView(Window(0, 3_600, 3_600), workloads, ())


def particular(*workloads: WorkloadCoverage) -> list[str]:
    always = blind_spots(view(), NOW)
    return blind_spots(view(*workloads), NOW)[: -len(always)]


def test_the_sums_of_all_workloads() -> None:
    assert summarise(view(SHOP, SHOP)) == Summary(
        calls=40,
        calls_unscanned=8,
        fail_open=4,
        envoy_fail_open=6,
        body_bytes=3_600,
        scanned_bytes=3_200,
        pass_through_connections=16,
        pass_through_bytes=4 * 2_100,
        llm_hosts=1,
        llm_connections=6,
        losses=8,
    )


def test_attempts_that_all_failed_reached_nobody() -> None:
    tried = replace(HOST, connections=3, failed=3, bytes_in=0)
    found = summarise(view(replace(SHOP, hosts=(tried,))))
    assert (found.llm_hosts, found.llm_connections, found.pass_through_connections) == (0, 0, 3)


def test_an_empty_view_still_says_what_cannot_be_known() -> None:
    always = blind_spots(view(), NOW)
    assert len(always) == 3
    assert any("QUIC" in text for text in always)
    assert any("ECH" in text for text in always)


def test_nothing_particular_is_said_when_there_is_nothing() -> None:
    assert particular(SHOP) == []


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        (
            replace(SHOP, hosts=(*SHOP.hosts, replace(PYPI, host="10.4.3.2", connections=28))),
            "28 connections named no host: only their address is known.",
        ),
        (
            replace(SHOP, sights=(("proxy", "pass_through_connections", 11),)),
            "Envoy counted 3 connections on pass-through that no line tells of.",
        ),
        (replace(SHOP, last_seen_unix_s=NOW - 3_601), "Not heard of for an hour or more: 1 workload."),
        (replace(SHOP, last_seen_unix_s=None), "Calls, but never a coverage report, came from 1 workload."),
    ],
)
def test_what_this_view_cannot_say_comes_first(workload: WorkloadCoverage, said: str) -> None:
    assert particular(workload) == [said]


def test_workloads_are_counted_in_words() -> None:
    mute = replace(SHOP, last_seen_unix_s=None)
    assert particular(mute, mute) == ["Calls, but never a coverage report, came from 2 workloads."]


@pytest.mark.parametrize(
    ("host", "expected"), [("10.0.0.1", True), ("2001:db8::1", True), ("_unknown", True), ("pypi.org", False)]
)
def test_addresses_are_no_names(host: str, expected: bool) -> None:
    assert nameless(replace(HOST, host=host)) is expected
