from dataclasses import replace

from douane.v1 import decision_pb2 as pb
from sqlalchemy import Engine, select

from analytics.ingest.decode import decode
from analytics.store import calls, database, records
from analytics.store.tables import DOOR_CALLS
from analytics.types import DecisionRow
from tests.analytics.coverage_traffic import HOUR
from tests.analytics.traffic import record

WORKLOAD = {"user": "u", "namespace": "shop", "pod": "shop-1", "service_account": "buyer"}


def stored(engine: Engine, *rows: DecisionRow) -> list[dict[str, object]]:
    with database.writing(engine) as connection:
        records.store(connection, rows)
        return held(connection)


def held(connection: object) -> list[dict[str, object]]:
    rows = connection.execute(select(DOOR_CALLS).order_by(DOOR_CALLS.c.door))  # type: ignore[attr-defined] # a Connection
    return [{name: value for name, value in row._mapping.items() if value} for row in rows]


def test_calls_are_counted_by_hour_workload_and_door(engine: Engine) -> None:
    ordinary = [decode(record(number, identity=WORKLOAD)) for number in range(10)]
    generate = decode(record(20, door="generate"))
    where = {"hour_unix_s": HOUR, "machine": "web-1"}
    assert stored(engine, *ordinary, generate) == [
        where
        | {"namespace": "shop", "pod": "shop-1", "service_account": "buyer", "door": "gateway"}
        | {"requests": 10, "answered": 9, "denied": 1}
        | {"body_bytes": 9 * 2_100 + 900, "scanned_bytes": 9 * 2_100 + 900},
        where | {"door": "generate", "requests": 1, "answered": 1, "body_bytes": 2_100, "scanned_bytes": 2_100},
    ]


def test_what_was_not_looked_at_is_told_apart(engine: Engine) -> None:
    part = {"body_bytes": 900, "scanned_bytes": 500, "complete": False}
    rows = [
        record(0, applied=pb.ACTION_ALLOW_UNSCANNED, request_coverage=part),
        record(1, failure=pb.FAILURE_KIND_DEADLINE, mode=pb.MODE_OBSERVE, request_coverage=part),
        record(2, failure=pb.FAILURE_KIND_DEADLINE, outcome=pb.OUTCOME_FAILED, request_coverage=part),
        record(3, failure=pb.FAILURE_KIND_DEADLINE, outcome=pb.OUTCOME_CLIENT_ABORTED, request_coverage=part),
        record(9, failure=pb.FAILURE_KIND_DEADLINE, request_coverage=part),  # denied
    ]
    (found,) = stored(engine, *map(decode, rows))
    named = {name: found.get(name, 0) for name in ("requests", "allow_unscanned", "fail_open", "passed_unscanned")}
    assert named == {"requests": 5, "allow_unscanned": 1, "fail_open": 1, "passed_unscanned": 3}
    assert found["body_bytes"] == 4 * 2_100 + 900
    assert found["scanned_bytes"] == found["body_bytes"] - 5 * 400


def test_a_replaced_record_is_counted_by_its_difference(engine: Engine) -> None:
    stored(engine, decode(record(0, stage=pb.STAGE_INCOMPLETE)))
    (found,) = stored(engine, decode(record(0)))
    assert (found["requests"], found["answered"], found.get("unknown")) == (1, 1, None)


def test_a_rebuild_gives_the_same_rows(engine: Engine) -> None:
    before = stored(engine, *(decode(record(number, identity=WORKLOAD)) for number in range(30)))
    with database.writing(engine) as connection:
        calls.rebuild(connection, list(records.all_finals(connection, batch=7)))
        assert held(connection) == before


def test_numbers_beyond_sense_do_not_break_the_sums(engine: Engine) -> None:
    vast = {"body_bytes": 2**63, "scanned_bytes": 2**63, "complete": True}
    rows = [decode(record(number, request_coverage=vast, response_coverage=vast)) for number in range(3)]
    (found,) = stored(engine, *rows)
    assert found["body_bytes"] == 6 * 2**48


def test_records_without_detail_are_counted(engine: Engine) -> None:
    (found,) = stored(engine, replace(decode(record(0)), detail={}))
    assert found == {"hour_unix_s": HOUR, "door": "gateway", "requests": 1, "answered": 1}
