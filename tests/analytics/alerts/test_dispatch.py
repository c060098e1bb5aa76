"""The dispatcher, on both engines, against real receivers: told once, tried again, given up, restarted, shared."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine

from analytics import config
from analytics.alerts import http
from analytics.alerts.desk import Desk
from analytics.alerts.dispatch import LEASE_S, Dispatcher, World
from analytics.alerts.roster import Roster
from analytics.alerts.vault import Vault
from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.store import alerts, database, outbox
from analytics.types.alerts import Outgoing
from tests.analytics.alerts import receivers
from tests.analytics.alerts.receivers import Answer, Http
from tests.analytics.traffic import record

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Clock:
    """Time that is moved by hand, beginning now."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Replica:
    """One replica of alerting on a database."""

    def __init__(self, engine: Engine, folder: Path, clock: Clock, **settings: Any) -> None:
        self.engine = engine
        given = config.load(data_dir=folder, alert_poll_s=0.1, alert_min_level="info", **settings)
        self._client = http.client()
        self.roster = Roster(given, Vault(given), http.Rim(http.poster(self._client, clock), clock))
        numbers = iter(range(10**9))
        self.counted: list[tuple[str, str]] = []
        world = World(clock, Random(1), lambda: f"{id(self)}-{next(numbers)}", lambda *one: self.counted.append(one))
        self.dispatcher = Dispatcher(engine, self.roster, given, world)
        self.desk = Desk(given, self.roster, clock, self.dispatcher.wake)
        self.books = Books(engine, ledgers=(self.desk.ledger,), listeners=(self.desk.listener,))

    def store(self, *numbers: int, **fields: Any) -> None:
        self.books.store([replace(decode(record(number)), **fields) for number in numbers])

    def __enter__(self) -> "Replica":
        self.dispatcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.dispatcher.stop(5)
        self._client.close()

    def notices(self) -> list[Outgoing]:
        with self.engine.connect() as connection:
            return outbox.page(connection, None, None, 100)[::-1]

    def wait(self, *states: str) -> list[Outgoing]:
        """Return the notices once they are of these states."""
        for _ in range(500):
            found = self.notices()
            if sorted(one.state for one in found) == sorted(states) and not any(one.lease for one in found):
                return found
            time.sleep(0.01)
        raise AssertionError(self.notices())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver() -> Iterator[Http]:
    with receivers.http() as one:
        yield one


def test_a_commit_wakes_the_dispatcher_and_all_four_channels_are_told(
    engine: Engine, tmp_path: Path, clock: Clock, receiver: Http
) -> None:
    with receivers.smtp() as mailbox:
        settings = {
            "alert_email_to": "ops@example.com",
            "smtp_host": "127.0.0.1",
            "smtp_port": mailbox.port,
            "smtp_encryption": "none",
            "slack_webhook_url": receiver.url + "/slack",
            "teams_webhook_url": receiver.url + "/teams",
            "alert_webhook_url": receiver.url + "/webhook",
            "alert_webhook_secret": SECRET,
        }
        with Replica(engine, tmp_path, clock, **settings) as replica:
            replica.store(9)
            (mail,) = mailbox.wait(1)
            came = {one.path: one for one in receiver.wait(3)}
            notices = {one.channel_id: one for one in replica.wait(*["delivered"] * 4)}
    assert sorted(came) == ["/slack", "/teams", "/webhook"]
    assert mail["subject"] == "[Douane] CRITICAL: prompt injection by user-9 was denied"
    assert came["/slack"].json["text"] == "CRITICAL: prompt injection by user-9 was denied"
    assert came["/webhook"].headers["webhook-id"] == notices["webhook"].delivery_id
    decision = record(9).decision_id
    assert came["/webhook"].json["links"]["decision"] == f"http://localhost:8000/dashboard/decisions/{decision}"
    assert sorted(replica.counted) == [(kind, "ok") for kind in ("email", "slack", "teams", "webhook")]
    assert {(one.attempts, one.detail, one.finished_unix_us is not None) for one in notices.values()} == {
        (1, "200", True),
        (1, "250", True),
    }


def test_what_does_not_work_is_tried_again_later_under_the_same_id(
    engine: Engine, tmp_path: Path, clock: Clock, receiver: Http
) -> None:
    receiver.answers = [Answer(503), Answer(429, {"retry-after": "600"})]
    with Replica(engine, tmp_path, clock, alert_webhook_url=receiver.url) as replica:
        replica.store(9)
        receiver.wait(1)
        (first,) = replica.wait("pending")
        waits = (first.due_unix_us / 1e6 - clock.now, first.attempts, first.detail)
        clock.now += 7.5  # the longest first wait: 5 s and half as much by chance
        receiver.wait(2)
        (second,) = replica.wait("pending")
        assert second.due_unix_us == round((clock.now + 600) * 1e6)
        clock.now += 600
        (third,) = replica.wait("delivered")
    assert 2.5 <= waits[0] <= 7.5
    assert waits[1:] == (1, "503")
    assert (third.attempts, third.detail) == (3, "200")
    assert {one.headers["webhook-id"] for one in receiver.received} == {first.delivery_id}


def test_what_is_refused_is_a_dead_letter_that_can_be_tried_again(
    engine: Engine, tmp_path: Path, clock: Clock, receiver: Http
) -> None:
    receiver.answers = [Answer(404)]
    with Replica(engine, tmp_path, clock, slack_webhook_url=receiver.url + "/s3cret") as replica:
        replica.store(9)
        (dead,) = replica.wait("failed")
        with outbox.changing(engine) as connection:
            assert outbox.again(connection, dead.delivery_id, replica.desk.now_unix_us)
        replica.dispatcher.wake()
        (alive,) = replica.wait("delivered")
    assert (dead.attempts, dead.detail, alive.attempts) == (1, "404", 1)
    assert "s3cret" not in repr((dead, alive))


def test_what_never_works_is_given_up_after_a_day(engine: Engine, tmp_path: Path, clock: Clock, receiver: Http) -> None:
    receiver.answers = [Answer(500)] * 100
    with Replica(engine, tmp_path, clock, alert_webhook_url=receiver.url) as replica:
        replica.store(9)
        for attempt in range(1, 6):
            receiver.wait(attempt)
            (waiting,) = replica.wait("pending" if attempt < 5 else "failed")
            assert waiting.attempts == attempt
            clock.now += 30_000
    assert waiting.detail == "given up: 500"


def test_a_channel_that_rests_does_not_hold_up_others_nor_get_more(
    engine: Engine, tmp_path: Path, clock: Clock, receiver: Http
) -> None:
    receiver.answers = [Answer(503)]
    settings = {"slack_webhook_url": receiver.url + "/slack"}
    with Replica(engine, tmp_path, clock, **settings) as replica:
        replica.store(9)
        receiver.wait(1)
        replica.wait("pending")
        replica.store(19)
        time.sleep(0.3)
        assert len(receiver.received) == 1  # the second notice waits with the first
        clock.now += 8
        replica.wait("delivered", "delivered")
    assert [one.path for one in receiver.received] == ["/slack"] * 3


def test_nothing_is_lost_over_a_restart(engine: Engine, tmp_path: Path, clock: Clock, receiver: Http) -> None:
    before = Replica(engine, tmp_path, clock, alert_webhook_url=receiver.url)
    before.store(9)  # stored, and the process ends before anybody is told
    (held,) = before.notices()
    with outbox.changing(engine) as connection:  # another was being told when it was killed
        outbox.add(connection, replace(held, delivery_id="0" * 32, channel_id="webhook"))
        now = round(clock.now * 1e6)
        assert outbox.claim(connection, replace(held, delivery_id="0" * 32), "killed", now, now + LEASE_S * 1_000_000)
    with Replica(engine, tmp_path, clock, alert_webhook_url=receiver.url) as after:
        receiver.wait(1)
        assert [one.headers["webhook-id"] for one in receiver.received] == [held.delivery_id]
        clock.now += LEASE_S
        after.wait("delivered", "delivered")
    assert [one.headers["webhook-id"] for one in receiver.received] == [held.delivery_id, "0" * 32]


def test_of_several_replicas_each_notice_is_told_by_one(
    engine: Engine, tmp_path: Path, clock: Clock, receiver: Http
) -> None:
    replicas = [Replica(engine, tmp_path, clock, alert_webhook_url=receiver.url) for _ in range(3)]
    numbers = [9 + 10 * one for one in range(15)]
    for number in numbers:
        replicas[0].store(number, user=f"user-{number}")
    waiting = replicas[0].notices()
    for one in replicas:
        one.__enter__()
    try:
        replicas[0].wait(*["delivered"] * len(waiting))
    finally:
        for one in replicas:
            one.__exit__()
    told = [one.headers["webhook-id"] for one in receiver.received]
    assert sorted(told) == sorted(one.delivery_id for one in waiting)
    assert len(told) >= 15


def test_an_acknowledged_alert_is_not_escalated(engine: Engine, tmp_path: Path, clock: Clock, receiver: Http) -> None:
    settings: dict[str, Any] = {
        "slack_webhook_url": receiver.url + "/first",
        "teams_webhook_url": receiver.url + "/boss",
        "alert_escalation_channels": "teams",
    }
    with Replica(engine, tmp_path, clock, **settings) as replica:
        replica.store(9)
        replica.store(18, score=20.0, level="critical", user="other")
        replica.wait("delivered", "delivered", "pending", "pending")
        with database.writing(engine) as connection:
            (mine,) = [one for one in alerts.page(connection, alerts.Filter(), None, 9) if one.user == "other"]
            replica.desk.acknowledge(connection, mine, "bob", "")
        clock.now += 900
        found = replica.wait("delivered", "delivered", "delivered", "dropped")
    assert [one.path for one in receiver.received] == ["/first", "/first", "/boss"]
    assert receiver.received[-1].json["attachments"][0]["content"]["body"][0]["inlines"][0]["text"] == (
        "Nobody acknowledged: CRITICAL: prompt injection by user-9 was denied"
    )
    assert [one.detail for one in found if one.state == "dropped"] == ["the alert is acknowledged"]


def test_quiet_hours_hold_a_warning_back_until_they_end(
    engine: Engine, tmp_path: Path, clock: Clock, receiver: Http
) -> None:
    clock.now = 1_795_046_400.0  # 2026-11-19T00:00:00Z
    settings = {"slack_webhook_url": receiver.url, "alert_quiet_hours": "22:00-07:00 UTC"}
    with Replica(engine, tmp_path, clock, **settings) as replica:
        replica.store(8, score=6.0, level="medium")
        for _ in range(500):
            (waiting,) = replica.notices()
            if waiting.detail:
                break
            time.sleep(0.01)
        assert (waiting.detail, waiting.due_unix_us) == ("waits for quiet hours to end", 1_795_071_600_000_000)
        replica.store(9)  # CRITICAL passes
        receiver.wait(1)
        clock.now += 7 * 3_600
        replica.wait("delivered", "delivered")
    assert [one.json["text"].partition(":")[0] for one in receiver.received] == ["CRITICAL", "WARNING"]


def test_a_hanging_receiver_holds_up_its_own_channel_alone(
    engine: Engine, tmp_path: Path, clock: Clock, receiver: Http
) -> None:
    release = threading.Event()
    with receivers.http() as hanging:
        take = hanging.take

        def slowly(request: receivers.Received) -> Answer:
            release.wait(10)
            return take(request)

        hanging.take = slowly  # type: ignore[method-assign] # a receiver that hangs
        settings = {"slack_webhook_url": hanging.url, "teams_webhook_url": receiver.url}
        with Replica(engine, tmp_path, clock, **settings) as replica:
            replica.store(9)
            receiver.wait(1)
            replica.store(19)
            receiver.wait(2)
            assert hanging.received == []
            release.set()
            replica.wait(*["delivered"] * 4)


def test_stopping_does_not_wait_for_ever(sqlite_engine: Engine, tmp_path: Path, clock: Clock) -> None:
    release = threading.Event()
    with receivers.http() as hanging:
        hanging.take = lambda _request: Answer(200) if release.wait(10) else Answer(500)  # type: ignore[method-assign]
        replica = Replica(sqlite_engine, tmp_path, clock, slack_webhook_url=hanging.url)
        replica.dispatcher.start()
        replica.store(9)
        for _ in range(500):
            if replica.notices()[0].lease:
                break
            time.sleep(0.01)
        began = time.monotonic()
        replica.dispatcher.stop(0.2)
        assert time.monotonic() - began < 2
        release.set()
        replica.__exit__()  # what was being told ends, and its connection is closed


def test_the_log_holds_no_secret(
    sqlite_engine: Engine, tmp_path: Path, clock: Clock, receiver: Http, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    receiver.answers = [Answer(404), Answer(503)]
    with Replica(sqlite_engine, tmp_path, clock, slack_webhook_url=receiver.url + "/s3cret") as replica:
        replica.store(9)
        replica.store(19)
        receiver.wait(2)
        replica.wait("failed", "pending")
    ours = [entry for entry in caplog.records if entry.name.startswith("analytics")]
    assert {entry.message for entry in ours} >= {"alert.failed", "alert.retry"}
    assert "s3cret" not in json.dumps([entry.__dict__ for entry in ours], default=str)
