"""How long it took, read from rollups: sums and latency sketches, as a whole and by one dimension.

In: a Slice. Out: totals with their latency sketches. Never: a read of records.
"""

from dataclasses import replace

from sqlalchemy import Connection

from analytics.store import cubes, ranks
from analytics.store.cubes import Slice
from analytics.types import Totals

TIMED = ("requests", "latency_count", "latency_us_sum", "verdict_us_sum", "first_byte_count", "first_byte_us_sum")


def whole(connection: Connection, asked: Slice) -> Totals:
    """Return the sums of everything in a slice, with its latency sketch."""
    totals = cubes.sums(connection, asked, (), TIMED).get((), Totals())
    return replace(totals, latency=cubes.sketches(connection, asked).get((), {}))


def by(connection: Connection, asked: Slice, name: str, limit: int) -> list[tuple[str, Totals]]:
    """Return (value, totals with latency sketch) by one dimension, most requests first."""
    pairs = ranks.top(connection, asked, ranks.By((name,), "requests", limit, counters=TIMED))
    sketches = cubes.sketches(connection, asked, (name,))
    return [(key[0], replace(totals, latency=sketches.get(key, {}))) for key, totals in pairs]
