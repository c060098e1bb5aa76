"""Run the benchmark: everything in one run, a, b, c in turn, rounds over all cells.

In: arguments. Out: tables on standard output, progress on standard error, build/bench.json.
Ctrl-C stops everything that was started and leaves no folder behind.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import records, report, streams, sums, wrk
from tests.bench.bodies import KIB, pool
from tests.bench.contenders import Contender, contenders
from tests.bench.processes import Children, python
from tests.support.ports import free_ports

_PARTS = ("latency", "streams", "record")
_CELLS = [wrk.Cell(size, connections) for size in (1, 10, 100) for connections in (1, 16, 64)]
# How many different bodies: enough that automata which remember what they have read do not learn them by heart.
_POOL = {1: 4000, 10: 800, 100: 120}
_BUSY = 0.35  # load average per core before the run
_EPILOG = """(a) Envoy alone, (b) Envoy + null Python processor, (c) Douane enforcing, with analytics storing its records.
The default takes about seven minutes, --quick one and a half.
wrk is closed-loop: latency with many connections is mostly queueing."""


@dataclass
class Results:
    """What was measured so far."""

    latency: list[wrk.Sample] = field(default_factory=list)
    streaming: list[streams.StreamSample] = field(default_factory=list)
    record: records.RecordCosts | None = None


class Bench:
    """One run. Serial numbers go up through the whole of it, so that no text is sent twice."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.results = Results()
        self._serial = int(time.time()) % 10**7 * 10

    def run(self) -> Results:
        """Measure what was asked for."""
        if {"latency", "streams"} & set(self.options.only):
            self._served()
        if "record" in self.options.only:
            _say("records, in process …")
            self.results.record = records.measure(self.folder, 3 if self.options.quick else 20)
        return self.results

    def _served(self) -> None:
        port = free_ports(1)[0]
        with Children(self.folder) as children:
            command = python("tests.bench.upstream", "--port", str(port), "--chunks", str(self.options.chunks))
            command += ("--gap-ms", str(self.options.gap_ms))
            children.start("upstream", command, lambda: _open(port))
            with contenders(self.folder, f"http://127.0.0.1:{port}", self.options.workers, _say) as found:
                self._measure(found)

    def _measure(self, found: list[Contender]) -> None:
        files = self._bodies()
        _say("warming up …")
        for contender in found:
            for size in (1, 100):
                self._load(contender, wrk.Cell(size, 8), files, 1, -1)
        for number in range(self.options.rounds):
            if "latency" in self.options.only:
                self._latency_round(found, files, number)
            if "streams" in self.options.only:
                for contender in _turned(found, number):
                    _say(f"round {number + 1}: streams, ({contender.name})")
                    self.results.streaming.append(self._streams(contender, number))

    def _latency_round(self, found: list[Contender], files: dict[int, Path], number: int) -> None:
        for cell in _CELLS:
            samples = [self._load(c, cell, files, self.options.seconds, number) for c in _turned(found, number)]
            self.results.latency += samples
            rates = ", ".join(f"{s.contender} {s.rps:,.0f}/s" for s in sorted(samples, key=lambda s: s.contender))
            _say(f"round {number + 1}: {cell.size_kb} KB, {cell.connections} connections: {rates}")

    def _load(self, on: Contender, cell: wrk.Cell, files: dict[int, Path], seconds: int, number: int) -> wrk.Sample:
        sample = wrk.run(on, cell, files[cell.size_kb], self._serial, seconds, number)
        self._serial += sample.requests + 1000
        return sample

    def _streams(self, contender: Contender, number: int) -> streams.StreamSample:
        self._serial += 1000
        return streams.run(contender, self.options.streams, self.options.chunks, self._serial, number)

    def _bodies(self) -> dict[int, Path]:
        files = {}
        for size, count in _POOL.items():
            files[size] = self.folder / f"bodies-{size}.txt"
            files[size].write_bytes(b"\n".join(pool(size * KIB, count)) + b"\n")
        return files


def _turned(found: Sequence[Contender], number: int) -> list[Contender]:
    """Return the contenders beginning with another one each round, so that none always follows the same."""
    first = number % len(found)
    return [*found[first:], *found[:first]]


def _open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _facts(options: argparse.Namespace) -> dict[str, Any]:
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    git = subprocess.run(("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": cores,
        "cpu": models[0].partition(": ")[2] if models else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": git.stdout.strip() or "unknown",
        "workers": options.workers,
        "load_before": load,
        "busy": load > _BUSY * cores,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure what Douane costs beside Envoy alone and beside a null processor.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one round of one second a cell: a first look")
    parser.add_argument("--seconds", type=int, help="seconds of load per cell and contender (3; quick: 1)")
    parser.add_argument("--rounds", type=int, help="times that everything is repeated (3; quick: 1)")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=_PARTS, help="parts to run (all)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processors and Envoy threads (cores)")
    parser.add_argument("--streams", type=int, default=50, help="streams at once (50)")
    parser.add_argument("--chunks", type=int, default=100, help="chunks per stream (100)")
    parser.add_argument("--gap-ms", type=float, default=20, help="milliseconds between chunks (20)")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"), help="JSON file (build/bench.json)")
    return parser


def _print(results: Results, found: Sequence[sums.Target], facts: dict[str, Any]) -> None:
    parts = [report.machine_lines(facts)]
    if results.latency:
        parts.append(report.latency_tables(results.latency))
    if results.streaming:
        parts.append(report.stream_table(results.streaming))
    if results.record is not None:
        parts.append(report.record_table(results.record))
    if found:
        parts.append(report.target_lines(found))
    print("\n\n\n".join(parts))


def _write(path: Path, results: Results, found: Sequence[sums.Target], facts: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{**asdict(target), "met": target.met} for target in found]
    path.write_text(json.dumps({"facts": facts, "targets": lines, **asdict(results)}, indent=1))
    _say(f"wrote {path}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run and return an exit status: 0 measured (targets met or not), 1 something failed, 130 interrupted."""
    options = _parser().parse_args()
    options.seconds = options.seconds or (1 if options.quick else 3)
    options.rounds = options.rounds or (1 if options.quick else 3)
    if "latency" in options.only and shutil.which("wrk") is None:
        print("bench: wrk is not installed: apt-get install wrk", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    facts = _facts(options)
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="douane-bench-") as folder:
            results = Bench(options, Path(folder)).run()
    except KeyboardInterrupt:
        _say("interrupted; everything is stopped")
        return 130
    except (RuntimeError, OSError, AssertionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    facts["took_s"] = round(time.monotonic() - begun, 1)
    found = sums.targets(results.latency)
    _print(results, found, facts)
    _write(options.output, results, found, facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
