"""The desk, on both engines: records to alerts in one transaction, trends that come and go, what people do."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from analytics import config
from analytics.alerts import http
from analytics.alerts.desk import Desk
from analytics.alerts.roster import Roster
from analytics.alerts.rules.outside import judge_failure
from analytics.alerts.vault import Vault
from analytics.identifiers import time_id
from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.store import alert_settings, alerts, database, outbox
from analytics.types import DecisionRow, Stored
from analytics.types.alerts import Alert, Delivery, Outgoing
from tests.analytics.alerts.test_wanted import silence
from tests.analytics.control.steering import activate, books, row
from tests.analytics.traffic import BEGAN_UNIX_US, record

START = BEGAN_UNIX_US / 1e6 + 100


class Office:
    """A desk with a Slack channel, a clock that is moved by hand, and the books it keeps alerts in."""

    def __init__(self, engine: Engine, folder: Path, **settings: Any) -> None:
        self.engine = engine
        self.now = START
        self.woken = 0
        given = config.load(data_dir=folder, slack_webhook_url="https://hooks.slack.com/x", **settings)
        roster = Roster(given, Vault(given), http.Rim(lambda *_: Delivery("ok"), self.clock))
        self.desk = Desk(given, roster, self.clock, self.wake)
        self.books = Books(engine, ledgers=(self.desk.ledger,), listeners=(self.desk.listener,))

    def clock(self) -> float:
        return self.now

    def wake(self) -> None:
        self.woken += 1

    def alerts(self) -> list[Alert]:
        with self.engine.connect() as connection:
            return alerts.page(connection, alerts.Filter(), None, 100)[::-1]

    def notices(self) -> list[Outgoing]:
        with self.engine.connect() as connection:
            return outbox.page(connection, None, None, 100)[::-1]

    def settle(self) -> None:
        """Deliver what waits, without a dispatcher."""
        with outbox.changing(self.engine) as connection:
            for one in outbox.page(connection, "pending", None, 100):
                outbox.claim(connection, one, "x", 2**60, 2**61)
                outbox.settle(connection, replace(one, state="delivered"), "x")


@pytest.fixture
def office(engine: Engine, tmp_path: Path) -> Office:
    return Office(engine, tmp_path)


def rows(*numbers: int, **fields: Any) -> list[DecisionRow]:
    return [replace(decode(record(number)), **fields) for number in numbers]


def kinds(notices: Sequence[Outgoing]) -> list[tuple[str, str]]:
    return [(one.kind, one.state) for one in notices]


def test_a_record_its_alert_and_its_notice_are_stored_together(office: Office) -> None:
    office.books.store(rows(*range(10)))  # the tenth is denied
    (alert,) = office.alerts()
    assert (alert.rule, alert.level, alert.user, alert.decisions) == (
        "security",
        "critical",
        "user-9",
        (record(9).decision_id,),
    )
    (notice,) = office.notices()
    assert (notice.alert_id, notice.channel_id, notice.kind, notice.state) == (
        alert.alert_id,
        "slack",
        "opened",
        "pending",
    )
    assert office.woken == 1


def test_a_batch_that_fails_leaves_neither_record_nor_alert(engine: Engine, tmp_path: Path) -> None:
    office = Office(engine, tmp_path)

    def broken(_connection: Connection, _stored: Stored) -> None:
        raise RuntimeError("a later ledger fails")

    books = Books(engine, ledgers=(office.desk.ledger, broken))
    with pytest.raises(RuntimeError):
        books.store(rows(9))
    assert (office.alerts(), office.notices()) == ([], [])


def test_ordinary_records_make_nothing_and_wake_nobody(office: Office) -> None:
    office.books.store(rows(0, 1, 2))
    assert (office.alerts(), office.woken) == ([], 0)


def test_a_replayed_batch_counts_nothing_twice(office: Office) -> None:
    for _ in range(3):
        office.books.store(rows(9))
    assert [one.count for one in office.alerts()] == [1]
    assert len(office.notices()) == 1


def test_the_same_again_counts_on_without_a_message(office: Office) -> None:
    office.books.store(rows(9))
    office.books.store(rows(29, 49))  # user-9 again
    (alert,) = office.alerts()
    assert (alert.count, alert.decisions) == (3, tuple(record(number).decision_id for number in (49, 29, 9)))
    assert (kinds(office.notices()), office.woken) == ([("opened", "pending")], 1)


def test_the_same_attack_by_several_users_is_a_campaign(office: Office) -> None:
    office.books.store(rows(9, 19))  # user-9, user-19
    assert [one.rule for one in office.alerts()] == ["security", "security"]
    office.books.store(rows(39, user="mallory"))
    campaigns = [one for one in office.alerts() if one.rule == "campaign"]
    assert [(one.level, one.title) for one in campaigns] == [("critical", "3 users sent the same prompt injection")]
    office.now += 3_601
    office.books.store(rows(59, user="late"))
    assert [one.count for one in office.alerts() if one.rule == "campaign"] == [1]


def test_a_silenced_user_is_kept_but_not_told(office: Office) -> None:
    now = office.desk.now_unix_us
    with database.writing(office.engine) as connection:
        covering = silence(user="user-9", starts_unix_us=now - 1, ends_unix_us=now + 60_000_000)
        alert_settings.add_silence(connection, covering)
    office.books.store(rows(9))
    assert [one.notified_unix_us for one in office.alerts()] == [None]
    assert (office.notices(), office.woken) == ([], 0)
    office.now += 60
    office.books.store(rows(29))
    assert kinds(office.notices()) == [("opened", "pending")]


def test_what_others_report_is_told_too(office: Office) -> None:
    with database.writing(office.engine) as connection:
        office.desk.note(connection, [judge_failure("default", "unreachable", 3, office.desk.now_unix_us)])
    assert [one.rule for one in office.alerts()] == ["judge_failure"]


def failing(first: int, count: int) -> list[DecisionRow]:
    return rows(
        *range(first, first + count), outcome="upstream_error", applied="allow", score=0.0, level="low", threats=()
    )


def test_a_trend_opens_goes_on_and_is_over_by_itself(office: Office) -> None:
    office.books.store(failing(0, 100))
    office.desk.look(office.engine)
    found = {(one.rule, one.level, one.model) for one in office.alerts()}
    assert found == {("error_rate", "critical", model) for model in ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5")}
    office.settle()
    woken = office.woken
    office.now += 30
    office.desk.look(office.engine)
    assert {one.count for one in office.alerts()} == {2}
    assert (len(office.notices()), office.woken) == (3, woken)
    office.now += 1_200  # nothing of it is in the window any more
    office.desk.look(office.engine)
    assert {(one.state, one.resolved_by) for one in office.alerts()} == {("resolved", "recovery")}
    assert kinds(office.notices())[3:] == [("resolved", "pending")] * 3
    assert office.woken == woken + 1


def test_a_trend_that_pauses_is_not_over_yet(office: Office) -> None:
    office.books.store(failing(0, 100))
    office.desk.look(office.engine)
    with database.writing(office.engine) as connection:
        office.desk._end(connection, set())
    assert {one.state for one in office.alerts()} == {"open"}


def test_budgets_and_risks_are_looked_at(office: Office) -> None:
    activate(office.engine, "budgets: [{name: calls, unit: requests, window: day, limit: 10}]")
    books(office.engine, office.clock).store([row(number, 3.0) for number in range(9)])
    office.desk.look(office.engine)
    assert {(one.rule, one.level) for one in office.alerts()} == {("budget", "warning"), ("user_risk", "warning")}


def test_a_look_at_nothing_takes_no_lock(office: Office) -> None:
    with database.writing(office.engine):
        office.desk.look(office.engine)


def test_alerts_over_records_close_after_a_quiet_day(office: Office) -> None:
    office.books.store(rows(9))
    office.now += 1
    office.books.store(rows(8, score=6.0, level="medium", threats=(), user="mild"))
    office.now += 86_401
    office.desk.look(office.engine)
    assert [(one.level, one.state, one.resolved_by) for one in office.alerts()] == [
        ("critical", "open", ""),  # nobody has looked at it yet
        ("warning", "resolved", "silence"),
    ]


def test_people_acknowledge_and_resolve(office: Office) -> None:
    office.books.store(rows(9))
    office.settle()
    (alert,) = office.alerts()
    with database.writing(office.engine) as connection:
        taken = office.desk.acknowledge(connection, alert, "bob", "on it")
    assert office.alerts() == [taken]
    assert (taken.state, taken.acknowledged_by, taken.note) == ("acknowledged", "bob", "on it")
    office.now += 1
    with database.writing(office.engine) as connection:
        done = office.desk.resolve(connection, taken, "eve")
    assert (done.state, done.resolved_by, done.note) == ("resolved", "eve", "on it")
    assert kinds(office.notices()) == [("opened", "delivered"), ("resolved", "pending")]
    office.now += 1
    office.books.store(rows(29))
    assert [one.state for one in office.alerts()] == ["resolved", "open"]  # a new alert


def test_pruning(office: Office) -> None:
    office.books.store(rows(9))
    with database.writing(office.engine) as connection:
        office.desk.resolve(connection, office.alerts()[0], "bob")
    office.now += 90 * 86_400 + 1
    office.desk.prune(office.engine)
    assert office.alerts() == []


def test_ids_sort_by_time() -> None:
    assert time_id(BEGAN_UNIX_US) < time_id(BEGAN_UNIX_US + 1_000)
