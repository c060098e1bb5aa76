import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.api import coverage as module
from analytics.ingest.coverage import decode_coverage
from analytics.ingest.decode import decode
from analytics.store import coverage, database, records
from tests.analytics.conftest import NOW_UNIX_S
from tests.analytics.coverage_traffic import host, report, sight
from tests.analytics.traffic import record

OPENAI = {
    "door": "proxy",
    "host": "api.openai.com",
    "llm": "openai",
    "listed": True,
    "reached": True,
    "connections": 4,
    "failed": 1,
    "bytes_out": 100,
    "bytes_in": 2_000,
    "last_client": "10.0.0.7",
    "last_seen": "2026-11-18T11:06:40Z",
}


@pytest.fixture
def stored(sqlite_engine: Engine) -> None:
    identity = {"user": "u", "namespace": "shop", "pod": "shop-1", "service_account": "buyer"}
    rows = [decode(record(number, identity=identity, sidecar="node-1/0")) for number in range(10)]
    reported = decode_coverage(report(host(), host("pypi.org", connections=9), sight(), sight("watched_s", door="")))
    with database.writing(sqlite_engine) as connection:
        records.store(connection, rows)
        coverage.store(connection, reported, int(NOW_UNIX_S))


def test_what_went_through_customs_and_what_did_not(client: TestClient, stored: None) -> None:
    answer = client.get("/api/coverage?days=7").json()
    assert answer["window"] == {
        "start": "2026-11-11T12:00:00Z",
        "end": "2026-11-18T12:00:00Z",
        "days": 7,
        "bucket_s": 3_600,
    }
    assert answer["summary"] == {
        "calls": 10,
        "calls_unscanned": 0,
        "fail_open": 0,
        "envoy_fail_open": 2,
        "body_bytes": 19_800,
        "scanned_bytes": 19_800,
        "pass_through_connections": 13,
        "pass_through_bytes": 4_200,
        "llm_hosts": 1,
        "llm_connections": 3,
        "losses": 2,
    }
    (shop,) = answer["workloads"]
    assert shop["doors"][0] | {"door": "gateway", "requests": 10, "answered": 9, "denied": 1} == shop["doors"][0]
    assert shop["llm_hosts"] == [OPENAI]
    pypi = OPENAI | {"host": "pypi.org", "llm": "", "listed": False, "connections": 9}
    assert shop["pass_through"] == [OPENAI, pypi]
    assert [(one["door"], one["kind"], one["count"], one["loss"]) for one in shop["losses"]] == [
        ("", "watched_s", 2, False),
        ("gateway", "failure_mode_allowed", 2, True),
    ]
    assert (shop["namespace"], shop["last_report"]) == ("shop", "2026-11-18T11:36:40Z")
    assert answer["timeline"][-1] == {"start": "2026-11-18T11:00:00Z", "calls": 10, "pass_through": 13, "llm": 4}
    assert len(answer["timeline"]) == 168
    assert any("QUIC" in text for text in answer["blind_spots"])


def test_nothing_reported_is_not_called_clean(client: TestClient) -> None:
    answer = client.get("/api/coverage").json()
    assert set(answer["summary"].values()) == {0}
    assert answer["workloads"] == []
    assert answer["blind_spots"] != []


def test_long_lists_are_cut_counted_and_summed_whole(
    client: TestClient, stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_HOSTS", 1)
    monkeypatch.setattr(module, "MAX_WORKLOADS", 1)
    (shop,) = client.get("/api/coverage").json()["workloads"]
    assert ([one["host"] for one in shop["pass_through"]], shop["hosts_left_out"]) == (["api.openai.com"], 1)
    monkeypatch.setattr(module, "MAX_WORKLOADS", 0)
    answer = client.get("/api/coverage").json()
    assert (answer["workloads"], answer["workloads_left_out"]) == ([], 1)
    assert answer["summary"]["pass_through_connections"] == 13


def test_a_kind_of_a_newer_sidecar_is_a_loss_under_its_name(client: TestClient, sqlite_engine: Engine) -> None:
    with database.writing(sqlite_engine) as connection:
        coverage.store(connection, decode_coverage(report(sight("new_kind"))), int(NOW_UNIX_S))
    (shop,) = client.get("/api/coverage").json()["workloads"]
    assert shop["losses"] == [
        {"door": "gateway", "kind": "new_kind", "count": 2, "loss": True, "meaning": "new kind"},
    ]


@pytest.mark.parametrize("days", ["0", "367", "x"])
def test_days_out_of_bounds_are_refused(client: TestClient, days: str) -> None:
    answer = client.get("/api/coverage", params={"days": days})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "days")
