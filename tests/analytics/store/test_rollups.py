import random
from typing import Any

from douane.v1 import decision_pb2 as pb
from sqlalchemy import Engine, select

from analytics.ingest.decode import decode
from analytics.store import cells, database, records, rollups, sketch
from analytics.store.tables import LABEL_ROLLUPS, ROLLUPS, SERIES
from analytics.types import CUBES, DAY_S, HOUR_S, MINUTE_S, DecisionRow
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record

STAGES = (pb.STAGE_VERDICT, pb.STAGE_INCOMPLETE, pb.STAGE_COMPLETE)
BEGAN_UNIX_S = BEGAN_UNIX_US // 1_000_000


def _held(engine: Engine) -> list[Any]:
    """Return every row of the three tables; sketches as values, rows that came to nothing left out."""
    with engine.connect() as connection:
        held = [dict(row._mapping) for row in connection.execute(select(ROLLUPS))]
        threats = [tuple(row) for row in connection.execute(select(LABEL_ROLLUPS)) if row.count]
        series = [tuple(row) for row in connection.execute(select(SERIES))]
    sums = [
        tuple(
            sketch.decode(value or "{}") if name in ("latency_sketch", "verdict_sketch") else value
            for name, value in row.items()
        )
        for row in held
    ]
    return [sorted(sums, key=lambda row: row[:4]), sorted(threats), sorted(series)]


def _store(engine: Engine, *rows: DecisionRow) -> None:
    with database.writing(engine) as connection:
        records.store(connection, rows)


def test_an_exchange_is_counted_in_each_cube_and_grain(engine: Engine) -> None:
    _store(engine, decode(record(9)), decode(record(3)))
    with engine.connect() as connection:
        joined = select(ROLLUPS, SERIES).join(SERIES, SERIES.c.series_id == ROLLUPS.c.series_id)
        buckets = sorted(
            (row.cube, row.grain_s, row.bucket_unix_s, row.model, row.user, row.requests, row.outcome_denied)
            for row in connection.execute(joined)
        )
        labels = connection.execute(select(LABEL_ROLLUPS).where(LABEL_ROLLUPS.c.cube == "users"))
        found = sorted((row.grain_s, row.kind, row.label, row.level, row.count) for row in labels)
    day, hour, minute = (BEGAN_UNIX_S - BEGAN_UNIX_S % grain for grain in (DAY_S, HOUR_S, MINUTE_S))
    starts = ((MINUTE_S, minute), (HOUR_S, hour), (DAY_S, day))
    assert buckets == [
        *(("full", *start, "gpt-4o", *user) for start in starts for user in (("user-3", 1, 0), ("user-9", 1, 1))),
        *(("tenants", *start, "", "", 2, 1) for start in starts),
        *(("traffic", *start, "gpt-4o", "", 2, 1) for start in starts),
        *(("users", *start, "", *user) for start in starts[1:] for user in (("user-3", 1, 0), ("user-9", 1, 1))),
    ]
    assert [one for one in found if one[1] != "finish"] == [
        (grain, *label)
        for grain in (HOUR_S, DAY_S)
        for label in (
            ("rule", "jailbreak.some_rule", "critical", 1),
            ("rule", "prompt_injection.some_rule", "critical", 1),
            ("surface", "user", "critical", 2),
            ("threat", "jailbreak", "critical", 1),
            ("threat", "prompt_injection", "critical", 1),
        )
    ]


def test_verdicts_are_not_counted(engine: Engine) -> None:
    _store(engine, decode(record(1, stage=pb.STAGE_VERDICT)))
    assert _held(engine) == [[], [], []]


def test_every_sum_of_one_exchange(engine: Engine) -> None:
    row = decode(record(3))
    _store(engine, row)
    with engine.connect() as connection:
        held = dict(
            connection.execute(select(ROLLUPS).where(ROLLUPS.c.grain_s == DAY_S, ROLLUPS.c.cube == "users"))
            .one()
            ._mapping
        )
    key = ("cube", "grain_s", "bucket_unix_s", "series_id")
    sums = {name: value for name, value in held.items() if value and name not in key}
    assert sums == {
        "requests": 1,
        "action_allow": 1,
        "level_low": 1,
        "outcome_answered": 1,
        "prompt_tokens": 103,
        "completion_tokens": 40,
        "total_tokens": 143,
        "latency_count": 1,
        "latency_us_sum": row.total_us,
        "verdict_us_sum": 700,
        "prompt_chars": 800,
        "response_chars": 600,
        "latency_sketch": f'{{"{sketch.index(row.total_us)}":1}}',
    }


def test_complete_after_incomplete_is_counted_by_the_difference(engine: Engine) -> None:
    """Other model, other minute, other threats: nothing of the incomplete one may stay."""
    incomplete = record(9, stage=pb.STAGE_INCOMPLETE, model="first")
    complete = record(9, model="second")
    complete.timings.started_unix_us += 90_000_000
    _store(engine, decode(record(1)))
    before = _held(engine)
    _store(engine, decode(incomplete))
    _store(engine, decode(complete))
    sums, labels, _ = _held(engine)
    left = [row for row in sums if any(row[4:])]
    shared = 2  # the tenant's hour and day, of both exchanges
    assert len(left) == len(before[0]) + sum(map(len, CUBES.values())) - shared
    names = ("/v1/chat/completions", "openai")
    whole, users = ("default", "second", "user-9", *names), ("default", "", "user-9", "", "")
    traffic, tenants = ("default", "second", "", *names), ("default", "", "", "", "")
    threats = {one[3] for one in labels if one[4] == "threat"}
    assert threats == {cells.series_id(series) for series in (whole, users, traffic, tenants)}


def test_rebuild_from_records_gives_the_same_rows(engine: Engine) -> None:
    """Random traffic over two days: replays, late records, every order of stages, in random batches."""
    rng = random.Random(7)
    sent = []
    for number in range(300):
        started = BEGAN_UNIX_US + rng.randrange(2 * DAY_S) * 1_000_000
        for stage in rng.sample(STAGES, rng.randint(1, 3)) * rng.randint(1, 2):
            one = record(number, stage=stage, users=3, decision_id=decision_id(number, started))
            one.timings.started_unix_us = started
            sent.append(decode(one))
    while sent:
        size = rng.randint(1, 60)
        _store(engine, *sent[:size])
        sent = sent[size:]
    kept, threats, series = _held(engine)
    with database.writing(engine) as connection:
        rollups.rebuild(connection, list(records.all_finals(connection, batch=70)))
    rebuilt = _held(engine)
    assert rebuilt == [[row for row in kept if any(row[4:])], threats, series]


def test_series_ids_never_change() -> None:
    """They stand in databases: a change would split every series."""
    assert cells.series_id(("default", "gpt-4o", "alice", "/v1/chat/completions", "openai")) == 6857265225918936169
