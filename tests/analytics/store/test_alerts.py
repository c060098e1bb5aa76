"""Alerts in the store, on both engines."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError

from analytics.store import alerts, database
from analytics.store.tables import ALERTS, DELIVERIES, SIGHTINGS
from analytics.types.alerts import Alert, Held, Outgoing, Plan
from tests.analytics.alerts.sample import MOMENT_US, NASTY, alert

KEY = ("default", "security/alice/prompt_injection")


def numbered(number: int, **fields: object) -> Alert:
    """Return an alert whose id, and opening, are a second later than the one before."""
    opened = MOMENT_US + number * 1_000_000
    alert_id = f"{opened // 1_000:012x}7000800000000000{number:04x}"
    return alert(**{"alert_id": alert_id, "opened_unix_us": opened, "key": f"key/{number}"} | fields)


def outgoing(delivery_id: str, one: Alert, **fields: object) -> Outgoing:
    made = Outgoing(delivery_id, one.alert_id, one.tenant, "slack", "opened", "pending", 0, MOMENT_US, MOMENT_US)
    return replace(made, **fields)  # type: ignore[arg-type] # fields of Outgoing


def write(engine: Engine, *some: Alert, notices: tuple[Outgoing, ...] = ()) -> None:
    with database.writing(engine) as connection:
        alerts.write(connection, Plan(some, notices))


def test_an_alert_is_read_as_it_was_written_and_changed_in_its_place(engine: Engine) -> None:
    one = alert(title=NASTY.replace("\x00", ""), facts=((NASTY, "a'; DROP TABLE alerts"),), note="%s %(x)s :y")
    write(engine, one)
    with engine.connect() as connection:
        assert alerts.read(connection, one.alert_id, None) == one
    changed = replace(one, count=2, resolved_unix_us=MOMENT_US + 1, resolved_by="bob")
    write(engine, changed)
    with engine.connect() as connection:
        assert alerts.read(connection, one.alert_id, "default") == changed
        assert alerts.read(connection, one.alert_id, "other") is None


def test_at_most_one_alert_of_a_tenant_and_key_is_unresolved(engine: Engine) -> None:
    write(engine, alert())
    with pytest.raises(IntegrityError):
        write(engine, alert(alert_id="other"))
    write(engine, alert(alert_id="elsewhere", tenant="other"))
    write(engine, alert(resolved_unix_us=1), alert(alert_id="later"))


def test_what_is_held_of_keys(engine: Engine) -> None:
    one, done = alert(), numbered(1, key="security/*", resolved_unix_us=5)
    notices = (
        outgoing("d1", one),
        outgoing("d2", one, channel_id="mail", state="delivered"),
        outgoing("d3", one, channel_id="teams", leased_until_unix_us=MOMENT_US + 9),
        outgoing("d4", one, channel_id="gone", state="failed"),
    )
    write(engine, one, done, numbered(2, tenant="other"), notices=notices)
    with engine.connect() as connection:
        found = alerts.held(connection, [KEY, ("default", "security/*")], MOMENT_US, MOMENT_US)
    assert found == Held(
        alerts={KEY: one},
        waiting=frozenset({(one.alert_id, "slack")}),
        told={one.alert_id: frozenset({"mail", "teams"})},
        opened={("default", "security"): 2, ("other", "security"): 1},
    )


def test_many_keys_are_looked_up_in_pieces(engine: Engine) -> None:
    some = [numbered(number) for number in range(450)]
    write(engine, *some)
    with engine.connect() as connection:
        found = alerts.held(connection, [(one.tenant, one.key) for one in some], MOMENT_US * 2, MOMENT_US)
    assert list(found.alerts.values()) == some
    assert found.opened == {}


def test_pages_follow_each_other_and_never_show_another_tenants(engine: Engine) -> None:
    mine = [numbered(number, level="warning" if number % 2 else "critical") for number in range(6)]
    write(engine, *mine, numbered(9, tenant="other", key="x"))
    with engine.connect() as connection:
        first = alerts.page(connection, alerts.Filter(), "default", 4)
        second = alerts.page(connection, alerts.Filter(), "default", 4, first[-1].alert_id)
        assert [*first, *second] == mine[::-1]
        assert len(alerts.page(connection, alerts.Filter(), None, 10)) == 7
        assert alerts.page(connection, alerts.Filter(equal={"level": "warning"}), "default", 10) == mine[5::-2]
        narrowed = alerts.Filter(from_unix_us=mine[2].opened_unix_us, to_unix_us=mine[4].opened_unix_us)
        assert alerts.page(connection, narrowed, None, 10) == [mine[3], mine[2]]


def test_states(engine: Engine) -> None:
    some = [
        numbered(1),
        numbered(2, acknowledged_unix_us=5, acknowledged_by="bob"),
        numbered(3, resolved_unix_us=6, resolved_by="bob"),
    ]
    write(engine, *some)
    with engine.connect() as connection:
        found = {
            one: alerts.page(connection, alerts.Filter(state=one), None, 9)
            for one in ("open", "acknowledged", "resolved")
        }
        assert found == {one.state: [one] for one in some}
        assert alerts.unresolved(connection, ["security"]) == some[:2]
        assert alerts.unresolved(connection, ["leak"]) == []


def test_stale_alerts_are_those_nothing_came_of_and_somebody_looked_at(engine: Engine) -> None:
    some = [
        numbered(1, level="warning", touched_unix_us=1),
        numbered(2, touched_unix_us=1),
        numbered(3, touched_unix_us=1, acknowledged_unix_us=2),
        numbered(4, level="warning", touched_unix_us=9),
    ]
    write(engine, *some)
    with engine.connect() as connection:
        assert alerts.stale(connection, 5, ["security"]) == [some[0], some[2]]


def test_untold(engine: Engine) -> None:
    write(engine, alert(notified_unix_us=5))
    with database.writing(engine) as connection:
        alerts.untold(connection, alert().alert_id)
    with engine.connect() as connection:
        assert alerts.read(connection, alert().alert_id, None) == alert()


def test_users_who_met_an_attack_are_counted_once_each_in_the_window(engine: Engine) -> None:
    attack, other = ("default", "rule:x"), ("default", "rule:y")
    with database.writing(engine) as connection:
        alerts.sight(connection, {(*attack, "a"): 10, (*attack, "b"): 10, (*other, "a"): 10, ("t", "rule:x", "c"): 10})
        alerts.sight(connection, {(*attack, "a"): 30, (*attack, "d"): 20})
        alerts.sight(connection, {(*attack, "a"): 5})  # a late one changes nothing
        assert alerts.met_by(connection, [attack, other], 0) == {attack: 3, other: 1}
        assert alerts.met_by(connection, [attack, other], 20) == {attack: 2}


def test_pruning_forgets_what_is_over_and_old(engine: Engine) -> None:
    kept, gone = numbered(1, resolved_unix_us=100), numbered(2, resolved_unix_us=99)
    notices = (
        outgoing("d1", kept, finished_unix_us=99),
        outgoing("d2", kept, finished_unix_us=100),
        outgoing("d3", kept),
    )
    write(engine, kept, gone, numbered(3), notices=notices)
    with database.writing(engine) as connection:
        alerts.sight(connection, {("t", "a", "old"): 9, ("t", "a", "new"): 10})
        alerts.prune(connection, 10, 100)
    with engine.connect() as connection:
        assert set(connection.execute(select(ALERTS.c.alert_id)).scalars()) == {kept.alert_id, numbered(3).alert_id}
        assert set(connection.execute(select(DELIVERIES.c.delivery_id)).scalars()) == {"d2", "d3"}
        assert connection.execute(select(func.count()).select_from(SIGHTINGS)).scalar() == 1
