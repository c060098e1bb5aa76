"""The outbox, on both engines: who gets which notice, and when."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from analytics.store import outbox
from analytics.types.alerts import Outgoing


def outgoing(delivery_id: str, channel: str = "slack", due: int = 100, **fields: object) -> Outgoing:
    made = Outgoing(delivery_id, "alert", "default", channel, "opened", "pending", 0, 100, due)
    return replace(made, **fields)  # type: ignore[arg-type] # fields of Outgoing


def put(engine: Engine, *some: Outgoing) -> None:
    with outbox.changing(engine) as connection:
        for one in some:
            outbox.add(connection, one)


def test_the_oldest_of_each_channel_that_is_due_and_free(engine: Engine) -> None:
    some = [
        outgoing("d1"),
        outgoing("d2"),
        outgoing("d3", "mail"),
        outgoing("d4", "late", due=101),
        outgoing("d5", "taken", leased_until_unix_us=101, lease="x"),
        outgoing("d6", "done", state="delivered"),
        outgoing("d7", "busy"),
        outgoing("d8", "freed", leased_until_unix_us=100, lease="x"),
    ]
    put(engine, *some)
    with engine.connect() as connection:
        assert outbox.due(connection, 100, {"busy"}, 9) == [some[0], some[2], some[7]]
        assert outbox.due(connection, 100, (), 2) == [some[0], some[2]]


def test_when_to_look_again(engine: Engine) -> None:
    with engine.connect() as connection:
        assert outbox.next_unix_us(connection, ()) is None
    put(
        engine,
        outgoing("d1", due=50, leased_until_unix_us=80),
        outgoing("d2", "mail", due=70),
        outgoing("d3", due=1, state="failed"),
    )
    with engine.connect() as connection:
        assert outbox.next_unix_us(connection, ()) == 70
        assert outbox.next_unix_us(connection, {"mail"}) == 80
        assert outbox.next_unix_us(connection, {"mail", "slack"}) is None


def test_only_one_of_two_claims_and_only_the_holder_settles(engine: Engine) -> None:
    one = outgoing("d1")
    put(engine, one)
    with outbox.changing(engine) as connection:
        assert [outbox.claim(connection, one, lease, 100, 200) for lease in ("mine", "yours")] == [True, False]
    sent = replace(one, state="delivered", attempts=1, finished_unix_us=150, detail="200")
    with outbox.changing(engine) as connection:
        assert outbox.settle(connection, sent, "yours") is False
        assert outbox.settle(connection, sent, "mine") is True
        assert outbox.settle(connection, replace(sent, state="failed"), "mine") is False
        assert outbox.claim(connection, one, "late", 300, 400) is False
    with engine.connect() as connection:
        assert outbox.read(connection, "d1", None) == sent


def test_a_lease_ends_by_itself_and_who_lost_it_changes_nothing(engine: Engine) -> None:
    one = outgoing("d1")
    put(engine, one)
    with outbox.changing(engine) as connection:
        assert outbox.claim(connection, one, "killed", 100, 200)
        assert not outbox.claim(connection, one, "next", 199, 300)
        assert outbox.claim(connection, one, "next", 200, 300)
        assert not outbox.settle(connection, replace(one, state="delivered"), "killed")
        outbox.release(connection, ["next", "another"])
        assert outbox.claim(connection, one, "third", 200, 300)


@pytest.mark.parametrize(("state", "done"), [("failed", True), ("delivered", False), ("pending", False)])
def test_what_was_given_up_can_be_tried_again(engine: Engine, state: str, done: bool) -> None:
    put(engine, outgoing("d1", state=state, attempts=7, finished_unix_us=120, detail="503"))
    with outbox.changing(engine) as connection:
        assert outbox.again(connection, "d1", 500) is done
        held = outbox.read(connection, "d1", None)
    assert held is not None
    assert (held.state, held.attempts, held.due_unix_us) == (("pending", 0, 500) if done else (state, 7, 100))


def test_lists_are_the_tenants_own(engine: Engine) -> None:
    some = [outgoing("d1"), outgoing("d2", state="failed"), outgoing("d3", tenant="other", state="failed")]
    put(engine, *some)
    with engine.connect() as connection:
        assert outbox.page(connection, "failed", None, 9) == [some[2], some[1]]
        assert outbox.page(connection, None, "default", 9) == [some[1], some[0]]
        assert outbox.page(connection, None, None, 9, "d3") == [some[1], some[0]]
        assert outbox.of_alert(connection, "alert") == some
        assert outbox.read(connection, "d3", "default") is None
