"""`douane-analytics export`: decisions into a file, without the service.

In: options of the command line. Out: an exit code, progress on standard error. The file appears under its name when it is
whole; until then, and if it is stopped, there is FILE.part at most, which Ctrl-C removes.
Never: another query or another format than GET /api/export has.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Engine

from analytics.formats import FORMATS
from analytics.store import export
from analytics.store.search import Filter
from analytics.terminal import STOPPED, moment, tell, written
from analytics.types import ACTIONS, DAY_S, LEVELS, OUTCOMES, DecisionRow

_EVERY_S = 2.0
_EQUAL = {"action": "applied", "outcome": "outcome", "level": "level", "user": "user", "model": "model"} | {
    "endpoint": "endpoint"
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--format", choices=tuple(FORMATS), required=True, help="of the file")
    parser.add_argument("--out", required=True, metavar="FILE", help="where to; - for standard output")
    parser.add_argument("--days", type=int, metavar="D", help="the last so many days")
    parser.add_argument("--from", dest="from_", type=moment, metavar="TIME", help="first moment, RFC 3339")
    parser.add_argument("--to", type=moment, metavar="TIME", help="first moment no longer asked for")
    parser.add_argument("--tenant", help="of one tenant only")
    parser.add_argument("--action", choices=ACTIONS, help="what was done")
    parser.add_argument("--outcome", choices=OUTCOMES, help="how it ended")
    parser.add_argument("--level", choices=LEVELS, help="of risk")
    parser.add_argument("--min-score", type=float, metavar="SCORE", help="of risk, at least")
    parser.add_argument("--threat-type", metavar="TYPE", help="that was found")
    for name in ("user", "model", "endpoint"):
        parser.add_argument(f"--{name}", help=f"of one {name} only")


def narrowed(options: dict[str, Any], now_unix_s: float) -> Filter:
    """Return what the options ask for. Raises: ValueError."""
    first, last = options["from_"], options["to"]
    if options["days"] is not None:
        if first is not None or last is not None:
            raise ValueError("give either --days, or --from and --to")
        if options["days"] < 1:
            raise ValueError("--days must be at least 1")
        first = datetime.fromtimestamp(now_unix_s - options["days"] * DAY_S, UTC)
    return Filter(
        equal={column: options[name] for name, column in _EQUAL.items() if options[name] is not None},
        tenant=options["tenant"],
        min_score=options["min_score"],
        threat_type=options["threat_type"],
        from_unix_us=None if first is None else round(first.timestamp() * 1e6),
        to_unix_us=None if last is None else round(last.timestamp() * 1e6),
    )


def run(engine: Engine, options: dict[str, Any], asked: Filter) -> int:
    """Write the file; return the exit code."""
    try:
        batches = _told(export.batches(engine, asked))
        with _target(options["out"]) as file:
            for piece in FORMATS[options["format"]].encode(batches):
                file.write(piece)
    except KeyboardInterrupt:
        tell("stopped: no file was written")
        return STOPPED
    return 0


@contextmanager
def _target(out: str) -> Iterator[BinaryIO]:
    """Yield the file to write to; it gets its name when all went well, and is gone when not."""
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = Path(f"{out}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _told(batches: Iterable[list[DecisionRow]]) -> Iterator[Sequence[DecisionRow]]:
    """Yield the batches and say how far it is, now and then."""
    began = told = time.monotonic()
    done = 0
    for rows in batches:
        yield rows
        done += len(rows)
        if (now := time.monotonic()) - told >= _EVERY_S:
            told = now
            tell(f"{done:,} records, {done / (now - began):,.0f} a second, until {written(rows[-1].started_unix_us)}")
    tell(f"{done:,} records")
