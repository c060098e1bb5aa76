"""Counting again gives the same rows, on both engines, also while records come in."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from douane.v1 import decision_pb2 as pb
from sqlalchemy import Engine, delete, select, update

from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.store import database, partitions, recount, sketch
from analytics.store.recount import Day
from analytics.store.tables import DOOR_CALLS, LABEL_ROLLUPS, ROLLUPS
from analytics.types import DAY_S, DecisionRow
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record

STAGES = (pb.STAGE_VERDICT, pb.STAGE_INCOMPLETE, pb.STAGE_COMPLETE)
TODAY = partitions.today(BEGAN_UNIX_US / 1e6)


def _sent(count: int, seed: int, days: int = 3) -> list[DecisionRow]:
    """Return records of some days, some sent in several stages, in the order of chance."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        started = BEGAN_UNIX_US + rng.randrange(days * DAY_S) * 1_000_000 + seed
        for stage in rng.sample(STAGES, rng.randint(1, 3)):
            fields = {"decision_id": decision_id(number + seed * 1_000, started)}
            one = record(number, stage=stage, users=5, **fields)
            one.timings.started_unix_us = started
            rows.append(decode(one))
    rng.shuffle(rows)
    return rows


def _held(engine: Engine) -> list[Any]:
    """Return every sum, sketches as values."""
    with engine.connect() as connection:
        sums = [dict(row) for row in connection.execute(select(ROLLUPS)).mappings()]
        labels = sorted(tuple(row) for row in connection.execute(select(LABEL_ROLLUPS)))
        doors = sorted(tuple(row) for row in connection.execute(select(DOOR_CALLS)))
    for row in sums:
        row["latency_sketch"] = sketch.decode(row["latency_sketch"])
    return [sorted(sums, key=lambda row: tuple(row.values())[:4]), labels, doors]


def _spoil(engine: Engine) -> None:
    """Make every sum wrong, lose some, make some up."""
    with database.writing(engine) as connection:
        connection.execute(update(ROLLUPS).values(requests=ROLLUPS.c.requests + 7, users_sketch=b""))
        connection.execute(delete(ROLLUPS).where(ROLLUPS.c.grain_s == DAY_S, ROLLUPS.c.cube == "users"))
        connection.execute(update(LABEL_ROLLUPS).values(label=LABEL_ROLLUPS.c.label + " made up"))
        connection.execute(update(DOOR_CALLS).values(answered=0))


@pytest.mark.parametrize("batch", [7, 5_000])
def test_days_are_counted_as_they_were(engine: Engine, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recount, "BATCH", batch)
    books, sent = Books(engine), _sent(200, 1)
    for first in range(0, len(sent), 60):
        books.store(sent[first : first + 60])
    before = _held(engine)
    _spoil(engine)
    told: list[Day] = []
    done = recount.since(engine, TODAY, 0, told.append)
    assert _held(engine) == before
    assert [one.day for one in done] == [TODAY, TODAY + 1, TODAY + 2, TODAY + 3]
    assert told == done
    whole = [row["requests"] for row in before[0] if row["cube"] == "users" and row["grain_s"] == DAY_S]
    assert sum(one.exchanges for one in done) == sum(whole)


def test_earlier_days_and_those_whose_records_are_gone_stay(engine: Engine) -> None:
    Books(engine).store(_sent(100, 1))
    with database.writing(engine) as connection:
        connection.execute(update(ROLLUPS).values(streams=1_000))
    assert [one.day for one in recount.since(engine, TODAY + 2, 0, lambda _: None)] == [TODAY + 2, TODAY + 3]
    assert [one.day for one in recount.since(engine, TODAY - 9, TODAY + 3, lambda _: None)] == [TODAY + 3]
    assert [one.day for one in recount.since(engine, TODAY + 9, 0, lambda _: None)] == []
    with engine.connect() as connection:
        spoiled = select(ROLLUPS.c.bucket_unix_s).where(ROLLUPS.c.streams == 1_000)
        assert {bucket // DAY_S for bucket in connection.execute(spoiled).scalars()} == {TODAY, TODAY + 1}


def test_nothing_is_counted_of_nothing(engine: Engine) -> None:
    assert recount.since(engine, 0, 0, lambda _: None) == []


def test_records_that_come_meanwhile_are_counted_once(engine: Engine) -> None:
    """What is left is what a further count gives, and what a store of all records at once gives."""
    books, early, late = Books(engine), _sent(150, 1), _sent(150, 2)
    books.store(early)
    _spoil(engine)
    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(lambda: [books.store(late[first : first + 9]) for first in range(0, len(late), 9)])
        recount.since(engine, TODAY, 0, lambda _: None)
        sending.result()
    after = _held(engine)
    recount.since(engine, TODAY, 0, lambda _: None)
    assert _held(engine) == after
