"""The real program in a process of its own: starts, stops, is killed in mid-load and loses nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests
from douane.v1 import control_pb2 as pb
from douane.v1.control_pb2_grpc import DecisionLogStub
from sqlalchemy import delete, func, select

from analytics.ingest.decode import decode
from analytics.store import database, records, rollups
from analytics.store.tables import LABEL_ROLLUPS, RECORDS, ROLLUPS, SERIES
from tests.analytics.conftest import free_port
from tests.analytics.store.test_rollups import _held
from tests.analytics.traffic import record

pytestmark = pytest.mark.server
BATCH = 50


class Service:
    """`douane-analytics serve` on ports of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.http_port, self.grpc_port = free_port(), free_port()
        ports = ["--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port)]
        self._command = [sys.executable, "-m", "analytics", "serve", "--database-url", url, *ports]
        self._log = folder / "log"

    def start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log)
        for _ in range(200):
            if process.poll() is not None:
                raise AssertionError(self._log.read_text())
            try:
                if requests.get(f"http://127.0.0.1:{self.http_port}/api/health", timeout=1).status_code == 200:
                    return process
            except requests.ConnectionError:
                time.sleep(0.05)
        process.kill()
        raise AssertionError(self._log.read_text())

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def service(url: str, tmp_path: Path) -> Service:
    return Service(url, tmp_path)


class Client(threading.Thread):
    """A sidecar's publisher: sends its batches in order, each until it is acknowledged."""

    def __init__(self, port: int, first: int, batches: int) -> None:
        super().__init__()
        self.port = port
        self.batches = [range(first + one * BATCH, first + (one + 1) * BATCH) for one in range(batches)]
        self.acknowledged: list[str] = []
        self.attempts = 0

    def run(self) -> None:
        options = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100))
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options) as channel:
            log = DecisionLogStub(channel)
            for numbers in self.batches:
                self._send(log, [record(number) for number in numbers])

    def _send(self, log: DecisionLogStub, rows: list[object]) -> None:
        for _ in range(400):
            self.attempts += 1
            try:
                answer = log.Publish(pb.PublishRequest(records=rows), timeout=5)
            except grpc.RpcError:
                time.sleep(0.05)
                continue
            assert answer.stored + answer.unchanged == len(rows)
            self.acknowledged += [row.decision_id for row in rows]
            return
        raise AssertionError("never acknowledged")


def test_kill_in_mid_load_loses_nothing_and_doubles_nothing(service: Service, url: str) -> None:
    process = service.start()
    clients = [Client(service.grpc_port, first=number * 100_000, batches=40) for number in range(3)]
    for client in clients:
        client.start()
    for _ in range(3):
        time.sleep(0.4)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process = service.start()
    for client in clients:
        client.join()
    process.terminate()
    assert process.wait(20) == 0
    sent = [f"{one.decision_id}" for client in clients for numbers in client.batches for one in map(record, numbers)]
    assert Counter(one for client in clients for one in client.acknowledged) == Counter(sent)
    assert sum(client.attempts for client in clients) > 120  # some were cut off and sent again
    engine = database.connect(url)
    with engine.connect() as connection:
        held = connection.execute(select(RECORDS.c.decision_id)).scalars().all()
        counted = connection.execute(
            select(func.sum(ROLLUPS.c.requests)).where(ROLLUPS.c.grain_s == 60, ROLLUPS.c.cube == "full")
        ).scalar()
    assert (Counter(held), counted) == (Counter(sent), len(sent))
    before = _held(engine)
    with database.writing(engine) as connection:
        rollups.rebuild(connection, list(records.all_finals(connection)))
    assert _held(engine) == before
    engine.dispose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_commit_in_hand(service: Service, number: signal.Signals) -> None:
    process = service.start()
    client = Client(service.grpc_port, first=0, batches=10)
    client.start()
    client.join()
    process.send_signal(number)
    assert process.wait(20) == 0
    assert service.log().rstrip().splitlines()[-1].startswith('{"event": "service.stopped"')


def test_api_answers_while_batches_are_written(service: Service) -> None:
    process = service.start()
    client = Client(service.grpc_port, first=0, batches=40)
    client.start()
    slowest = 0.0
    while client.is_alive():
        began = time.perf_counter()
        answer = requests.get(f"http://127.0.0.1:{service.http_port}/api/usage/analytics?days=366", timeout=10)
        slowest = max(slowest, time.perf_counter() - began)
        assert answer.status_code == 200
    process.terminate()
    assert process.wait(20) == 0
    assert slowest < 5


def test_rollups_left_empty_by_a_migration_are_counted_again(service: Service, url: str) -> None:
    engine = database.connect(url)
    database.migrate(engine)
    with database.writing(engine) as connection:
        records.store(connection, [decode(record(number)) for number in range(30)])
    kept = _held(engine)
    with database.writing(engine) as connection:
        for table in (ROLLUPS, LABEL_ROLLUPS, SERIES):
            connection.execute(delete(table))
    process = service.start()
    process.terminate()
    assert process.wait(20) == 0
    assert _held(engine) == kept
    engine.dispose()


def _watch(port: int, calls: list[pb.WatchRequest]) -> Iterator[pb.Snapshot]:
    """Yield what a sidecar is told that says these words."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        watch = channel.stream_stream(
            "/douane.v1.Control/Watch", pb.WatchRequest.SerializeToString, pb.Snapshot.FromString
        )
        yield from watch(iter(calls), timeout=30)


def test_sidecars_are_told_of_policies_risk_and_budgets_and_let_go_at_the_end(service: Service) -> None:
    process = service.start()
    url = f"http://127.0.0.1:{service.http_port}/api/policies/default?activate=true"
    told = _watch(service.grpc_port, [pb.WatchRequest(sidecar="web-1/0")])
    assert next(told).full
    text = "budgets: [{name: calls, unit: requests, window: day, limit: 9}]"
    answer = requests.put(url, data=text, headers={"content-type": "application/yaml"}, timeout=5)
    assert answer.status_code == 201, answer.text
    assert [one.text for one in next(told).policies] == [text]
    now_us = round(time.time() * 1e6)
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        denied = record(9, timings={"started_unix_us": now_us, "verdict_us": 1})
        passed = record(10, timings={"started_unix_us": now_us, "verdict_us": 1, "total_us": 9})
        DecisionLogStub(channel).Publish(pb.PublishRequest(records=[denied, passed]), timeout=5)
    held: dict[str, object] = {}
    while set(held) != {"user-9", "calls"}:
        snapshot = next(told)
        held |= {one.user: round(one.risk, 3) for one in snapshot.users}
        held |= {one.budget: (one.others, one.own) for one in snapshot.budgets}
    assert held == {"user-9": 17.5, "calls": (0, 1)}
    process.send_signal(signal.SIGTERM)
    with pytest.raises(grpc.RpcError) as raised:
        next(told)
    assert (raised.value.code(), process.wait(timeout=10)) == (grpc.StatusCode.UNAVAILABLE, 0)  # type: ignore[attr-defined] # a Call
