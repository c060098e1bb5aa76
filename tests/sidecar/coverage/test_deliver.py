from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from douane.v1 import coverage_pb2 as pb
from douane.v1.control_pb2_grpc import DecisionLogServicer, add_DecisionLogServicer_to_server

from sidecar.coverage.deliver import Source, report, sender
from sidecar.coverage.tally import Batch, CountHour
from tests.sidecar.coverage.test_tally import HOUR, row

SOURCE = Source("pod-1", "shop", "buyer", "node-7")
BATCH = Batch((row(revision=4),), (CountHour(HOUR, "gateway", "streams_failed", 2, 5),), 5)


def test_a_report_says_everything_of_its_rows() -> None:
    found = report("a" * 32, SOURCE, BATCH)
    assert found == pb.CoverageReport(
        source="a" * 32,
        workload=pb.Workload(pod="pod-1", namespace="shop", service_account="buyer", machine="node-7"),
        pass_through=[
            pb.PassThrough(
                hour_unix_s=HOUR,
                door="proxy",
                host="api.openai.com",
                llm="openai",
                listed=True,
                connections=1,
                bytes_out=1517,
                bytes_in=3034,
                last_client="127.0.0.1",
                last_unix_us=row().last_us,
                revision=4,
            )
        ],
        sights=[pb.Sight(hour_unix_s=HOUR, door="gateway", kind="streams_failed", count=2, revision=5)],
    )


class Books(DecisionLogServicer):
    """Analytics as far as Cover goes: takes the first report, refuses the second."""

    def __init__(self) -> None:
        self.reports: list[pb.CoverageReport] = []

    def Cover(self, request: pb.CoverageReport, context: grpc.ServicerContext) -> pb.CoverageReceipt:  # noqa: N802
        if self.reports:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the database is away")
        self.reports.append(request)
        return pb.CoverageReceipt(stored=2)


@pytest.mark.server
async def test_a_report_is_sent_and_a_refusal_raises() -> None:
    books = Books()
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        add_DecisionLogServicer_to_server(books, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            send = sender(channel)
            await send(report("a" * 32, SOURCE, BATCH))
            assert books.reports == [report("a" * 32, SOURCE, BATCH)]
            with pytest.raises(ConnectionError, match="UNAVAILABLE: the database is away"):
                await send(report("a" * 32, SOURCE, BATCH))
        server.stop(None).wait()
