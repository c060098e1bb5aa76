import csv
import io
import logging
import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import pyarrow as pa
import pytest
import uvicorn
from fastapi import FastAPI
from pyarrow import parquet
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from analytics.access.principal import Principal
from analytics.api import auth
from analytics.generate import Plan, generate
from analytics.ingest.commit import Books
from tests.analytics.conftest import NOW_UNIX_S, build_application, free_port, local_client

PLAN = Plan(records=800, seed=7, days=3, tenants=2, until_unix_s=int(NOW_UNIX_S))
ROWS = [row for rows in generate(PLAN) for row in rows]
IDS = sorted(row.decision_id for row in ROWS)


@pytest.fixture
def filled(sqlite_engine: Engine) -> Engine:
    Books(sqlite_engine).store(ROWS)
    return sqlite_engine


@pytest.fixture
def asker(filled: Engine) -> Iterator[TestClient]:
    with local_client(build_application(filled)) as client:
        yield client


def test_csv_is_the_default_and_comes_as_a_file(asker: TestClient) -> None:
    answer = asker.get("/api/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == 'attachment; filename="douane-decisions-20261118T113640Z.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert [row["decision_id"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))] == IDS


def test_json_lines_and_parquet_hold_the_same(asker: TestClient) -> None:
    lines = asker.get("/api/export", params={"format": "jsonl"})
    assert lines.headers["content-type"] == "application/jsonl"
    read = [msgspec.json.decode(line) for line in lines.content.splitlines()]
    assert [row["decision_id"] for row in read] == IDS
    table = asker.get("/api/export", params={"format": "parquet"})
    assert table.headers["content-type"] == "application/vnd.apache.parquet"
    assert table.headers["content-disposition"].endswith('.parquet"')
    assert parquet.read_table(pa.BufferReader(table.content))["decision_id"].to_pylist() == IDS


def test_filters_and_windows_narrow_it(asker: TestClient) -> None:
    denied = asker.get("/api/export", params={"format": "jsonl", "action": "deny", "days": 1})
    since_us = NOW_UNIX_S * 1e6 - 86_400e6
    expected = sorted(row.decision_id for row in ROWS if row.applied == "deny" and row.started_unix_us >= since_us)
    assert [msgspec.json.decode(line)["decision_id"] for line in denied.content.splitlines()] == expected != []


def test_nothing_is_an_empty_file(asker: TestClient) -> None:
    asked = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
    assert asker.get("/api/export", params=asked | {"format": "jsonl"}).content == b""
    assert asker.get("/api/export", params=asked).text.count("\r\n") == 1


@pytest.mark.parametrize(
    "asked", [{"format": "xlsx"}, {"days": 0}, {"days": 2, "from": "2026-11-18T00:00:00Z"}, {"limit": 5}]
)
def test_what_cannot_be_asked_is_told_in_the_one_shape(asker: TestClient, asked: dict[str, str]) -> None:
    answer = asker.get("/api/export", params=asked)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}


def as_tenant(application: FastAPI, principal: Principal) -> TestClient:
    application.dependency_overrides[auth._principal] = lambda: principal
    return local_client(application)


def test_a_tenant_gets_its_own_rows_and_a_viewer_none(filled: Engine) -> None:
    application = build_application(filled)
    mine = as_tenant(application, Principal("ann", "analyst", "tenant-2"))
    lines = mine.get("/api/export", params={"format": "jsonl"}).content.splitlines()
    assert {msgspec.json.decode(line)["tenant"] for line in lines} == {"tenant-2"}
    assert mine.get("/api/export", params={"format": "jsonl", "tenant": "default"}).status_code == 403
    assert as_tenant(application, Principal("vic", "viewer")).get("/api/export").status_code == 403


def test_a_database_that_cannot_answer_is_503(filled: Engine) -> None:
    client = local_client(build_application(filled))
    with filled.begin() as connection:
        connection.exec_driver_sql("DROP TABLE records")
    assert client.get("/api/export").status_code == 503


@pytest.fixture
def served(filled: Engine) -> Iterator[int]:
    """Serve the application on a port, as the service does."""
    port = free_port()
    config = uvicorn.Config(build_application(filled), port=port, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join(5)


@pytest.mark.server
def test_a_client_that_leaves_stops_the_query(
    served: int, filled: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows come one at a time, slowly; the client reads a little and goes; soon nothing is asked any more."""
    monkeypatch.setattr("analytics.store.export.ROWS", 1)
    monkeypatch.setattr("analytics.store.export.batches.__defaults__", (1,))
    caplog.set_level(logging.INFO, "analytics.export")
    asked: list[float] = []

    def slow(*_rest: object) -> None:
        asked.append(time.monotonic())
        time.sleep(0.01)

    event.listen(filled, "before_cursor_execute", slow)
    with socket.create_connection(("127.0.0.1", served)) as client:
        client.sendall(b"GET /api/export?format=jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 200")
    left = time.monotonic()
    while not any(record.message == "export.ended" for record in caplog.records):
        assert time.monotonic() - left < 10
        time.sleep(0.02)
    count = len(asked)
    time.sleep(0.3)
    assert len(asked) == count < 800
    assert filled.pool.checkedout() == 0  # type: ignore[attr-defined]
    event.remove(filled, "before_cursor_execute", slow)
