"""How content people were with exchanges: one rating each author and exchange, and its counts per hour and day.

In: a rating, and the decision it is about. Out: what is held; counts by label of a window.
Idempotent: the same author's next rating of the same exchange replaces the last one, and the counts move by the
difference in the same transaction. The counts stand in the bucket of the exchange, not of the rating.
A window of minutes is read in whole hours: nobody rates that fast.
Never: a commit; the caller's transaction (database.writing) decides. Never a change of the record.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import cubes, database
from analytics.store.cubes import Slice
from analytics.store.tables import FEEDBACK, FEEDBACK_ROLLUPS
from analytics.types import DAY_S, HOUR_S, DecisionRow

UP, DOWN = "up", "down"
LABELS = ("1", "2", "3", "4", "5", UP, DOWN)
GRAINS_S = (HOUR_S, DAY_S)
# The top two of five, and the thumb that goes with them, count as satisfied: the usual CSAT reading of a 1-5 scale
# ("top-2-box"; Qualtrics and Zendesk document it so).
SATISFIED = frozenset({"4", "5", UP})
NAMED = ("tenant", "model", "endpoint", "provider")
_ROLLUP_COLUMNS = tuple(column.name for column in FEEDBACK_ROLLUPS.c)


@dataclass(frozen=True, slots=True)
class Feedback:
    """One rating of one exchange by one author: a rating 1..5 or a thumb (up, down), never both."""

    decision_id: str
    author: str
    rating: int | None
    thumb: str | None
    comment: str
    made_unix_us: int

    @property
    def label(self) -> str:
        """The word it is counted under, one of LABELS."""
        return str(self.rating) if self.thumb is None else self.thumb


@dataclass(frozen=True, slots=True)
class Satisfaction:
    """The ratings of a window. Shape: labels holds every one of LABELS."""

    labels: Mapping[str, int]

    @property
    def count(self) -> int:
        """How many ratings there are."""
        return sum(self.labels.values())

    @property
    def satisfied(self) -> int:
        """How many of them are 4, 5 or a thumb up."""
        return sum(self.labels[label] for label in SATISFIED)

    @property
    def share(self) -> float | None:
        """Share of satisfied ones, 0..1; None without a rating."""
        return self.satisfied / self.count if self.count else None

    @property
    def mean_rating(self) -> float | None:
        """Mean of the ratings 1..5, thumbs left out; None without one."""
        stars = {number: self.labels[str(number)] for number in range(1, 6)}
        count = sum(stars.values())
        return sum(number * each for number, each in stars.items()) / count if count else None


def put(connection: Connection, row: DecisionRow, given: Feedback) -> Feedback | None:
    """Store a rating in the place of the same author's last one, which is returned; None when there was none."""
    before = _held(connection, given.decision_id, given.author)
    values = {name: getattr(given, name) for name in Feedback.__slots__}
    connection.execute(
        _upsert(connection.dialect), values | {"tenant": row.tenant, "started_unix_us": row.started_unix_us}
    )
    counts: dict[str, int] = defaultdict(int)
    counts[given.label] += 1
    if before is not None:
        counts[before.label] -= 1
    _count(connection, row, {label: count for label, count in counts.items() if count})
    return before


def _held(connection: Connection, decision_id: str, author: str) -> Feedback | None:
    columns = [FEEDBACK.c[name] for name in Feedback.__slots__]
    statement = select(*columns).where(FEEDBACK.c.decision_id == decision_id, FEEDBACK.c.author == author)
    row = connection.execute(statement).one_or_none()
    return None if row is None else Feedback(*row)


@cache
def _upsert(dialect: Dialect) -> Any:
    statement = database.insert(dialect, FEEDBACK)
    changed = {name: statement.excluded[name] for name in ("rating", "thumb", "comment", "made_unix_us")}
    return statement.on_conflict_do_update(index_elements=list(FEEDBACK.primary_key), set_=changed)


def _count(connection: Connection, row: DecisionRow, counts: Mapping[str, int]) -> None:
    second = row.started_unix_us // 1_000_000
    named = tuple(getattr(row, name) for name in NAMED)
    rows = [
        (grain_s, second - second % grain_s, *named, label, count)
        for grain_s in GRAINS_S
        for label, count in sorted(counts.items())
    ]
    database.write_many(connection, _upsert_count(connection.dialect), _ROLLUP_COLUMNS, rows)


@cache
def _upsert_count(dialect: Dialect) -> Any:
    statement = database.insert(dialect, FEEDBACK_ROLLUPS)
    added = {"count": FEEDBACK_ROLLUPS.c["count"] + statement.excluded["count"]}
    return statement.on_conflict_do_update(index_elements=list(FEEDBACK_ROLLUPS.primary_key), set_=added)


def of(connection: Connection, decision_id: str, limit: int = 100) -> tuple[Feedback, ...]:
    """Return the ratings of one exchange, newest first."""
    columns = [FEEDBACK.c[name] for name in Feedback.__slots__]
    newest = FEEDBACK.c.made_unix_us.desc(), FEEDBACK.c.author
    statement = select(*columns).where(FEEDBACK.c.decision_id == decision_id).order_by(*newest).limit(limit)
    return tuple(Feedback(*row) for row in connection.execute(statement))


def satisfaction(connection: Connection, asked: Slice) -> Satisfaction:
    """Return the ratings of a slice as a whole."""
    return _by(connection, asked, None).get("", Satisfaction(dict.fromkeys(LABELS, 0)))


def satisfaction_by(connection: Connection, asked: Slice, name: str) -> dict[str, Satisfaction]:
    """Return the ratings of a slice by one of NAMED."""
    return _by(connection, asked, name)


def _by(connection: Connection, asked: Slice, name: str | None) -> dict[str, Satisfaction]:
    table = FEEDBACK_ROLLUPS.c
    keys = [table.label] if name is None else [table.label, table[name]]
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(LABELS, 0))
    equal = dict(asked.equal) if asked.tenant is None else {"tenant": asked.tenant, **asked.equal}
    for part in cubes.pieces(asked.window, GRAINS_S):
        within = table.grain_s == part.grain_s, table.bucket_unix_s >= part.start_unix_s
        statement = select(func.sum(table["count"]), *keys).where(*within, table.bucket_unix_s < part.end_unix_s)
        narrowed = statement.where(*(table[one] == value for one, value in equal.items())).group_by(*keys)
        for count, label, *key in connection.execute(narrowed):
            found["".join(key)][label] += int(count)
    return {key: Satisfaction(labels) for key, labels in found.items() if any(labels.values())}
