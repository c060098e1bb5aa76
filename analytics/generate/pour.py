"""From generated traffic into a database or a file, with progress, until all of it is there or somebody stops it.

In: Traffic, a sink that takes lists of rows, a clock. Out: how many records the sink took; lines of progress.
Each list is taken whole or not at all (a database's sink commits it), and a request to stop is looked at between two of
them: what is there is consistent whenever it ends.
Bounds: a list has at least BATCH rows, the last one excepted: large ones touch each rollup once instead of often.
Never: a signal, standard error; command.py has them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from analytics.terminal import written
from analytics.types import DecisionRow

BATCH = 30_000
_EVERY_S = 2.0

Sink = Callable[[Sequence[DecisionRow]], object]


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told, who may stop it, and what time it is (seconds, of any origin)."""

    tell: Callable[[str], None]
    stopped: Callable[[], bool]
    clock: Callable[[], float]


def pour(traffic: Iterable[list[DecisionRow]], records: int, sink: Sink, watch: Watch) -> int:
    """Put the rows into the sink; return how many it took. records is how many are to be expected."""
    began, told, done = watch.clock(), watch.clock(), 0
    for rows in batched(traffic, BATCH):
        sink(rows)
        done += len(rows)
        if (now := watch.clock()) - told >= _EVERY_S or done == records:
            told = now
            watch.tell(_progress(done, records, now - began, rows[-1].started_unix_us))
        if (
            watch.stopped()
        ):  # here nothing was drawn that the sink did not take: the traffic's truth is of what is there
            break
    return done


def batched(traffic: Iterable[list[DecisionRow]], least: int) -> Iterator[list[DecisionRow]]:
    """Yield the rows in lists of at least so many, the last one excepted."""
    held: list[DecisionRow] = []
    for rows in traffic:
        held += rows
        if len(held) >= least:
            yield held
            held = []
    if held:
        yield held


def _progress(done: int, records: int, seconds: float, until_unix_us: int) -> str:
    rate = f", {done / seconds:,.0f} a second" if seconds > 0 else ""
    return f"{done:,} of {records:,} records ({done * 100 // records} %){rate}, until {written(until_unix_us)}"
