"""Measure what a record costs: read from protobuf, stored, counted in rollups, committed; SQLite in a new file.

    python -m tests.analytics.bench_ingest [--records 20000] [--batch 200] [--users 20] [--database-url URL]

Prints CPU and wall microseconds a record (the median batch is little disturbed by others on the machine),
for records that come once (COMPLETE) and twice (VERDICT, then COMPLETE).
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from douane.v1 import control_pb2
from douane.v1 import decision_pb2 as pb
from sqlalchemy import Engine

from analytics.ingest.decode import decode
from analytics.store import database, records
from tests.analytics.traffic import record


def _batches(options: argparse.Namespace, stages: Sequence[int]) -> Iterator[bytes]:
    for first in range(0, options.records, options.batch):
        numbers = range(first, min(first + options.batch, options.records))
        for stage in stages:
            rows = [record(number, stage=stage, users=options.users) for number in numbers]
            yield control_pb2.PublishRequest(records=rows).SerializeToString()


def _store(engine: Engine, data: bytes) -> None:
    request = control_pb2.PublishRequest.FromString(data)
    rows = [decode(one) for one in request.records]
    with database.writing(engine) as connection:
        records.store(connection, rows)


def _timed(batches: Sequence[bytes], work: Callable[[bytes], None], count: int) -> str:
    each = []
    began = time.perf_counter()
    for data in batches:
        cpu = time.process_time()
        work(data)
        each.append(time.process_time() - cpu)
    wall = (time.perf_counter() - began) / count
    size = count / len(batches)
    median, mean = statistics.median(each) / size, sum(each) / count
    return f"{median * 1e6:6.1f} us CPU a record (median batch; mean {mean * 1e6:.1f}), {wall * 1e6:.1f} us wall"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    gc.freeze()  # as the service does
    for name, stages in (("once", [pb.STAGE_COMPLETE]), ("twice", [pb.STAGE_VERDICT, pb.STAGE_COMPLETE])):
        with tempfile.TemporaryDirectory() as folder:
            engine = database.connect(options.database_url or f"sqlite:///{Path(folder) / 'bench.db'}")
            database.migrate(engine)
            batches = list(_batches(options, stages))
            count = options.records * len(stages)
            print(f"{name:5} {_timed(batches, lambda data, to=engine: _store(to, data), count)} (sent {len(stages)}x)")
            engine.dispose()
    reading = _timed(
        batches, lambda data: [decode(one) for one in control_pb2.PublishRequest.FromString(data).records], count
    )
    print(f"      {reading} of which reading alone")


if __name__ == "__main__":
    main()
