from collections.abc import Sequence

import pytest
from douane.v1 import control_pb2 as pb
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError

from analytics.ingest.decode import decode
from analytics.ingest.writing import decoded, write
from analytics.types import DecisionRow, Stored
from tests.analytics.traffic import record

ROWS = [decode(record(number)) for number in range(3)]
POISON = ROWS[1]


def storing(error: Exception | None) -> tuple[list[str], object]:
    """Return what was stored, and a store that raises for the second row."""
    held: list[str] = []

    def store(rows: Sequence[DecisionRow]) -> Stored:
        if error is not None and POISON in rows:
            raise error
        held.extend(row.decision_id for row in rows)
        return Stored(len(rows), 0, tuple(rows))

    return held, store


def test_a_batch_is_written_at_once() -> None:
    held, store = storing(None)
    assert write(store, ROWS) == (Stored(3, 0, tuple(ROWS)), [])
    assert held == [row.decision_id for row in ROWS]


@pytest.mark.parametrize("hopeless", [False, True])
def test_what_the_database_refuses_is_refused_alone(hopeless: bool) -> None:
    _held, store = storing(DataError("insert", {}, ValueError("too long")))
    stored, refused = write(store, ROWS, hopeless=hopeless)
    assert (stored.stored, stored.counted) == (2, (ROWS[0], ROWS[2]))
    assert refused == [(POISON, "it cannot be stored: ValueError")]


@pytest.mark.parametrize(
    "error", [OperationalError("i", {}, OSError()), ProgrammingError("i", {}, OSError()), OSError()]
)
def test_a_database_in_trouble_is_never_a_refusal(error: Exception) -> None:
    for hopeless in (False, True):
        _, store = storing(error)
        with pytest.raises(type(error)):
            write(store, ROWS, hopeless=hopeless)


def test_a_fault_of_ours_is_a_refusal_only_when_nothing_helps() -> None:
    held, store = storing(KeyError("a bug"))
    with pytest.raises(KeyError):
        write(store, ROWS)
    assert held == []
    assert write(store, ROWS, hopeless=True)[1] == [(POISON, "it cannot be stored: KeyError")]
    assert held == [ROWS[0].decision_id, ROWS[2].decision_id]


def test_decoding_keeps_rows_beside_their_records() -> None:
    good, bad = record(1), record(2, decision_id="y" * 100)
    batch = decoded(pb.PublishRequest(records=[good, bad]))
    assert (batch.rows, batch.records) == ((decode(good),), (good,))
    reason = "decision_id is not 32 lower-case hex digits"
    assert batch.rejected == (pb.Rejected(decision_id="y" * 64, reason=reason),)
