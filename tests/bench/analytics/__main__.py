"""Run the benchmark of analytics: what ingest takes in, and how fast the API answers over many records.

In: arguments. Out: tables on standard output, build/bench-analytics.json.
"""

import argparse
import importlib.util
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.bench.analytics import ingest, servers
from tests.bench.analytics.traffic import Traffic, batches
from tests.bench.report import table

RESULT = Path("build/bench-analytics.json")
TARGETS = {"postgresql": 10_000, "sqlite": 5_000}
_PARTS = ("ingest", "queries")


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="make bench-analytics", description=__doc__)
    parser.add_argument("--part", choices=_PARTS, help="only this part")
    parser.add_argument("--records", type=int, default=200_000, help="records sent to ingest (200,000)")
    parser.add_argument("--users", type=int, default=2_000, help="their users (2,000)")
    parser.add_argument("--engine", choices=tuple(TARGETS), help="ingest into this engine only")
    options, rest = parser.parse_known_args()
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if options.part != "queries":
        result["ingest"] = _ingest(options)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1))
    if options.part != "ingest" and importlib.util.find_spec("tests.bench.analytics.queries"):
        importlib.import_module("tests.bench.analytics.queries").main(rest)


def _ingest(options: argparse.Namespace) -> list[dict[str, object]]:
    sent = list(batches(Traffic(options.records, options.users)))
    found = []
    with tempfile.TemporaryDirectory(prefix="douane-bench-") as name:
        folder = Path(name)
        if options.engine != "postgresql":
            found.append(ingest.measure(f"sqlite:///{folder / 'bench.db'}", sent, None, folder))
        if options.engine != "sqlite":
            with servers.postgres(folder) as server:
                found.append(ingest.measure(server.url, sent, server, folder))
    columns = (
        "ingest",
        "records/s",
        "target",
        "bare/s",
        "ratio",
        "CPU us",
        "DB CPU us",
        "idle MiB",
        "peak MiB",
        "rollups/rec",
    )
    rows = [
        [
            *(one.engine, one.per_second, TARGETS[one.engine], one.bare_per_second, one.ratio),
            *(one.service_cpu_us, one.database_cpu_us, one.idle_mib, one.peak_mib, one.rollups_per_record),
        ]
        for one in found
    ]
    print(table(columns, rows))
    return [asdict(one) for one in found]


if __name__ == "__main__":
    main()
