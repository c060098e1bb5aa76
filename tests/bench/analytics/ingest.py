"""How many records a second the real service takes in, beside the bare writing of the same rows.

In: an engine's URL, prepared batches. Out: an Ingest value. The service runs as a process of its own, with gRPC, commit and
rollups as in production; eight publishers send a batch each and wait for its acknowledgement, as sidecars do.
Never: a database that was there before; a record that was acknowledged and is not counted.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import grpc
import psycopg
from douane.v1 import control_pb2
from sqlalchemy import Table, func, select
from sqlalchemy.engine import make_url

from analytics.ingest.decode import decode
from analytics.store import bulk, database, records
from analytics.store.tables import RECORDS, ROLLUPS
from analytics.types import DecisionRow
from tests.bench.analytics.servers import Postgres, memory_mib
from tests.bench.processes import Children, cpu_s, python
from tests.support.ports import free_ports

PUBLISHERS = 8
GROUP = 8_000  # rows a transaction of the bare writing: what the books take at most


@dataclass(frozen=True, slots=True)
class Ingest:
    """One engine's numbers. Rates are records a second as sent (an exchange may be two), CPU is microseconds a record."""

    engine: str
    records: int
    per_second: float
    service_cpu_us: float
    database_cpu_us: float
    bare_per_second: float
    idle_mib: float
    peak_mib: float
    rollups_per_record: float

    @property
    def ratio(self) -> float:
        """How much slower than writing the bare rows."""
        return self.bare_per_second / self.per_second


def measure(url: str, batches: Sequence[bytes], server: Postgres | None, logs: Path) -> Ingest:
    """Run the service on an empty database, send everything, check that everything is there."""
    http_port, grpc_port = free_ports(2)
    ports = ("--http-port", str(http_port), "--grpc-port", str(grpc_port))
    command = python("analytics", "serve", "--database-url", url, *ports)
    with Children(logs) as children:
        service = children.start("analytics", command, lambda: _ready(http_port))
        idle = memory_mib(service)
        before = cpu_s([service]), _cpu_s(server)
        began = time.perf_counter()
        asyncio.run(_publish(grpc_port, batches))
        seconds = time.perf_counter() - began
        used = cpu_s([service]) - before[0], _cpu_s(server) - before[1]
        peak = memory_mib(service)
    rows = [decode(one) for batch in batches for one in control_pb2.PublishRequest.FromString(batch).records]
    cells = _check(url, rows)
    count = len(rows)
    return Ingest(
        engine=make_url(url).get_backend_name(),
        records=count,
        per_second=count / seconds,
        service_cpu_us=used[0] / count * 1e6,
        database_cpu_us=used[1] / count * 1e6,
        bare_per_second=count / _bare(url, rows),
        idle_mib=idle,
        peak_mib=peak,
        rollups_per_record=cells / count,
    )


def _cpu_s(server: Postgres | None) -> float:
    return cpu_s(server.pids()) if server else 0.0


def _ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _publish(port: int, batches: Sequence[bytes]) -> None:
    waiting = iter(batches)

    async def publisher() -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            send = channel.unary_unary("/douane.v1.DecisionLog/Publish", None, control_pb2.PublishResponse.FromString)
            for batch in waiting:
                answer = await send(batch)
                if answer.rejected:
                    raise RuntimeError(f"a record was rejected: {answer.rejected[0].reason}")

    await asyncio.gather(*(publisher() for _ in range(PUBLISHERS)))


def _check(url: str, rows: Sequence[DecisionRow]) -> int:
    """Return how many rollups there are. Raises: RuntimeError when what is held is not what was sent."""
    engine = database.connect(url)
    finals = {row.decision_id for row in rows if row.final}
    with engine.connect() as connection:
        held = connection.execute(
            select(func.count()).select_from(RECORDS).where(RECORDS.c.stage == "complete")
        ).scalar_one()
        traffic = (ROLLUPS.c.cube == "traffic") & (ROLLUPS.c.grain_s == 86_400)
        counted = connection.execute(select(func.sum(ROLLUPS.c.requests)).where(traffic)).scalar_one()
        cells = connection.execute(select(func.count()).select_from(ROLLUPS)).scalar_one()
    engine.dispose()
    if (held, int(counted)) != (len(finals), len(finals)):
        raise RuntimeError(f"{len(finals)} exchanges were sent, {held} are held, {counted} are counted")
    return int(cells)


def _bare(url: str, rows: Sequence[DecisionRow]) -> float:
    """Return the seconds that the same rows take without anything: no index, no look at what is held, no rollups."""
    values = [records.values(row) for row in rows]
    columns = ", ".join(f'"{column.name}"' for column in RECORDS.c)
    parsed = make_url(url)
    groups = [values[first : first + GROUP] for first in range(0, len(values), GROUP)]
    if parsed.get_backend_name() == "postgresql":
        return _bare_postgres(parsed.set(drivername="postgresql").render_as_string(False), columns, groups)
    return _bare_sqlite(url, RECORDS, groups)


def _bare_postgres(url: str, columns: str, groups: Sequence[Sequence[bulk.Row]]) -> float:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE bare (LIKE records)")
        connection.commit()
        began = time.perf_counter()
        for group in groups:
            with connection.cursor() as cursor, cursor.copy(f"COPY bare ({columns}) FROM STDIN") as copy:
                for row in group:
                    copy.write_row(row)
            connection.commit()
        return time.perf_counter() - began


def _bare_sqlite(url: str, table: Table, groups: Sequence[Sequence[bulk.Row]]) -> float:
    engine = database.connect(url)
    marks = ", ".join("?" * len(table.c))
    with database.writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE bare AS SELECT * FROM records WHERE 0")
    began = time.perf_counter()
    for group in groups:
        with database.writing(engine) as connection:
            connection.exec_driver_sql(f"INSERT INTO bare VALUES ({marks})", list(group))
    seconds = time.perf_counter() - began
    engine.dispose()
    return seconds
