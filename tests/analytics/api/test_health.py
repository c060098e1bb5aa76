from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.ingest.decode import decode
from analytics.store import database, records
from tests.analytics.conftest import build_application, local_client
from tests.analytics.traffic import record

EMPTY = {
    "status": "ok",
    "version": version("douane"),
    "database": "sqlite",
    "database_reachable": True,
    "schema_revision": database.newest_revision(),
    "schema_current": True,
    "last_record_at": None,
    "last_record_age_s": None,
}


def test_an_empty_database_is_healthy(client: TestClient) -> None:
    answer = client.get("/api/health")
    assert (answer.status_code, answer.json()) == (200, EMPTY)


def test_age_of_the_newest_record(client: TestClient, sqlite_engine: Engine) -> None:
    with database.writing(sqlite_engine) as connection:
        records.store(connection, [decode(record(10))])
    newest = {"last_record_at": "2026-11-18T11:06:41Z", "last_record_age_s": 1_799.0}
    assert client.get("/api/health").json() == EMPTY | newest


def test_a_database_without_schema_is_not_ready(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path / 'empty.db'}")
    with local_client(build_application(engine)) as client:
        answer = client.get("/api/health")
    engine.dispose()
    state = {"status": "unavailable", "schema_revision": None, "schema_current": False}
    assert (answer.status_code, answer.json()) == (503, EMPTY | state)


def test_ready_once_migrated(client: TestClient) -> None:
    answer = client.get("/api/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_not_ready_without_a_schema_or_a_database(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'empty.db'}", "postgresql+psycopg://douane@127.0.0.1:1/douane"):
        engine = database.connect(url)
        with TestClient(build_application(engine)) as client:
            answer = client.get("/api/ready")
        engine.dispose()
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
