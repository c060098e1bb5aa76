"""Writing a batch so that what the database refuses is refused alone.

In: decoded rows, the function that stores a batch in one transaction. Out: what it did; the refused rows with reasons.
Never: a refusal because the database is away or not as it should be: that is raised, and the batch is tried again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from douane.v1 import control_pb2 as pb
from douane.v1.decision_pb2 import DecisionRecord
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from analytics.ingest.decode import RecordError, decode
from analytics.types import DecisionRow, Stored

REJECTED_ID_CHARS = 64
# What a record's own content can cause; everything else that SQLAlchemy raises is the database's state.
REFUSALS = (DataError, IntegrityError, UnicodeError, OverflowError)

Store = Callable[[Sequence[DecisionRow]], Stored]
Refused = list[tuple[DecisionRow, str]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch that was read. Shape: records[n] is what rows[n] was made of."""

    rows: tuple[DecisionRow, ...]
    records: tuple[DecisionRecord, ...]
    rejected: tuple[pb.Rejected, ...]


def decoded(request: pb.PublishRequest) -> Decoded:
    """Return a batch's rows, and which records can never be stored."""
    good: list[tuple[DecisionRow, DecisionRecord]] = []
    rejected: list[pb.Rejected] = []
    for record in request.records:
        try:
            good.append((decode(record), record))
        except RecordError as error:
            rejected.append(pb.Rejected(decision_id=record.decision_id[:REJECTED_ID_CHARS], reason=str(error)))
    return Decoded(tuple(row for row, _ in good), tuple(record for _, record in good), tuple(rejected))


def write(store: Store, rows: Sequence[DecisionRow], *, hopeless: bool = False) -> tuple[Stored, Refused]:
    """Store rows, together if possible; return what it did and the rows that were refused.

    hopeless: what raises is refused too, where it is a fault of ours and not the database's state.
    Raises: whatever `store` raises that is no refusal; what was stored before stays stored.
    """
    refusals = (*REFUSALS, Exception) if hopeless else REFUSALS
    try:
        return store(rows), []
    except refusals as error:
        if not _is_refusal(error):
            raise
    results: list[Stored] = []
    refused: Refused = []
    for row in rows:
        try:
            results.append(store([row]))
        except refusals as error:
            if not _is_refusal(error):
                raise
            refused.append((row, f"it cannot be stored: {_kind(error)}"))
    return _summed(results), refused


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, REFUSALS) or not isinstance(error, SQLAlchemyError | OSError)


def _summed(results: Sequence[Stored]) -> Stored:
    changes = tuple(change for result in results for change in result.changes)
    counted = tuple(row for result in results for row in result.counted)
    stored, unchanged = sum(one.stored for one in results), sum(one.unchanged for one in results)
    return Stored(stored, unchanged, counted, changes, tuple(one for result in results for one in result.taken))


def _kind(error: Exception) -> str:
    orig = getattr(error, "orig", None) if isinstance(error, SQLAlchemyError) else None
    return type(orig or error).__name__
