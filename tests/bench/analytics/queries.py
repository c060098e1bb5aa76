"""How fast the API answers over many records: every GET endpoint, on both engines, through the real service.

In: arguments. Out: a table for each engine, worst first, and the end of build/bench-analytics.json. The records are those of
`douane-analytics generate`; the service runs as a process of its own and is asked by one client, one question after the other,
after one turn that is not counted.
Never: a database that was there before, unless --at names one, made by generate and kept between two runs.
"""

import argparse
import http.client
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import create_engine, text

from tests.bench.analytics import servers
from tests.bench.analytics.questions import STREAMED, Question, questions
from tests.bench.processes import Children, cpu_s, python
from tests.bench.report import table
from tests.bench.sums import percentile
from tests.support.ports import free_ports

RESULT = Path("build/bench-analytics.json")
TARGET_MS = 100.0
_DAYS = 30


@dataclass(frozen=True, slots=True)
class Timed:
    """How long one question took, in milliseconds; cpu_ms is the service's share of it. status is the last one seen."""

    endpoint: str
    window: str
    status: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Answers:
    """One engine's numbers."""

    engine: str
    records: int
    load_s: float
    database_mib: float
    idle_mib: float
    peak_mib: float
    timed: tuple[Timed, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it and print the tables."""
    parser = argparse.ArgumentParser(prog="make bench-analytics ARGS='--part queries ...'", description=__doc__)
    parser.add_argument("--query-records", type=int, default=5_000_000, metavar="N", help="records held (5,000,000)")
    parser.add_argument("--query-engine", choices=("sqlite", "postgresql"), help="on this engine only")
    parser.add_argument("--turns", type=int, default=30, help="how often each question is asked (30)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only endpoints whose path holds this")
    parser.add_argument(
        "--at", metavar="URL", help="ask a database that is there, made by generate, instead of a new one"
    )
    options = parser.parse_args(arguments)
    found = list(_measured(options))
    for one in found:
        print(_report(one))
    held = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(held | {"queries": [asdict(one) for one in found]}, indent=1))


def _measured(options: argparse.Namespace) -> Iterator[Answers]:
    with tempfile.TemporaryDirectory(prefix="douane-bench-") as name:
        folder = Path(name)
        if options.at:
            yield _asked(options.at, 0.0, folder, options)
            return
        for engine in ("sqlite", "postgresql"):
            if options.query_engine in (None, engine):
                with _database(engine, folder) as url:
                    yield _asked(url, _generated(url, options.query_records), folder, options)


@contextmanager
def _database(engine: str, folder: Path) -> Iterator[str]:
    if engine == "postgresql":
        with servers.postgres(folder) as server:
            yield server.url
        shutil.rmtree(folder / "postgres")
    else:
        yield f"sqlite:///{folder / 'bench.db'}"
        (folder / "bench.db").unlink()


def _generated(url: str, records: int) -> float:
    """Return how many seconds it took to put the records in."""
    began = time.monotonic()
    command = python("analytics", "generate", "--records", str(records), "--days", str(_DAYS), "--into", url)
    subprocess.run(command, check=True)
    return time.monotonic() - began


def _asked(url: str, load_s: float, folder: Path, options: argparse.Namespace) -> Answers:
    known, records, newest = _known(url)
    http_port, grpc_port = free_ports(2)
    ports = ("--http-port", str(http_port), "--grpc-port", str(grpc_port))
    command = python("analytics", "serve", "--database-url", url, *ports)
    with Children(folder) as children:
        service = children.start("service", command, lambda: _ready(http_port), timeout_s=120)
        idle = servers.memory_mib(service)
        document = json.loads(_get(http_port, "/openapi.json")[1])
        asked = [one for one in questions(document, known, newest) if options.only in one.endpoint]
        timed = tuple(_time((http_port, service), one, options.turns) for one in asked)
        peak = servers.memory_mib(service)
    engine = urlsplit(url).scheme.partition("+")[0]
    return Answers(engine, records, load_s, _size_mib(url), idle, peak, timed)


def _known(url: str) -> tuple[Mapping[str, str], int, datetime]:
    """Return what endpoints are asked for by name, how many records there are, and when the newest began."""
    engine = create_engine(url)
    with engine.connect() as connection:
        busiest = 'SELECT "user", tenant FROM series s JOIN rollups r ON r.series_id = s.series_id '
        busiest += "WHERE r.cube = 'users' AND r.grain_s = 86400 GROUP BY 1, 2 ORDER BY sum(r.requests) DESC LIMIT 1"
        user, tenant = connection.execute(text(busiest)).one()
        newest = connection.execute(text("SELECT max(decision_id) FROM records")).scalar_one()
        counting = "SELECT sum(requests) FROM rollups WHERE cube = 'traffic' AND grain_s = 86400"
        records = int(connection.execute(text(counting)).scalar_one())
    engine.dispose()
    known = {"user": user, "user_id": user, "tenant": tenant, "decision_id": newest, "name": "local", "number": "1"}
    known |= {"from": "1", "to": "1", "id": newest, "alert_id": newest, "version": "1"}
    return known, records, datetime.fromtimestamp(int(newest[:12], 16) / 1_000, UTC)


def _ready(port: int) -> bool:
    try:
        return _get(port, "/api/health")[0] == 200
    except OSError:
        return False


def _get(port: int, url: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", url)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _time(service: tuple[int, int], question: Question, turns: int) -> Timed:
    """Return how long a question takes at a service (port, process), from the request to the end of the answer."""
    (port, pid), took = service, []
    status, before = 0, 0.0
    for turn in range(turns + 1):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", question.url)
        answer = connection.getresponse()
        if question.endpoint not in STREAMED:
            answer.read()
        elif question.endpoint == "/api/export":
            answer.read(1)
        seconds, status = time.perf_counter() - began, answer.status
        connection.close()
        if turn:
            took.append(seconds * 1_000)
        else:
            before = cpu_s([pid])
    cpu_ms = (cpu_s([pid]) - before) / turns * 1_000
    sums = percentile(took, 50), percentile(took, 95), max(took)
    return Timed(question.endpoint, question.window, status, *sums, cpu_ms)


def _size_mib(url: str) -> float:
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return sum(one.stat().st_size for one in path.parent.glob(path.name + "*")) / 2**20
    engine = create_engine(url)
    with engine.connect() as connection:
        size = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    engine.dispose()
    return size / 2**20


def _report(answers: Answers) -> str:
    rows: list[Sequence[Any]] = [
        [f"{one.endpoint}", one.window, one.status, one.p50_ms, one.p95_ms, one.max_ms, one.cpu_ms, _verdict(one)]
        for one in sorted(answers.timed, key=lambda one: -one.p95_ms)
    ]
    missed = sum(one.p95_ms > TARGET_MS for one in answers.timed)
    head = (
        f"{answers.engine}: {answers.records:,} records, loaded in {answers.load_s:,.0f} s, "
        f"{answers.database_mib:,.0f} MiB; service {answers.idle_mib:,.0f} MiB idle, {answers.peak_mib:,.0f} MiB at most; "
        f"{missed} of {len(rows)} questions above {TARGET_MS:.0f} ms at the 95th percentile"
    )
    return f"{head}\n\n{table(('ms', 'window', 'status', 'p50', 'p95', 'max', 'CPU', ''), rows)}\n"


def _verdict(one: Timed) -> str:
    return "above" if one.p95_ms > TARGET_MS else ""


if __name__ == "__main__":
    main()
