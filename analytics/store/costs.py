"""What was spent, read from rollups: as a whole, by one dimension, by day.

In: a Slice. Out: totals of what costs are told by. Money is in billionths of a US dollar and of priced exchanges only.
Never: a price; a sum that holds an unknown cost as 0 without saying how many were unknown.
"""

from collections import defaultdict

from sqlalchemy import Connection

from analytics.store import cubes, usage
from analytics.store.cubes import Slice
from analytics.types import DAY_S, Totals

SPENT = (
    *("requests", "outcome_denied", "outcome_failed", "priced", "cost_nanousd"),
    *("prompt_tokens", "completion_tokens", "total_tokens"),
)


def whole(connection: Connection, asked: Slice) -> Totals:
    """Return the sums of everything in a slice."""
    return cubes.sums(connection, asked, (), SPENT).get((), Totals())


def by_day(connection: Connection, asked: Slice) -> tuple[tuple[int, Totals], ...]:
    """Return (start of the UTC day, totals) of each day the window touches, in order; its hours outside of it left out."""
    days: dict[int, list[int]] = defaultdict(lambda: [0] * len(SPENT))
    for start, one in usage.counted(connection, asked, SPENT).items():
        day = days[start - start % DAY_S]
        for place, name in enumerate(SPENT):
            day[place] += getattr(one, name)
    window = asked.window
    first = window.start_unix_s - window.start_unix_s % DAY_S
    return tuple((start, cubes.totals(SPENT, days[start])) for start in range(first, window.end_unix_s, DAY_S))
