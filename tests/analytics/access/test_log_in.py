"""Log-ins: counted before they are looked at, and the sessions they begin."""

import threading

import pytest
from sqlalchemy import Engine

from analytics.access import log_in, passwords
from analytics.access.log_in import PER_ACCOUNT, PER_ADDRESS, WINDOW_S, Attempt, Lifetime
from analytics.access.refusals import AccessError
from analytics.store import accounts, audit, database
from tests.analytics.access.people_here import NOW_S, PASSWORD, person

LIFETIME = Lifetime(idle_s=600, max_s=3_600)
WINDOW_LEFT = WINDOW_S - int(NOW_S) % WINDOW_S


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Passwords compared in the clear, since argon2's cost is tested in test_passwords; what was compared is kept."""
    compared: list[str | None] = []

    def verify(held: str | None, password: str) -> bool:
        compared.append(held)
        return held == password

    monkeypatch.setattr(passwords, "verify", verify)
    monkeypatch.setattr(passwords, "stale", lambda held: False)
    return compared


@pytest.fixture
def held(sqlite_engine: Engine) -> Engine:
    with database.writing(sqlite_engine) as connection:
        person(connection, "alice", "analyst", "acme", PASSWORD)
    return sqlite_engine


def tried(engine: Engine, name: str, password: str, address: str = "10.0.0.1", now_s: float = NOW_S) -> str:
    try:
        return log_in.log_in(engine, Attempt(name, password, address), now_s)
    except AccessError as error:
        return f"{error.kind} {error.wait_s}".removesuffix(" 0")


def test_the_right_password_opens_and_nothing_else_says_why(held: Engine, quick: list[str | None]) -> None:
    assert [tried(held, name, PASSWORD) for name in ("alice", " ALICE ", "bob", "")] == [
        *("alice", "alice", "unknown", "unknown")
    ]
    assert tried(held, "alice", "wrong") == "unknown"
    assert quick == [PASSWORD, PASSWORD, None, None, PASSWORD]  # nobody's password is compared as well


def test_guesses_at_one_account_end(held: Engine) -> None:
    answers = [tried(held, "alice", "wrong", f"10.0.0.{number}") for number in range(PER_ACCOUNT + 2)]
    wait = f"too_many {WINDOW_LEFT}"
    assert answers == ["unknown"] * PER_ACCOUNT + [wait, wait]
    assert tried(held, "alice", PASSWORD, "10.0.1.1") == wait  # the right one comes too late as well
    assert tried(held, "alice", PASSWORD, "10.0.1.1", NOW_S + WINDOW_LEFT) == "alice"


def test_guesses_from_one_address_end_whether_accounts_exist_or_not(held: Engine) -> None:
    answers = [tried(held, f"user{number}", "wrong") for number in range(PER_ADDRESS + 1)]
    assert answers == ["unknown"] * PER_ADDRESS + [f"too_many {WINDOW_LEFT}"]
    assert tried(held, "alice", PASSWORD, "10.0.0.2") == "alice"


def test_who_proves_to_be_alice_has_tries_again(held: Engine) -> None:
    for _ in range(3):
        assert [tried(held, "alice", "wrong") for _ in range(PER_ACCOUNT - 1)] == ["unknown"] * (PER_ACCOUNT - 1)
        assert tried(held, "alice", PASSWORD) == "alice"


@pytest.mark.server
def test_guesses_at_the_same_time_are_counted_all(engine: Engine) -> None:
    with database.writing(engine) as connection:
        person(connection, "alice", "viewer", None, PASSWORD)
    answers: list[str] = []
    threads = [
        threading.Thread(
            target=lambda number=number: answers.append(tried(engine, "alice", "wrong", f"10.1.0.{number}"))
        )
        for number in range(PER_ACCOUNT + 6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [f"too_many {WINDOW_LEFT}"] * 6 + ["unknown"] * PER_ACCOUNT


def test_a_hash_of_another_cost_is_made_anew(held: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "stale", lambda held: True)
    monkeypatch.setattr(passwords, "hashed", lambda password: f"new {password}")
    assert tried(held, "alice", PASSWORD) == "alice"
    with held.connect() as connection:
        assert accounts.password_hash(connection, "alice") == f"new {PASSWORD}"


def test_a_session_lives_while_it_is_used_and_not_for_ever(held: Engine) -> None:
    with database.writing(held) as connection:
        secret = log_in.begin(connection, "alice", "10.0.0.1", NOW_S, lambda count: b"s" * count)
        found = log_in.current(connection, secret, LIFETIME, NOW_S + 599)
        assert found is not None
        assert (found.account, found.role, found.tenant) == ("alice", "analyst", "acme")
        assert log_in.current(connection, secret, LIFETIME, NOW_S + 600) is None  # not used
        assert log_in.current(connection, secret, Lifetime(10**6, 3_600), NOW_S + 3_599) is not None
        assert log_in.current(connection, secret, Lifetime(10**6, 3_600), NOW_S + 3_600) is None
        assert log_in.current(connection, "nothing", LIFETIME, NOW_S) is None
        account = accounts.find(connection, "alice")
        assert account is not None
        assert account.last_login_unix_s == int(NOW_S)
        entry = audit.page(connection, "acme", 1)[0][1]
    assert (entry.actor, entry.action, entry.after) == ("alice", "session.begin", {"address": "10.0.0.1"})


def test_a_disabled_account_begins_no_session(held: Engine) -> None:
    with database.writing(held) as connection:
        accounts.change(connection, "alice", disabled=True)
        with pytest.raises(AccessError):
            log_in.begin(connection, "alice", "10.0.0.1", NOW_S, lambda count: b"s" * count)
    assert tried(held, "alice", PASSWORD) == "unknown"


def test_the_csrf_token_belongs_to_one_session() -> None:
    token = log_in.csrf_token("one")
    assert log_in.is_csrf_token("one", token)
    assert not log_in.is_csrf_token("two", token)
    assert not log_in.is_csrf_token("one", "")
    assert not log_in.is_csrf_token("one", "é\ud800")
    assert "one" not in token
