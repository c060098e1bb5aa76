"""The worker: takes batches out of the stream and writes them into the database, one thread a shard.

In: a RecordStream, the function that stores rows. Out: nothing; entries leave the stream after their commit.
* An entry is done only once its records are committed. A kill at any moment leaves it pending: whoever lives claims it
  after `idle_ms`, stores it again, and storing twice changes nothing.
* While the database is away nothing is given up: the entry in hand is tried again until it works, or we are stopped.
* What the database refuses, and what fails `tries` times by a fault of ours, is tried record by record; the records that
  still fail are buried with their reason. A batch that `tries` workers died with is buried whole.
Never: an acknowledgement before the commit; a batch that vanishes.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread

from douane.v1 import control_pb2 as pb
from google.protobuf.message import DecodeError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from analytics.ingest.depths import StreamMetrics
from analytics.ingest.stream import SHARDS, Entry, RecordStream
from analytics.ingest.writing import Decoded, Refused, Store, decoded, write
from analytics.telemetry import Metrics
from analytics.types import Stored

_LOG = logging.getLogger("analytics.worker")
_BACKOFF_S = (0.1, 5.0)  # first and longest wait after a failure, as a sidecar's publisher has it
_LOOK_EVERY_S = 5.0  # how often depths are measured: as often as a Prometheus that is in a hurry scrapes
_FORGET_MS = 3_600_000  # a consumer that was silent for an hour is a process that is gone
_DIED = "workers ended again and again while they wrote it"


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker goes about it. entries: batches that one transaction takes (of up to 500 records each)."""

    idle_ms: int = 30_000
    block_ms: int = 1_000
    tries: int = 5
    entries: int = 4


@dataclass(frozen=True, slots=True)
class _Part:
    """One entry, read. dead: what of it cannot be stored, as batches with reasons."""

    entry: Entry
    batch: Decoded
    dead: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a worker writes with: the books, the one thread that writes, and what counts."""

    store: Store
    writer: ThreadPoolExecutor
    metrics: Metrics
    stream_metrics: StreamMetrics


class Worker:
    """One member of the consumer group. name must be this process's alone."""

    def __init__(self, stream: RecordStream, desk: Desk, name: str, pace: Pace = Pace()) -> None:
        self._stream = stream
        self._desk = desk
        self._name = name
        self._pace = pace
        self._stopping = Event()
        self._threads = [
            Thread(target=self._run, args=(shard,), name=f"worker-{shard}", daemon=True) for shard in range(SHARDS)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the entries in hand, or leave them to others when they cannot be written; then end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, shard: int) -> None:
        failed = 0
        look = _Every(_LOOK_EVERY_S)
        claim = _Every(self._pace.idle_ms / 2_000)
        while not self._stopping.is_set():
            try:
                if look.due():
                    self._look(shard)
                self._round(shard, claim)
                failed = 0
            except RedisError as error:
                failed = self._failed("redis", error, failed)
            except Exception as error:  # noqa: BLE001 - the rim: the thread lives on, the entries stay pending
                failed = self._failed("fault", error, failed)

    def _round(self, shard: int, claim: "_Every") -> None:
        """Take what there is and write it: first what others left behind, one at a time, then what is new."""
        if claim.due():
            for entry in self._stream.claim(shard, self._name, self._pace.idle_ms, 1):
                claim.at_once()
                self._desk.stream_metrics.claimed.inc()
                self._settle_left(shard, entry)
                return
        entries = self._stream.read(shard, self._name, self._pace.entries, self._pace.block_ms)
        if entries:
            self._settle(shard, entries)

    def _settle_left(self, shard: int, entry: Entry) -> None:
        """Write what another worker had in hand, and count the attempts: it may be what ended that worker."""
        if self._stream.tried(shard, entry, 0) >= self._pace.tries:
            self._bury(shard, entry, [(entry.batch, _DIED)])
        else:
            self._settle(shard, [entry], partial(self._stream.tried, shard, entry))

    def _settle(self, shard: int, entries: Sequence[Entry], attempt: Callable[[int], object] = abs) -> None:
        """Write entries and let them go; they stay pending when they were not written before we were stopped.

        attempt is told +1 before each attempt, and -1 when the database was to blame.
        """
        parts = [_read(entry) for entry in entries]
        refused = self._write(parts, attempt)
        if refused is None:
            return
        buried = [(part.entry, [*part.dead, *_dead(part, refused)]) for part in parts]
        self._stream.done(shard, [entry for entry, dead in buried if not dead])
        for entry, dead in buried:
            if dead:
                self._bury(shard, entry, dead)

    def _write(self, parts: Sequence[_Part], attempt: Callable[[int], object]) -> Refused | None:
        """Store until it works; return what was refused, None when we are stopped first."""
        rows = [row for part in parts for row in part.batch.rows]
        failed = faults = 0
        while failed == 0 or not self._stopping.is_set():
            attempt(1)
            began = time.perf_counter()
            try:
                hopeless = faults >= self._pace.tries
                stored, refused = self._desk.writer.submit(write, self._desk.store, rows, hopeless=hopeless).result()
            except (SQLAlchemyError, OSError) as error:
                attempt(-1)
                failed = self._failed("database", error, failed)
            except Exception as error:  # noqa: BLE001 - a fault of ours in this batch: tried again, then isolated
                faults += 1
                failed = self._failed("fault", error, failed)
            else:
                self._count(len(rows), stored, len(refused), time.perf_counter() - began)
                return refused
        return None

    def _count(self, records: int, stored: Stored, refused: int, seconds: float) -> None:
        self._desk.metrics.observe_batch(records, stored, refused, seconds)

    def _bury(self, shard: int, entry: Entry, dead: Sequence[tuple[bytes, str]]) -> None:
        self._stream.bury(shard, entry, dead)
        self._desk.stream_metrics.buried.inc(len(dead))
        _LOG.error("worker.buried", extra={"shard": shard, "entry": entry.id, "parts": len(dead), "reason": dead[0][1]})

    def _failed(self, kind: str, error: Exception, failed: int) -> int:
        """Count and log a failure, wait a little longer each time; return how many there were in a row."""
        self._desk.stream_metrics.failures.labels(kind).inc()
        level = logging.WARNING if failed == 0 else logging.DEBUG
        _LOG.log(level, "worker.failed", extra={"kind": kind, "error": type(error).__name__}, exc_info=error)
        self._stopping.wait(min(_BACKOFF_S[0] * 2**failed, _BACKOFF_S[1]))
        return min(failed + 1, 10)

    def _look(self, shard: int) -> None:
        self._desk.stream_metrics.show(shard, self._stream.depth(shard))
        self._stream.forget_consumers(shard, _FORGET_MS)


class _Every:
    """Says when so many seconds have passed; the first time at once."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = clock()

    def due(self) -> bool:
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True

    def at_once(self) -> None:
        self._next = self._clock()


def _read(entry: Entry) -> _Part:
    """Return an entry's rows, and what of it can never be stored: ingest looked before, but may be of another version."""
    try:
        request = pb.PublishRequest.FromString(entry.batch)
    except DecodeError:
        return _Part(entry, Decoded((), (), ()), ((entry.batch, "not a batch of records"),))
    batch = decoded(request)
    if not batch.rejected:
        return _Part(entry, batch, ())
    good = {id(record) for record in batch.records}
    bad = [record for record in request.records if id(record) not in good]
    return _Part(entry, batch, ((pb.PublishRequest(records=bad).SerializeToString(), batch.rejected[0].reason),))


def _dead(part: _Part, refused: Refused) -> list[tuple[bytes, str]]:
    reasons = {id(row): why for row, why in refused}
    return [
        (pb.PublishRequest(records=[record]).SerializeToString(), reasons[id(row)])
        for row, record in zip(part.batch.rows, part.batch.records, strict=True)
        if id(row) in reasons
    ]
