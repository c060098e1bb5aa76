"""How good the answers were, as far as traffic tells: lengths, refusals, finish reasons, retries, satisfaction.

In: a Slice without a user (what every record has is not counted by user: store/cells). Out: totals, by one dimension, over
time; counts of finish reasons; ratings.
Never: a read of records or of texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from analytics.store import cubes, feedback, ranks
from analytics.store.cubes import Slice
from analytics.store.feedback import Satisfaction
from analytics.types import Totals

COUNTED = (
    *("requests", "outcome_answered", "refusals", "retries", "streams", "prompt_chars", "response_chars"),
    *("prompt_tokens", "completion_tokens"),
)


@dataclass(frozen=True, slots=True)
class Quality:
    """The quality of a slice. Shape: finishes come most first."""

    totals: Totals
    finishes: tuple[tuple[str, int], ...]
    satisfaction: Satisfaction


def whole(connection: Connection, asked: Slice) -> Quality:
    """Return the quality of everything in a slice."""
    totals = cubes.sums(connection, asked, (), COUNTED).get((), Totals())
    counted = cubes.labels(connection, asked, "finish")
    finishes = sorted(((name, count) for (name,), count in counted.items()), key=lambda one: (-one[1], one[0]))
    return Quality(totals, tuple(finishes), feedback.satisfaction(connection, asked))


def by(connection: Connection, asked: Slice, name: str, limit: int) -> list[tuple[str, Totals, Satisfaction | None]]:
    """Return (value, totals, ratings) by one dimension, most requests first; None where nobody rated."""
    pairs = ranks.top(connection, asked, ranks.By((name,), "requests", limit, counters=COUNTED))
    rated: Mapping[str, Satisfaction] = feedback.satisfaction_by(connection, asked, name)
    return [(key[0], totals, rated.get(key[0])) for key, totals in pairs]
