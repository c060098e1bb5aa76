from typing import Any

import pytest

from sidecar.coverage.table import columns, lines_of, size

HOST: dict[str, Any] = {
    "door": "proxy",
    "host": "api.openai.com",
    "llm": "openai",
    "listed": True,
    "reached": True,
    "connections": 3,
    "failed": 1,
    "bytes_out": 900,
    "bytes_in": 52_000,
    "last_client": "10.0.0.7",
}
DOOR = {
    "door": "gateway",
    "requests": 10,
    "answered": 8,
    "denied": 1,
    "failed": 1,
    "passed_unscanned": 2,
    "fail_open": 0,
    "body_bytes": 2_000,
    "scanned_bytes": 1_500,
}
SUMMARY = {
    "calls": 10,
    "calls_unscanned": 2,
    "fail_open": 0,
    "envoy_fail_open": 4,
    "body_bytes": 2_000,
    "scanned_bytes": 1_500,
    "pass_through_connections": 3,
    "pass_through_bytes": 52_900,
    "llm_hosts": 1,
    "llm_connections": 2,
    "losses": 5,
}
LOSS = {"door": "gateway", "kind": "streams_failed", "count": 5, "loss": True, "meaning": "exchanges that failed"}
SEEN = {"door": "", "kind": "watched_s", "count": 60, "loss": False, "meaning": "seconds"}


def report(**fields: Any) -> dict[str, Any]:
    workload = {
        "namespace": "shop",
        "pod": "shop-1",
        "service_account": "buyer",
        "machine": "shop-1",
        "doors": [DOOR],
        "llm_hosts": [HOST],
        "pass_through": [HOST],
        "losses": [LOSS, SEEN],
    }
    return {"summary": SUMMARY, "workloads": [workload | fields], "blind_spots": ["QUIC is not seen."]}


def test_the_report_as_text() -> None:
    assert list(lines_of(report())) == [
        "1 LLM host(s) reached WITHOUT inspection, 2 connection(s)",
        "inspected     10 calls, 2.0 kB; not looked at: 2 calls in part or whole, 500 B",
        "fail-open     0 by policy, 4 by Envoy",
        "passed by     3 connections, 52.9 kB",
        "sight lost    5",
        "",
        "shop / shop-1 / buyer",
        "  DOOR     CALLS  ANSWERED  DENIED  FAILED  UNSCANNED  FAIL-OPEN  BYTES   SCANNED",
        "  gateway  10     8         1       1       2          0          2.0 kB  1.5 kB",
        "  NOT INSPECTED   DOOR   CONNECTIONS  FAILED  OUT    IN       LAST CLIENT  LLM",
        "  api.openai.com  proxy  3            1       900 B  52.0 kB  10.0.0.7     openai (listed)",
        "  5 streams_failed at gateway: exchanges that failed",
        "",
        "What this cannot say:",
        "  - QUIC is not seen.",
    ]


def test_colour_marks_what_was_not_inspected() -> None:
    red = [line for line in lines_of(report(), colour=True) if line.startswith(("\x1b[31m", "  \x1b[31m"))]
    assert len(red) == 2


def test_nothing_is_said_with_care() -> None:
    empty = {**SUMMARY, "llm_hosts": 0}
    first = next(lines_of(report() | {"summary": empty}))
    assert first == "No LLM host was reached without inspection, as far as was seen."


def test_without_analytics_no_calls_are_told() -> None:
    local = {name: SUMMARY[name] for name in SUMMARY if name not in ("calls", "fail_open")}
    text = "\n".join(lines_of(report(doors=[]) | {"summary": local}))
    assert "inspected  " not in text
    assert "fail-open     4 by Envoy" in text


def test_many_hosts_are_cut_and_counted() -> None:
    lines = list(lines_of(report(pass_through=[HOST] * 20, hosts_left_out=7)))
    assert "  … 12 more hosts (--json lists more)" in lines


def test_names_of_strangers_do_not_reach_the_terminal_raw() -> None:
    text = "\n".join(lines_of(report(pass_through=[{**HOST, "host": "a\x1b[2Jb"}])))
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (10**10, "10.0 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_cells_stand_below_each_other() -> None:
    assert list(columns([("a", "bb"), ("ccc", "d")])) == ["a    bb", "ccc  d"]
