"""Sessions and counted log-ins as both engines hold them."""

import pytest
from sqlalchemy import Engine, func, select

from analytics.store import accounts, database, sessions
from analytics.store.accounts import Account
from analytics.store.sessions import Session
from analytics.store.tables import LOGIN_ATTEMPTS, SESSIONS
from tests.analytics.access.people_here import tenant


@pytest.fixture
def held(engine: Engine) -> Engine:
    with database.writing(engine) as connection:
        tenant(connection, "acme")
        accounts.add(connection, Account("alice", "analyst", "acme"), None)
        accounts.add(connection, Account("bob", "viewer"), None)
        sessions.begin(connection, "one", "alice", "10.0.0.1", 100)
        sessions.begin(connection, "two", "alice", "10.0.0.2", 200)
        sessions.begin(connection, "three", "bob", "10.0.0.3", 300)
    return engine


def test_a_session_is_found_with_its_account_as_it_is_now(held: Engine) -> None:
    with database.writing(held) as connection:
        assert sessions.find(connection, "one", 0, 0) == Session("one", "alice", "analyst", "acme", 100, 100)
        accounts.change(connection, "alice", role="viewer")
        assert sessions.find(connection, "one", 0, 0) == Session("one", "alice", "viewer", "acme", 100, 100)
        accounts.change(connection, "alice", disabled=True)
        assert sessions.find(connection, "one", 0, 0) is None


@pytest.mark.parametrize(
    ("began_after", "seen_after", "there"), [(99, 149, True), (100, 149, False), (99, 150, False), (0, 0, True)]
)
def test_a_session_ends_by_itself(held: Engine, began_after: int, seen_after: int, there: bool) -> None:
    with database.writing(held) as connection:
        sessions.seen(connection, "one", 150)
        assert (sessions.find(connection, "one", began_after, seen_after) is not None) is there


def _held(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(connection.execute(select(SESSIONS.c.digest)).scalars())


def test_sessions_are_ended_one_by_one_or_all_but_one(held: Engine) -> None:
    with database.writing(held) as connection:
        sessions.end_all(connection, "alice", but="two")
    assert _held(held) == ["three", "two"]
    with database.writing(held) as connection:
        sessions.end(connection, "two")
    assert _held(held) == ["three"]


def test_log_ins_are_counted_by_key_and_window(held: Engine) -> None:
    with database.writing(held) as connection:
        for _ in range(3):
            sessions.attempt(connection, "account:alice", 900)
        sessions.attempt(connection, "address:10.0.0.1", 900)
        counts = [sessions.attempts(connection, key, 900) for key in ("account:alice", "address:10.0.0.1", "other")]
        assert counts == [3, 1, 0]
        assert sessions.attempts(connection, "account:alice", 1_800) == 0
        sessions.attempt(connection, "account:alice", 1_800)  # a new window begins
        assert sessions.attempts(connection, "account:alice", 1_800) == 1
        sessions.forget_attempts(connection, "account:alice")
        assert sessions.attempts(connection, "account:alice", 1_800) == 0


def test_what_is_over_is_forgotten(held: Engine) -> None:
    with database.writing(held) as connection:
        sessions.attempt(connection, "old", 0)
        sessions.attempt(connection, "new", 900)
        sessions.prune(connection, began_before_s=200, window_s=900)
        assert connection.execute(select(func.count()).select_from(LOGIN_ATTEMPTS)).scalar() == 1
    assert _held(held) == ["three"]
