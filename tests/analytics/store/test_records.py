from collections.abc import Sequence
from dataclasses import replace

import pytest
from douane.v1 import decision_pb2 as pb
from sqlalchemy import Engine, func, select

from analytics.ingest.decode import decode
from analytics.store import database, records
from analytics.store.tables import RECORDS, THREATS
from analytics.types import Change, DecisionRow, Stored
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record, threats

STAGES = {"verdict": pb.STAGE_VERDICT, "incomplete": pb.STAGE_INCOMPLETE, "complete": pb.STAGE_COMPLETE}


def store(engine: Engine, rows: Sequence[DecisionRow]) -> Stored:
    with database.writing(engine) as connection:
        return records.store(connection, rows)


def read(engine: Engine, *ids: str) -> dict[str, DecisionRow]:
    with engine.connect() as connection:
        return records.read(connection, ids)


def row(number: int, stage: str = "complete", **fields: object) -> DecisionRow:
    return decode(record(number, stage=STAGES[stage], **fields))


def test_records_are_read_back_as_they_were_stored(engine: Engine) -> None:
    rows = [row(number) for number in range(30)]
    assert store(engine, rows) == Stored(30, 0, tuple(rows), tuple(Change(row, "", 0.0) for row in rows))
    assert read(engine, *(one.decision_id for one in rows)) == {one.decision_id: one for one in rows}


def test_replay_changes_nothing(engine: Engine) -> None:
    rows = [row(number) for number in range(30)]
    store(engine, rows)
    assert store(engine, rows) == Stored(0, 30)
    assert read(engine, *(one.decision_id for one in rows)) == {one.decision_id: one for one in rows}


@pytest.mark.parametrize(
    ("held", "comes", "wins"),
    [
        ("verdict", "verdict", "held"),
        ("verdict", "incomplete", "comes"),
        ("verdict", "complete", "comes"),
        ("incomplete", "verdict", "held"),
        ("incomplete", "incomplete", "held"),
        ("incomplete", "complete", "comes"),
        ("complete", "verdict", "held"),
        ("complete", "incomplete", "held"),
        ("complete", "complete", "held"),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
def test_a_later_stage_wins(engine: Engine, held: str, comes: str, wins: str, together: bool) -> None:
    first = row(1, held, threats=threats(["jailbreak", "pii_leak"]), model="first")
    second = row(1, comes, threats=threats(["data_extraction"]), model="second")
    if together:
        result = store(engine, [first, second])
        stored, unchanged = result.stored, result.unchanged
    else:
        results = [store(engine, [one]) for one in (first, second)]
        stored, unchanged = sum(one.stored for one in results), sum(one.unchanged for one in results)
    winner = second if wins == "comes" else first
    assert (stored, unchanged) == ((2, 0) if wins == "comes" else (1, 1))
    assert read(engine, first.decision_id) == {first.decision_id: winner}


def test_threats_are_replaced_with_their_record(engine: Engine) -> None:
    store(engine, [row(1, "verdict", threats=threats(["jailbreak", "pii_leak"]))])
    store(engine, [row(1, "complete", threats=threats(["data_extraction"]))])
    with engine.connect() as connection:
        assert connection.execute(select(THREATS.c.type)).scalars().all() == ["data_extraction"]


def test_only_the_first_final_stage_is_counted(engine: Engine) -> None:
    verdict, incomplete, complete = (row(1, stage) for stage in ("verdict", "incomplete", "complete"))
    counted = [store(engine, [one]).counted for one in (verdict, incomplete, complete)]
    assert counted == [(), (incomplete,), ()]


def test_a_failed_batch_leaves_nothing(engine: Engine) -> None:
    bad = replace(row(2), threats=(row(9).threats[0], row(9).threats[0]))
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        store(engine, [row(1), bad])
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(RECORDS)).scalar() == 0


def test_newest_start(engine: Engine) -> None:
    with engine.connect() as connection:
        assert records.last_started_unix_us(connection) is None
    store(engine, [row(3), row(2)])
    with engine.connect() as connection:
        assert records.last_started_unix_us(connection) == BEGAN_UNIX_US + 300_000


def test_all_finals_leaves_out_verdicts(engine: Engine) -> None:
    rows = [row(number, "verdict" if number % 3 == 0 else "complete") for number in range(10)]
    store(engine, rows)
    with engine.connect() as connection:
        batches = list(records.all_finals(connection, batch=4))
    finals = [one for one in rows if one.final]
    assert batches == [finals[:4], finals[4:]]


def test_unknown_id_is_absent(engine: Engine) -> None:
    assert read(engine, decision_id(1)) == {}


def test_a_record_stays_its_tenant_s(engine: Engine) -> None:
    """An id of one tenant's, sent by another's sidecar at a later stage, must not take the record over."""
    mine, theirs = record(1, stage=pb.STAGE_VERDICT), record(1)
    mine.identity.tenant, theirs.identity.tenant = "acme", "zeta"
    with database.writing(engine) as connection:
        records.store(connection, [decode(mine)])
        result = records.store(connection, [decode(theirs)])
        assert (result.stored, result.unchanged, result.changes) == (0, 1, ())
        assert records.read(connection, [mine.decision_id]) == {mine.decision_id: decode(mine)}
