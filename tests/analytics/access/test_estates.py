"""Who may make, rename and forget tenants."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from analytics.access import estates
from analytics.access.principal import LOCAL, Principal
from analytics.access.refusals import AccessError
from analytics.store import audit, database, tenants
from analytics.store.tenants import Tenant
from tests.analytics.access.people_here import NOW_S, person

ANNA = Principal("anna", "admin", "acme")


@pytest.fixture
def connection(sqlite_engine: Engine) -> Iterator[Connection]:
    with database.writing(sqlite_engine) as connection:
        yield connection


def refused(call: object, *arguments: object) -> str:
    with pytest.raises(AccessError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.kind


def test_a_tenant_is_made_renamed_and_forgotten_each_with_its_line(connection: Connection) -> None:
    assert estates.create(connection, LOCAL, "acme", "", NOW_S) == Tenant("acme", "", int(NOW_S))
    assert estates.rename(connection, LOCAL, "acme", "ACME", NOW_S + 1) == Tenant("acme", "ACME", int(NOW_S))
    estates.remove(connection, LOCAL, "acme", NOW_S + 2)
    assert tenants.find(connection, "acme") is None
    lines = [(one.action, one.subject, one.before, one.after) for _, one in audit.page(connection, "acme", 9)]
    assert lines == [
        ("tenant.remove", "acme", {"title": "ACME"}, None),
        ("tenant.change", "acme", {"title": ""}, {"title": "ACME"}),
        ("tenant.create", "acme", None, {"title": ""}),
    ]


def test_what_cannot_be_is_refused(connection: Connection) -> None:
    person(connection, "amy", "viewer", "acme")
    assert refused(estates.create, connection, LOCAL, "acme", "", NOW_S) == "conflict"
    assert refused(estates.create, connection, LOCAL, " acme", "", NOW_S) == "invalid"
    assert refused(estates.rename, connection, LOCAL, "zeta", "", NOW_S) == "missing"
    assert refused(estates.remove, connection, LOCAL, "zeta", NOW_S) == "missing"
    assert refused(estates.remove, connection, LOCAL, "acme", NOW_S) == "conflict"


def test_an_administrator_of_a_tenant_makes_none_and_renames_none(connection: Connection) -> None:
    person(connection, "amy", "viewer", "acme")
    for call, arguments in (
        (estates.create, ("beta", "")),
        (estates.rename, ("acme", "x")),
        (estates.remove, ("acme",)),
    ):
        assert refused(call, connection, ANNA, *arguments, NOW_S) == "forbidden"
