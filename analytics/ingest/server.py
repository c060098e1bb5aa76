"""The gRPC end of ingest: DecisionLog.Publish and .Cover, acknowledged only after the commit, or once Redis has them.

In: batches of protobuf records. Out: how many were stored, unchanged, rejected; the rows that became final go to
`telemetry.Metrics`. A record that can never be stored is rejected with its reason and never holds up its batch; a
failure of the store becomes a gRPC error status, so that the sidecar keeps the batch and sends it again.
The event loop keeps answering the API meanwhile: batches are read and stored in threads, whose rows the books put into
common transactions (ingest/commit.py). One thread reads at a time, so that the one that commits gets its share of the
interpreter. With a Redis, batches go into its stream instead (buffer), and workers write them (worker).
Bounds: MOST_IN_HAND batches (of 2 MiB, as sidecars send them); more are refused, and stay in their sidecars' spools.
Never: an acknowledgement before the commit, or before Redis's; a batch dropped in silence.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Never

import grpc
from douane.v1 import control_pb2 as pb
from douane.v1 import coverage_pb2 as coverage_pb
from douane.v1.control_pb2_grpc import DecisionLogServicer, add_DecisionLogServicer_to_server
from redis.exceptions import OutOfMemoryError, RedisError
from sqlalchemy.exc import OperationalError

from analytics.ingest.auth import Guard, of_sender, sender
from analytics.ingest.buffer import Buffer, NotKept
from analytics.ingest.coverage import decode_coverage
from analytics.ingest.decode import RecordError
from analytics.ingest.stream import StreamFull
from analytics.ingest.writing import Store, decoded, write
from analytics.telemetry import Metrics
from analytics.types import CoverageRows

# The contract says 4 MiB a batch; a sidecar that oversteps it must not be stuck for ever with a batch we refuse.
MAX_MESSAGE_BYTES = 32 << 20
# What one transaction takes, and as much again that gathers meanwhile.
MOST_IN_HAND = 32
# Reading a batch is this program's own work, waiting for Redis is not: two threads keep one core busy.
BUFFER_THREADS = 2

Cover = Callable[[CoverageRows], int]
_LOG = logging.getLogger("analytics.ingest")


class DecisionLog(DecisionLogServicer):
    """The servicer. `store` and `cover` store a batch, or a report, in one transaction; `buffer` takes batches instead."""

    def __init__(
        self,
        store: Store,
        cover: Cover,
        metrics: Metrics,
        writer: ThreadPoolExecutor,
        buffer: Buffer | None = None,
    ) -> None:
        self._store = store
        self._cover = cover
        self._metrics = metrics
        self._writer = writer
        self._publish = self.publish if buffer is None else buffer.publish
        threads = MOST_IN_HAND if buffer is None else BUFFER_THREADS
        self._publishers = ThreadPoolExecutor(threads, thread_name_prefix="publish")
        self._reading, self._counting = Lock(), Lock()
        self._in_hand = 0

    async def Publish(  # noqa: N802 - the contract's name
        self, request: pb.PublishRequest, context: grpc.aio.ServicerContext
    ) -> pb.PublishResponse:
        """Answer with what became of each record of a batch, after the commit.

        Raises: a gRPC abort, UNAVAILABLE when database or Redis cannot be reached, RESOURCE_EXHAUSTED when there is too
        much in hand or in the stream, INTERNAL otherwise.
        """
        if self._in_hand >= MOST_IN_HAND:
            self._metrics.failed_batches.labels("resource_exhausted").inc()
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many batches in hand: send it again later")
        self._in_hand += 1
        loop = asyncio.get_running_loop()
        try:
            mine, others = of_sender(request, sender())
            answer = await loop.run_in_executor(self._publishers, self._publish, mine)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is, the sidecar keeps the batch
            return await self._refuse(error, context)
        finally:
            self._in_hand -= 1
        if others:
            _LOG.warning("ingest.rejected", extra={"records": len(others), "reason": others[0].reason})
            self._metrics.records.labels("rejected").inc(len(others))
            answer.rejected.extend(others)
        return answer

    async def Cover(  # noqa: N802 - the contract's name
        self, request: coverage_pb.CoverageReport, context: grpc.aio.ServicerContext
    ) -> coverage_pb.CoverageReceipt:
        """Answer with what became of a report's rows, after the commit.

        Raises: a gRPC abort: INVALID_ARGUMENT for a report that names no source, else as Publish does.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._writer, self.cover, request)
        except RecordError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise AssertionError("abort raises") from error
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is, the sidecar sends it again
            return await self._refuse(error, context)

    async def _refuse(self, reason: Exception, context: grpc.aio.ServicerContext) -> Never:
        code = _code(reason)
        self._metrics.failed_batches.labels(code.name.lower()).inc()
        _LOG.error("ingest.failed", extra={"code": code.name, "error": type(reason).__name__}, exc_info=reason)
        await context.abort(code, f"the batch was not stored: {type(reason).__name__}")
        raise AssertionError("abort raises")

    def cover(self, request: coverage_pb.CoverageReport) -> coverage_pb.CoverageReceipt:
        """Store one report and return the answer to it. Runs in the writer's thread."""
        rows = decode_coverage(request)
        changed = self._cover(rows)
        if rows.rejected:
            _LOG.warning("ingest.coverage_rejected", extra={"rows": rows.rejected, "source": rows.source})
        whole = len(rows.hosts) + len(rows.sights)
        return coverage_pb.CoverageReceipt(stored=changed, unchanged=whole - changed, rejected=rows.rejected)

    def publish(self, request: pb.PublishRequest) -> pb.PublishResponse:
        """Store one batch and return the answer to it. Runs in a thread of its own."""
        began = time.perf_counter()
        with self._reading:
            batch = decoded(request)
        result, refused = write(self._store, batch.rows)
        rejected = [*batch.rejected, *(pb.Rejected(decision_id=row.decision_id, reason=why) for row, why in refused)]
        with self._counting:
            self._metrics.observe_batch(len(request.records), result, len(rejected), time.perf_counter() - began)
        if rejected:
            _LOG.warning("ingest.rejected", extra={"records": len(rejected), "reason": rejected[0].reason})
        return pb.PublishResponse(stored=result.stored, unchanged=result.unchanged, rejected=rejected)


def _code(reason: Exception) -> grpc.StatusCode:
    if isinstance(reason, StreamFull | OutOfMemoryError):
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    if isinstance(reason, OperationalError | RedisError | NotKept):
        return grpc.StatusCode.UNAVAILABLE
    return grpc.StatusCode.INTERNAL


def build(servicer: DecisionLog, guard: Guard) -> grpc.aio.Server:
    """Return a gRPC server with the servicer behind the guard, bound to nothing yet. A taken port is an error, never shared."""
    server = grpc.aio.server(
        interceptors=(guard,),
        options=(
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ),
    )
    add_DecisionLogServicer_to_server(servicer, server)  # type: ignore[no-untyped-call] # generated code has no types
    return server
