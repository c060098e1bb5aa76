"""Several processes on one Redis and one database: who does what, and what a kill costs."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select

from analytics import config, sharing
from analytics.config import ConfigError
from analytics.ingest.depths import StreamMetrics
from analytics.ingest.stream import SHARDS, Depth, Limit, RecordStream
from analytics.ingest.worker import Desk
from analytics.redis_client import Link
from analytics.store import database
from analytics.store.tables import RECORDS, ROLLUPS
from analytics.telemetry import Metrics
from analytics.types import Stored
from tests.analytics.conftest import _postgres_database
from tests.analytics.test_app import Client, Service
from tests.analytics.traffic import record
from tests.support import redis_server
from tests.support.ports import free_ports

EMPTY = Depth(0, 0, 0, 0, None)


@pytest.mark.parametrize("role", ["ingest", "worker"])
def test_a_role_needs_a_redis(role: str) -> None:
    with pytest.raises(ConfigError) as refused:
        sharing.link(config.load(role=role))
    assert str(refused.value) == f"DOUANE_ANALYTICS_ROLE: {role} needs a Redis between the two: set REDIS_URL"


@pytest.mark.parametrize("url", ["http://secret@host", "redis://host:port/0"])
def test_a_url_of_another_kind_is_refused_without_saying_it(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        sharing.link(config.load(redis_url=url))
    assert str(refused.value) == f"REDIS_URL: a text of {len(url)} characters is not allowed: give redis://HOST:PORT"


def _desk(writer: ThreadPoolExecutor) -> Desk:
    metrics = Metrics(10, 100, 5.0)
    return Desk(lambda rows: Stored(0, 0), writer, metrics, StreamMetrics(metrics.registry))


def test_without_redis_nothing_stands_between() -> None:
    settings = config.load()
    assert sharing.link(settings) is None
    live = sharing.live(None, Metrics(10, 100, 5.0).registry)
    assert (live.feed is live.publisher, live.parts) == (True, ())
    with ThreadPoolExecutor(1) as writer:
        assert sharing.line(settings, None, _desk(writer), "one") == sharing.Line(None, ())


@pytest.mark.server
def test_a_redis_that_forgets_stops_the_start_and_one_that_is_away_does_not(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as writer, redis_server.running(tmp_path, "--appendonly", "no") as server:
        settings = config.load(redis_url=server.url)
        with pytest.raises(ConfigError) as refused:
            sharing.line(settings, sharing.link(settings), _desk(writer), "one")
        away = config.load(redis_url=f"redis://127.0.0.1:{free_ports(1)[0]}", role="ingest")
        line = sharing.line(away, sharing.link(away), _desk(writer), "one")
    assert str(refused.value) == (
        "REDIS_URL: Redis cannot be trusted with records: it keeps nothing over a restart: start it with --appendonly yes; "
        "or set DOUANE_ANALYTICS_REDIS_VOLATILE=true"
    )
    assert (line.buffer is not None, line.parts) == (True, ())


class Process(Service):
    """`douane-analytics serve` in a role."""

    def __init__(self, url: str, folder: Path, role: str) -> None:
        super().__init__(url, folder)
        self._command += ["--role", role]
        self._log = folder / f"log-{self.http_port}"


@pytest.fixture
def redis_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with redis_server.running(tmp_path / "redis") as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        monkeypatch.setenv("DOUANE_ANALYTICS_WORKER_IDLE_S", "1")
        yield server.url


def until_empty(redis_url: str) -> list[Depth]:
    link = Link(redis_url)
    stream = RecordStream(link, Limit(1, 1))
    for _ in range(400):
        depths = [stream.depth(shard) for shard in range(SHARDS)]
        if depths == [EMPTY] * SHARDS:
            break
        time.sleep(0.05)
    link.close()
    return depths


@pytest.mark.server
def test_killed_workers_lose_nothing_and_double_nothing(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    url = _postgres_database(postgres_url)
    taker, first = Process(url, tmp_path, "ingest"), Process(url, tmp_path, "worker")
    taking, working = taker.start(), first.start()
    client = Client(taker.grpc_port, first=0, batches=60)
    client.start()
    for _ in range(3):
        time.sleep(0.7)
        os.kill(working.pid, signal.SIGKILL)
        working.wait()
        working = first.start()
    client.join()
    assert until_empty(redis_url) == [EMPTY] * SHARDS
    for process in (working, taking):
        process.terminate()
        assert process.wait(20) == 0
    sent = Counter(record(number).decision_id for numbers in client.batches for number in numbers)
    engine = database.connect(url)
    with engine.connect() as connection:
        held = connection.execute(select(RECORDS.c.decision_id)).scalars().all()
        cube = select(func.sum(ROLLUPS.c.requests)).where(ROLLUPS.c.grain_s == 60, ROLLUPS.c.cube == "traffic")
        counted = connection.execute(cube).scalar()
    engine.dispose()
    assert Counter(client.acknowledged) == sent
    assert (Counter(held), counted) == (sent, len(sent))


@pytest.mark.server
def test_the_service_stays_up_without_its_redis_and_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server.RedisServer(tmp_path / "redis")
    monkeypatch.setenv("REDIS_URL", server.url)
    service = Process(f"sqlite:///{tmp_path / 'test.db'}", tmp_path, "all")
    process = service.start()
    client = Client(service.grpc_port, first=0, batches=20)
    client.start()
    time.sleep(1)
    assert (client.acknowledged, process.poll()) == ([], None)
    server.start()
    client.join()
    assert until_empty(server.url) == [EMPTY] * SHARDS
    assert requests.get(f"http://127.0.0.1:{service.http_port}/api/health", timeout=5).status_code == 200
    process.terminate()
    assert process.wait(20) == 0
    server.kill()
    assert client.attempts > 20
