"""Engines of both kinds, and the web application on them. PostgreSQL is a real server, started once a run."""

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, create_engine, text
from starlette.testclient import TestClient

from analytics import config
from analytics.api import application as web
from analytics.api.context import Context
from analytics.live.feed import Feed
from analytics.store import database
from analytics.telemetry import Metrics
from tests.analytics.traffic import BEGAN_UNIX_US

POSTGRES = Path("/usr/lib/postgresql/15/bin")
NOW_UNIX_S = BEGAN_UNIX_US / 1e6 + 1_800
_NUMBERS = itertools.count()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _as_postgres(*command: str) -> None:
    """Run a command as the user postgres, since the server refuses to run as root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start PostgreSQL in a folder of its own, on a free port; stop it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="douane-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, port = str(folder / "data"), free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
    _as_postgres(str(POSTGRES / "initdb"), "-D", data, "-U", "douane", "-A", "trust", "-E", "UTF8")
    _as_postgres(str(POSTGRES / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://douane@127.0.0.1:{port}"
    finally:
        _as_postgres(str(POSTGRES / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_database(server: str, template: str = "template1") -> str:
    name = f"test_{next(_NUMBERS)}"
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()
    return f"{server}/{name}"


def _migrated(url: str) -> str:
    engine = database.connect(url)
    database.migrate(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """Return the name of a migrated database; copying it takes a tenth of migrating anew."""
    return _migrated(_postgres_database(postgres_url)).rpartition("/")[2]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a migrated database."""
    path = tmp_path_factory.mktemp("template") / "migrated.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, of each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return _postgres_database(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return an engine on a migrated database, of each kind in turn."""
    made: Engine = request.getfixturevalue("sqlite_engine" if request.param == "sqlite" else "postgres_engine")
    return made


@pytest.fixture
def postgres_engine(postgres_url: str, postgres_template: str) -> Iterator[Engine]:
    """Return an engine on a migrated PostgreSQL database."""
    made = database.connect(_postgres_database(postgres_url, postgres_template))
    yield made
    made.dispose()


@pytest.fixture
def sqlite_engine(tmp_path: Path, sqlite_template: Path) -> Iterator[Engine]:
    """Return an engine on a migrated SQLite database."""
    made = database.connect(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'test.db')}")
    yield made
    made.dispose()


@pytest.fixture
def application(sqlite_engine: Engine) -> FastAPI:
    """Return the web application on SQLite; its clock stands half an hour after the traffic begins."""
    return build_application(sqlite_engine)


def build_application(engine: Engine) -> FastAPI:
    """Return the web application on an engine."""
    context = Context(config.load(), engine, lambda: NOW_UNIX_S, Feed(lambda: NOW_UNIX_S))
    return web.build(context, Metrics(10, 100, 5.0).registry)


def local_client(application: FastAPI) -> TestClient:
    """Return a client on the application's own machine, as the local user; it gets errors as answers."""
    here = "http://127.0.0.1:8080"
    return TestClient(application, here, raise_server_exceptions=False, client=("127.0.0.1", 50_000))


@pytest.fixture
def client(application: FastAPI) -> Iterator[TestClient]:
    """Return a client of the application that gets errors as answers."""
    with local_client(application) as one:
        yield one
