"""`douane-analytics rollups rebuild` and `retention`: looking after the store from the command line.

In: parsed options, settings, an open engine. Out: lines on standard output, an exit code. Never: a question to the person.
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

from sqlalchemy import Engine

from analytics.store import partitions, recount, retention
from analytics.store.retention import Limits
from analytics.types import DAY_S

Tell = Callable[[str], None]


def add_rollups_options(parser: argparse.ArgumentParser) -> None:
    """Add what `rollups` takes."""
    parser.add_argument("action", choices=("rebuild",), help="count the sums again from the records")
    parser.add_argument("--since", type=_day, required=True, metavar="DATE", help="first day, as 2026-11-18 (UTC)")


def _day(text: str) -> int:
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-18") from error


def rebuild(engine: Engine, limits: Limits, first: int, now_unix_s: float, tell: Tell) -> int:
    """Count every day since `first` again, with a line a day."""
    oldest = partitions.today(now_unix_s) - limits.retention_days
    if first < oldest:
        tell(f"{partitions.named(first)} is before what is kept: beginning with {partitions.named(oldest)}")
    began = time.monotonic()
    days = recount.since(
        engine, first, oldest, lambda one: tell(f"{partitions.named(one.day)}  {one.exchanges:,} exchanges")
    )
    whole = sum(one.exchanges for one in days)
    tell(f"{whole:,} exchanges of {len(days):,} days counted again in {time.monotonic() - began:,.1f} s")
    return 0


def retain(engine: Engine, limits: Limits, now_unix_s: float, tell: Tell) -> int:
    """Take away what is too old, now."""
    keep = retention.keep_of(limits)
    removed = retention.tend(engine, keep, now_unix_s)
    before = datetime.fromtimestamp(now_unix_s - keep.records * DAY_S, UTC).date()
    tell(f"records before {before}: {removed.days:,} days dropped, {removed.records:,} records deleted")
    tell(f"sums: {removed.sums:,} deleted")
    return 0
