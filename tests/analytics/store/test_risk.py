"""Users' risk as it is held, and what was done to users."""

from dataclasses import replace

from sqlalchemy import Engine, event

from analytics.store import control_state, database, records, risk
from analytics.types.control import RiskEvent, UserRisk
from tests.analytics.control.steering import row
from tests.analytics.traffic import BEGAN_UNIX_US

ALICE = UserRisk("default", "alice", 8.0, 100, 1.0, 8.0, 200, 50, "why", 3)
BOB = UserRisk("other", "bob", 4.0, 100, changed_version=2)


def test_users_are_held_by_tenant_and_replaced(engine: Engine) -> None:
    with database.writing(engine) as connection:
        risk.write(connection, [ALICE, BOB])
        risk.write(connection, [replace(ALICE, risk=9.0)])
        found = risk.read(connection, [("default", "alice"), ("other", "alice"), ("other", "bob")])
        assert found == {("default", "alice"): replace(ALICE, risk=9.0), ("other", "bob"): BOB}
        assert risk.changed_since(connection, 1) == [BOB, replace(ALICE, risk=9.0)]
        assert risk.changed_since(connection, 2) == [replace(ALICE, risk=9.0)]


def test_events_are_a_users_own_and_noted_once(engine: Engine) -> None:
    events = [RiskEvent("default", "alice", at, "quarantine", "rule", "r", 9.0, at + 1) for at in (1, 2)]
    with database.writing(engine) as connection:
        risk.add_events(connection, [*events, events[0], replace(events[0], tenant="other")])
        assert risk.events(connection, ("default", "alice"), 10) == events[::-1]
        assert risk.events(connection, ("default", "alice"), 1) == events[1:]


def test_what_moved_a_user_are_its_records_with_a_score(engine: Engine) -> None:
    rows = [
        row(1, 8.0),
        row(2, 0.0),
        row(3, 2.0, at_us=1_000_000),
        row(4, 9.0, user="bob"),
        row(5, 9.0, tenant="other"),
    ]
    with database.writing(engine) as connection:
        records.store(connection, rows)
        found = risk.scored(connection, ("default", "alice"), 10)
        assert risk.tenants_of(connection, "alice", None) == ["default", "other"]
        assert risk.tenants_of(connection, "alice", "other") == ["other"]
        assert risk.tenants_of(connection, "alice", "third") == []
        risk.write(connection, [replace(BOB, user="alice", tenant="third")])
        assert risk.tenants_of(connection, "alice", "third") == ["third"]
    assert sorted(found, key=lambda one: one[1]) == [
        (rows[0].decision_id, BEGAN_UNIX_US, 8.0, "allow"),
        (rows[2].decision_id, BEGAN_UNIX_US + 1_000_000, 2.0, "allow"),
    ]


def test_only_those_are_forgotten_of_whom_all_is_past(engine: Engine) -> None:
    past = UserRisk("default", "past", 0.1, 100, changed_version=9)
    others = [
        replace(past, user="moved", as_of_unix_us=1_000),
        replace(past, user="confined", quarantined_until_unix_us=1_000),
        replace(past, user="reset", reset_unix_us=1_000),
    ]
    with database.writing(engine) as connection:
        risk.write(connection, [past, *others])
        assert (risk.forget(connection, 1_000), risk.forget(connection, 1_000)) == (1, 0)
        left = risk.read(connection, [("default", one) for one in ("past", "moved", "confined", "reset")])
        assert left == {("default", one.user): one for one in others}
        assert control_state.read(connection).forgotten == 9


def test_records_without_a_score_are_not_read_to_find_those_with_one(sqlite_engine: Engine) -> None:
    """The planner takes the partial index only while the query names its condition in the index's own words."""
    asked: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(sqlite_engine, "before_cursor_execute", note)
    with sqlite_engine.connect() as connection:
        risk.scored(connection, ("default", "alice"), 10)
        event.remove(sqlite_engine, "before_cursor_execute", note)
        statement, parameters = asked[-1]
        (plan,) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()  # type: ignore[arg-type]
    assert plan[3] == "SEARCH records USING INDEX records_scored (user=?)"
