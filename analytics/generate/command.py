"""`douane-analytics generate`: realistic traffic into a database or a file of JSON lines.

In: options of the command line. Out: an exit code (0; 130 when it was stopped), progress on standard error, and the truth as
JSON where --truth says. The first Ctrl-C (or SIGTERM) ends it after the batch in hand, a second one at once.
Never: made-up records among real ones: a database that holds records is refused, unless --add says that it is meant.
"""

import argparse
import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from analytics import formats
from analytics.generate.plan import Plan
from analytics.generate.pour import Sink, Watch, pour
from analytics.generate.traffic import generate
from analytics.ingest.commit import Books
from analytics.store import partitions, records
from analytics.terminal import STOPPED, moment, tell
from analytics.types import DAY_S


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--records", type=int, required=True, metavar="N", help="how many records")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="the same seed and time give the same bytes (0)"
    )
    parser.add_argument("--days", type=int, default=30, metavar="D", help="over how many days (30)")
    parser.add_argument("--until", type=moment, metavar="TIME", help="when they end, RFC 3339 (now)")
    parser.add_argument("--tenants", type=int, default=3, metavar="T", help="over how many tenants (3)")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--into", metavar="DATABASE", help="a database URL, or the file of a SQLite database")
    target.add_argument("--out", type=Path, metavar="FILE", help="a file of JSON lines, as export writes them")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="write who is what and what happened when, as JSON")
    parser.add_argument("--add", action="store_true", help="add to the records that the database holds")


def database_url(options: dict[str, Any]) -> str | None:
    """Return the URL of the database that --into names, None when it goes to a file."""
    into = options["into"]
    return into if into is None or "://" in into else f"sqlite:///{Path(into).absolute()}"


def plan(options: dict[str, Any], now_unix_s: float) -> Plan:
    """Return what the options ask for. Raises: ValueError."""
    until = options["until"]
    return Plan(
        records=options["records"],
        seed=options["seed"],
        days=options["days"],
        until_unix_s=int(now_unix_s if until is None else until.timestamp()),
        tenants=options["tenants"],
    )


def into_database(engine: Engine, asked: Plan, options: dict[str, Any]) -> int:
    """Put the records into a database. Raises: ValueError when it holds some and --add is not given."""
    with engine.connect() as connection:
        held = records.last_started_unix_us(connection) is not None
    if held and not options["add"]:
        raise ValueError("the database holds records already; --add adds generated ones to them")
    partitions.make(engine, range(asked.start_unix_s // DAY_S, asked.end_unix_s // DAY_S + 1))
    return _run(asked, Books(engine).store, options["truth"])


def into_file(asked: Plan, options: dict[str, Any]) -> int:
    """Put the records into a file of JSON lines."""
    with ExitStack() as stack:
        file = stack.enter_context(options["out"].open("wb"))
        return _run(asked, lambda rows: file.write(formats.json_lines(rows)), options["truth"])


def _run(asked: Plan, sink: Sink, truth: Path | None) -> int:
    traffic = generate(asked)
    with _stopping() as stopped, _without_collections():
        done = pour(traffic, asked.records, sink, Watch(tell, stopped, time.monotonic))
    if truth is not None:
        truth.write_bytes(traffic.truth.json())
    if done < asked.records:
        tell(f"stopped: {done:,} of {asked.records:,} records are there, whole; the rest was not written")
        return STOPPED
    return 0


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keep the garbage collector off: rows hold no cycles, and looking through them for some costs a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Yield what says whether a signal asked to stop; the handlers of before come back at the end, and at the first one."""
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, _frame: object) -> None:
        asked.append(number)
        restore()
        tell("stopping after the batch in hand")

    for number in before:
        signal.signal(number, stop)
    try:
        yield lambda: bool(asked)
    finally:
        restore()
