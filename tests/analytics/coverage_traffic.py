"""Coverage reports as sidecars send them, for tests."""

from typing import Any

from douane.v1 import coverage_pb2 as pb

from tests.analytics.traffic import BEGAN_UNIX_US

HOUR = BEGAN_UNIX_US // 3_600_000_000 * 3_600
SOURCE = "5" * 32
WORKLOAD = {"pod": "shop-1", "namespace": "shop", "service_account": "buyer", "machine": "node-1"}


def host(name: str = "api.openai.com", **fields: Any) -> pb.PassThrough:
    """Return one host of one hour: an LLM host reached three times of four."""
    values: dict[str, Any] = {
        "hour_unix_s": HOUR,
        "door": "proxy",
        "host": name,
        "llm": "openai" if "openai" in name else "",
        "listed": name == "api.openai.com",
        "connections": 4,
        "failed": 1,
        "bytes_out": 100,
        "bytes_in": 2_000,
        "last_client": "10.0.0.7",
        "last_unix_us": BEGAN_UNIX_US,
        "revision": 1,
    }
    return pb.PassThrough(**(values | fields))


def sight(kind: str = "failure_mode_allowed", **fields: Any) -> pb.Sight:
    """Return one counter of one hour."""
    values: dict[str, Any] = {"hour_unix_s": HOUR, "door": "gateway", "kind": kind, "count": 2, "revision": 1}
    return pb.Sight(**(values | fields))


def report(*rows: Any, source: str = SOURCE, **workload: str) -> pb.CoverageReport:
    """Return a report of hosts and sights."""
    return pb.CoverageReport(
        source=source,
        workload=pb.Workload(**(WORKLOAD | workload)),
        pass_through=[row for row in rows if isinstance(row, pb.PassThrough)],
        sights=[row for row in rows if isinstance(row, pb.Sight)],
    )
