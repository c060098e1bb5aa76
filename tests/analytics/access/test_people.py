"""Who may make, change and remove whose account, and what the audit trail says."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from analytics.access import log_in, passwords, people
from analytics.access.log_in import Lifetime
from analytics.access.people import Changes, NewAccount
from analytics.access.principal import LOCAL, Principal
from analytics.access.refusals import AccessError
from analytics.store import accounts, audit, database
from analytics.store.accounts import Account
from tests.analytics.access.people_here import NOW_S, PASSWORD, person, session, tenant

ACME_ADMIN = Principal("anna", "admin", "acme")
LIFETIME = Lifetime(3_600, 86_400)


@pytest.fixture
def connection(sqlite_engine: Engine) -> Iterator[Connection]:
    with database.writing(sqlite_engine) as connection:
        tenant(connection, "acme")
        yield connection


def refused(call: object, *arguments: object) -> tuple[str, str | None]:
    with pytest.raises(AccessError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.kind, caught.value.param


def test_an_account_is_made_and_noted_without_its_password(connection: Connection) -> None:
    made = people.create(connection, LOCAL, NewAccount("alice", "admin", None, PASSWORD), NOW_S)
    assert made == Account("alice", "admin", created_unix_s=int(NOW_S)) == accounts.find(connection, "alice")
    assert passwords.verify(accounts.password_hash(connection, "alice"), PASSWORD)
    ((_, entry),) = audit.page(connection, None, 10)
    after = {"role": "admin", "tenant": None, "disabled": False}
    assert entry == audit.Entry(int(NOW_S * 1e6), "local", "account.create", "alice", "", None, after)
    assert PASSWORD not in repr(NewAccount("alice", "admin", None, PASSWORD))


@pytest.mark.parametrize("name", ["", "Alice", "-a", "a b", "a/b", "é", "a" * 65, "alice\n", "a\x00b"])
def test_names_are_plain(connection: Connection, name: str) -> None:
    assert refused(people.create, connection, LOCAL, NewAccount(name, "viewer"), NOW_S) == ("invalid", "name")


def test_bad_passwords_taken_names_and_unknown_tenants_are_refused(connection: Connection) -> None:
    person(connection, "alice", "viewer")
    for new, why in (
        (NewAccount("bob", "viewer", None, "short"), ("invalid", "password")),
        (NewAccount("alice", "viewer", None, None), ("conflict", "name")),
        (NewAccount("bob", "viewer", "nowhere", None), ("invalid", "tenant")),
    ):
        assert refused(people.create, connection, LOCAL, new, NOW_S) == why
    assert [one.name for one in accounts.every(connection, None)] == ["alice"]


def test_an_administrator_of_a_tenant_administers_it_alone(connection: Connection) -> None:
    person(connection, "root", "admin")
    person(connection, "zoe", "viewer", "zeta")
    person(connection, "amy", "viewer", "acme")
    assert people.create(connection, ACME_ADMIN, NewAccount("abe", "admin", "acme"), NOW_S).tenant == "acme"
    for of in (None, "zeta"):
        new = NewAccount("x", "viewer", of)
        assert refused(people.create, connection, ACME_ADMIN, new, NOW_S) == ("forbidden", "tenant")
    for name in ("root", "zoe", "nobody"):
        assert refused(people.change, connection, ACME_ADMIN, name, Changes(disabled=True), NOW_S) == (
            "missing",
            "name",
        )
        assert refused(people.remove, connection, ACME_ADMIN, name, NOW_S) == ("missing", "name")
    assert people.change(connection, ACME_ADMIN, "amy", Changes(role="analyst"), NOW_S).role == "analyst"
    people.remove(connection, ACME_ADMIN, "amy", NOW_S)
    entries = [(one.action, one.subject, one.tenant) for _, one in audit.page(connection, "acme", 10)]
    assert sorted(entries) == [
        ("account.change", "amy", "acme"),
        ("account.create", "abe", "acme"),
        ("account.remove", "amy", "acme"),
    ]


@pytest.mark.parametrize("wanted", [Changes(role="analyst"), Changes(disabled=True), None])
def test_the_last_administrator_of_the_installation_stays(connection: Connection, wanted: Changes | None) -> None:
    person(connection, "root", "admin")
    person(connection, "anna", "admin", "acme")  # administers a tenant, which lets nobody else in

    def try_it() -> None:
        if wanted is None:
            people.remove(connection, LOCAL, "root", NOW_S)
        else:
            people.change(connection, LOCAL, "root", wanted, NOW_S)

    assert refused(try_it) == ("conflict", None)
    person(connection, "second", "admin")
    try_it()
    assert accounts.admins(connection) == 1


def test_a_new_password_or_none_any_more_ends_the_sessions(connection: Connection) -> None:
    for number, wanted in enumerate((Changes(password=PASSWORD), Changes(disabled=True))):
        name = f"user{number}"
        person(connection, name, "viewer")
        secret = session(connection, name, NOW_S)
        assert log_in.current(connection, secret, LIFETIME, NOW_S) is not None
        people.change(connection, LOCAL, name, wanted, NOW_S)
        people.change(connection, LOCAL, name, Changes(disabled=False), NOW_S)
        assert log_in.current(connection, secret, LIFETIME, NOW_S) is None


def test_a_change_of_role_keeps_them_and_is_noted(connection: Connection) -> None:
    person(connection, "alice", "viewer")
    secret = session(connection, "alice", NOW_S)
    people.change(connection, LOCAL, "alice", Changes(role="analyst"), NOW_S + 1)
    found = log_in.current(connection, secret, LIFETIME, NOW_S)
    assert found is not None
    assert found.role == "analyst"
    entry = audit.page(connection, None, 1)[0][1]
    assert (entry.before, entry.after) == (
        {"role": "viewer", "tenant": None, "disabled": False},
        {"role": "analyst", "tenant": None, "disabled": False},
    )


def test_a_password_change_is_noted_without_it(connection: Connection) -> None:
    person(connection, "alice", "viewer")
    people.change(connection, LOCAL, "alice", Changes(password=PASSWORD), NOW_S)
    assert audit.page(connection, None, 1)[0][1].after == {
        "role": "viewer",
        "tenant": None,
        "disabled": False,
        "password": "changed",
    }


def test_one_s_own_new_password_ends_one_s_other_sessions(connection: Connection) -> None:
    person(connection, "alice", "viewer")
    person(connection, "bob", "viewer")
    here, bobs = session(connection, "alice", NOW_S), session(connection, "bob", NOW_S)
    there = log_in.begin(connection, "alice", "10.0.0.9", NOW_S, lambda count: b"y" * count)
    mine = log_in.current(connection, here, LIFETIME, NOW_S)
    assert mine is not None
    people.change_own_password(connection, mine, PASSWORD, NOW_S + 1)
    left = [log_in.current(connection, secret, LIFETIME, NOW_S) is not None for secret in (here, there, bobs)]
    assert left == [True, False, True]
    assert passwords.verify(accounts.password_hash(connection, "alice"), PASSWORD)
    assert audit.page(connection, None, 1)[0][1].action == "account.password"


def test_who_logs_in_elsewhere_gets_no_password_here(connection: Connection) -> None:
    people.create(connection, LOCAL, NewAccount("carol", "viewer", None, None, "https://id.test carol"), NOW_S)
    wanted = Changes(password=PASSWORD)
    assert refused(people.change, connection, LOCAL, "carol", wanted, NOW_S) == ("invalid", "password")
