"""Throughput and latency with wrk.

In: a Contender, connections, a file of bodies. Out: one Sample.
wrk is closed-loop: each connection sends its next request when it has the last answer, so a slow server is asked less often and its
latency at full throughput is queueing as much as work. wrk corrects its percentiles for what it left out (its stats_correct). The
latency with one connection is the plain cost of one call.
"""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import PATH, Contender

_SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True)
class Sample:
    """One run of wrk. rps counts requests that were answered well; failed is the share of those that were not.

    cpu_us is CPU time per request by role, delivery of the records included; settle_s is how long that went on after the load.
    """

    contender: str
    size_kb: int
    connections: int
    round: int
    requests: int
    failed: float
    rps: float
    p50_us: float
    p90_us: float
    p99_us: float
    cpu_us: dict[str, float]
    settle_s: float


@dataclass(frozen=True)
class Cell:
    """One combination that is measured."""

    size_kb: int
    connections: int


def run(contender: Contender, cell: Cell, bodies: Path, serial: int, seconds: int, number: int = 0) -> Sample:
    """Load a contender, wait until it has settled, and return what was seen.

    Raises: RuntimeError when wrk fails, or nothing was answered.
    """
    before = contender.cpu_s()
    seen = _wrk(contender.port, cell.connections, bodies, serial, seconds)
    ended = time.monotonic()
    contender.settle()
    settle_s = time.monotonic() - ended
    after = contender.cpu_s()
    requests, failed = seen["requests"], seen["failed"]
    if not requests or (
        failed >= requests and contender.name != "c"
    ):  # c may refuse when it is overrun: that is a result
        raise RuntimeError(f"({contender.name}) {cell}: {failed} of {requests} requests failed")
    return Sample(
        contender=contender.name,
        size_kb=cell.size_kb,
        connections=cell.connections,
        round=number,
        requests=requests,
        failed=failed / requests,
        rps=max(0, requests - failed) / seen["duration_us"] * 1e6,
        p50_us=seen["p50_us"],
        p90_us=seen["p90_us"],
        p99_us=seen["p99_us"],
        cpu_us={role: (after[role] - before[role]) / requests * 1e6 for role in before},
        settle_s=settle_s,
    )


def _wrk(port: int, connections: int, bodies: Path, serial: int, seconds: int) -> dict[str, int]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_SCRIPT)]
    command += [f"http://127.0.0.1:{port}{PATH}", "--", str(bodies), str(serial)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith('{"requests"')), None)
    if done.returncode or line is None:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    found: dict[str, int] = json.loads(line)
    return found
