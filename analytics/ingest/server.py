"""The gRPC end of ingest: DecisionLog.Publish and .Cover, acknowledged only after the commit.

In: batches of protobuf records. Out: how many were stored, unchanged, rejected; the rows that became final go to
`telemetry.Metrics`. A record that can never be stored is rejected with its reason and never holds up its batch; a
failure of the store becomes a gRPC error status, so that the sidecar keeps the batch and sends it again.
One thread writes: the event loop keeps answering the API meanwhile, and transactions do not meet.
Never: an acknowledgement before the commit; a batch dropped in silence.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Never

import grpc
from douane.v1 import control_pb2 as pb
from douane.v1 import coverage_pb2 as coverage_pb
from douane.v1.control_pb2_grpc import DecisionLogServicer, add_DecisionLogServicer_to_server
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, SQLAlchemyError

from analytics.ingest.coverage import decode_coverage
from analytics.ingest.decode import RecordError, decode
from analytics.telemetry import Metrics
from analytics.types import CoverageRows, DecisionRow, Stored

# The contract says 4 MiB a batch; a sidecar that oversteps it must not be stuck for ever with a batch we refuse.
MAX_MESSAGE_BYTES = 32 << 20
REJECTED_ID_CHARS = 64

Store = Callable[[Sequence[DecisionRow]], Stored]
Cover = Callable[[CoverageRows], int]
_LOG = logging.getLogger("analytics.ingest")


class DecisionLog(DecisionLogServicer):
    """The servicer. `store` and `cover` store a batch, or a report, in one transaction of its own."""

    def __init__(self, store: Store, cover: Cover, metrics: Metrics, writer: ThreadPoolExecutor) -> None:
        self._store = store
        self._cover = cover
        self._metrics = metrics
        self._writer = writer

    async def Publish(  # noqa: N802 - the contract's name
        self, request: pb.PublishRequest, context: grpc.aio.ServicerContext
    ) -> pb.PublishResponse:
        """Answer with what became of each record of a batch, after the commit.

        Raises: a gRPC abort, UNAVAILABLE when the database cannot be reached or is locked, INTERNAL otherwise.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._writer, self.publish, request)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is, the sidecar keeps the batch
            return await self._refuse(error, context)

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
        away = isinstance(reason, OperationalError)
        code = grpc.StatusCode.UNAVAILABLE if away else grpc.StatusCode.INTERNAL
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
        """Store one batch and return the answer to it. Runs in the writer's thread."""
        began = time.perf_counter()
        rows, rejected = _decoded(request)
        try:
            result = self._store(rows)
        except (DataError, IntegrityError, UnicodeError, OverflowError):
            result, refused = self._one_by_one(rows)
            rejected += refused
        self._metrics.observe_batch(len(request.records), result, len(rejected), time.perf_counter() - began)
        if rejected:
            _LOG.warning("ingest.rejected", extra={"records": len(rejected), "reason": rejected[0].reason})
        return pb.PublishResponse(stored=result.stored, unchanged=result.unchanged, rejected=rejected)

    def _one_by_one(self, rows: Sequence[DecisionRow]) -> tuple[Stored, list[pb.Rejected]]:
        """Store each row alone, so that what the database refuses is refused alone."""
        results: list[Stored] = []
        rejected: list[pb.Rejected] = []
        for row in rows:
            try:
                results.append(self._store([row]))
            except (DataError, IntegrityError, UnicodeError, OverflowError) as error:
                rejected.append(
                    pb.Rejected(decision_id=row.decision_id, reason=f"the database refused it: {_kind(error)}")
                )
        changes = tuple(change for result in results for change in result.changes)
        counted = tuple(row for result in results for row in result.counted)
        stored, unchanged = sum(one.stored for one in results), sum(one.unchanged for one in results)
        return Stored(stored, unchanged, counted, changes), rejected


def _kind(error: Exception) -> str:
    return (
        type(error.orig).__name__
        if isinstance(error, SQLAlchemyError) and hasattr(error, "orig")
        else type(error).__name__
    )


def _decoded(request: pb.PublishRequest) -> tuple[list[DecisionRow], list[pb.Rejected]]:
    rows: list[DecisionRow] = []
    rejected: list[pb.Rejected] = []
    for record in request.records:
        try:
            rows.append(decode(record))
        except RecordError as error:
            rejected.append(pb.Rejected(decision_id=record.decision_id[:REJECTED_ID_CHARS], reason=str(error)))
    return rows, rejected


def build(servicer: DecisionLog) -> grpc.aio.Server:
    """Return a gRPC server with the servicer, bound to nothing yet. A taken port is an error, never shared."""
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        )
    )
    add_DecisionLogServicer_to_server(servicer, server)  # type: ignore[no-untyped-call] # generated code has no types
    return server
