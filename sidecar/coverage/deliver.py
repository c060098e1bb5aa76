"""The tally's rows to analytics, until it has acknowledged each.

In: a Tally's batches, a function that sends a report. Out: nothing; what analytics has committed is remembered in the tally.
While analytics is away the tally keeps adding up: the next report holds the sums as they are then. Nothing is lost, little is sent.
Never: waits for analytics anywhere but here; sends a row twice as if it were two (rows carry revisions).
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import grpc
from douane.v1 import coverage_pb2 as pb

from sidecar.coverage.tally import Batch, CountHour, HostHour
from sidecar.uplink import failure

BATCH_ROWS = 1_000  # of each kind: about 200 KB; analytics takes 2,000
_TIMEOUT_S = 10.0

Send = Callable[[pb.CoverageReport], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Source:
    """Whose tally this is: where its sidecar runs."""

    pod: str
    namespace: str
    service_account: str
    machine: str


def report(tally_id: str, source: Source, batch: Batch) -> pb.CoverageReport:
    """Return a batch as the contract's report."""
    return pb.CoverageReport(
        source=tally_id,
        workload=pb.Workload(**asdict(source)),
        pass_through=[_host(row) for row in batch.hosts],
        sights=[_sight(row) for row in batch.counts],
    )


def _host(row: HostHour) -> pb.PassThrough:
    return pb.PassThrough(
        hour_unix_s=row.hour,
        door=row.door,
        host=row.host,
        llm=row.llm,
        listed=row.listed,
        connections=row.connections,
        failed=row.failed,
        bytes_out=row.bytes_out,
        bytes_in=row.bytes_in,
        last_client=row.client,
        last_unix_us=row.last_us,
        revision=row.revision,
    )


def _sight(row: CountHour) -> pb.Sight:
    return pb.Sight(hour_unix_s=row.hour, door=row.door, kind=row.kind, count=row.count, revision=row.revision)


def sender(channel: grpc.aio.Channel) -> Send:
    """Return what sends one report and returns when analytics has committed it.

    Raises: ConnectionError from the returned function.
    """
    call = channel.unary_unary(
        "/douane.v1.DecisionLog/Cover",
        request_serializer=pb.CoverageReport.SerializeToString,
        response_deserializer=pb.CoverageReceipt.FromString,
    )

    async def send(one: pb.CoverageReport) -> None:
        try:
            await call(one, timeout=_TIMEOUT_S, wait_for_ready=False)
        except grpc.aio.AioRpcError as error:
            raise failure(error) from None

    return send
