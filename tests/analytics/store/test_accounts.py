"""Accounts as both engines hold them."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from analytics.store import accounts, database, sessions
from analytics.store.accounts import Account
from tests.analytics.access.people_here import tenant

ALICE = Account("alice", "admin", created_unix_s=10)
BOB = Account("bob", "viewer", "acme", created_unix_s=11)
CAROL = Account("carol", "admin", "acme", subject="https://id.test carol", created_unix_s=12)


@pytest.fixture
def held(engine: Engine) -> Engine:
    with database.writing(engine) as connection:
        tenant(connection, "acme")
        accounts.add(connection, ALICE, "hash-a")
        accounts.add(connection, BOB, "hash-b")
        accounts.add(connection, CAROL, None)
    return engine


def test_accounts_are_listed_by_name_and_by_tenant(held: Engine) -> None:
    with held.connect() as connection:
        assert accounts.every(connection, None) == [ALICE, BOB, CAROL]
        assert accounts.every(connection, "acme") == [BOB, CAROL]
        assert accounts.every(connection, "default") == []
        assert (accounts.find(connection, "bob"), accounts.find(connection, "nobody")) == (BOB, None)
        assert accounts.of_subject(connection, "https://id.test carol") == CAROL
        assert accounts.of_subject(connection, "") is None


def test_only_people_of_the_whole_installation_administer_it(held: Engine) -> None:
    with database.writing(held) as connection:
        assert accounts.admins(connection) == 1
        accounts.change(connection, "alice", disabled=True)
        assert accounts.admins(connection) == 0


def test_a_disabled_account_has_no_password(held: Engine) -> None:
    with database.writing(held) as connection:
        names = ("alice", "bob", "carol", "nobody")
        assert [accounts.password_hash(connection, name) for name in names] == ["hash-a", "hash-b", None, None]
        accounts.change(connection, "alice", disabled=True)
        assert accounts.password_hash(connection, "alice") is None


def test_there_are_accounts_or_none(engine: Engine) -> None:
    with database.writing(engine) as connection:
        assert not accounts.there_are(connection)
        accounts.add(connection, ALICE, None)
        assert accounts.there_are(connection)


def test_removing_an_account_ends_its_sessions(held: Engine) -> None:
    with database.writing(held) as connection:
        sessions.begin(connection, "digest", "bob", "127.0.0.1", 100)
        accounts.remove(connection, "bob")
        assert accounts.find(connection, "bob") is None
        assert sessions.find(connection, "digest", 0, 0) is None


@pytest.mark.parametrize("taken", [ALICE, Account("dave", "viewer", subject="https://id.test carol")])
def test_names_and_subjects_are_taken_once(held: Engine, taken: Account) -> None:
    with pytest.raises(IntegrityError), database.writing(held) as connection:
        accounts.add(connection, taken, None)
