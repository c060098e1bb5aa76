"""Tenants as both engines hold them."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from analytics.ingest.decode import decode
from analytics.store import accounts, database, records, tenants
from analytics.store.accounts import Account
from analytics.store.tenants import Tenant
from tests.analytics.traffic import record

ACME = Tenant("acme", "Acme Corporation", 1_700_000_000)


def test_tenants_are_those_made_here_and_those_that_records_name(engine: Engine) -> None:
    row = record(1)
    row.identity.tenant = "zeta"
    with database.writing(engine) as connection:
        tenants.add(connection, ACME)
        records.store(connection, [decode(row)])
    with engine.connect() as connection:
        (default,) = [tenants.find(connection, "default")]
        assert default is not None
        assert tenants.every(connection, None) == [ACME, default, Tenant("zeta")]
        assert tenants.every(connection, "acme") == [ACME]
        assert tenants.every(connection, "zeta") == [Tenant("zeta")]
        assert tenants.every(connection, "nobody") == []
        assert tenants.find(connection, "zeta") is None


def test_a_tenant_is_renamed_and_forgotten_unless_somebody_is_bound_to_it(engine: Engine) -> None:
    with database.writing(engine) as connection:
        tenants.add(connection, ACME)
        tenants.rename(connection, "acme", "ACME")
        assert tenants.find(connection, "acme") == Tenant("acme", "ACME", 1_700_000_000)
        accounts.add(connection, Account("alice", "viewer", "acme"), None)
        assert (tenants.bound(connection, "acme"), tenants.bound(connection, "default")) == (1, 0)
    with pytest.raises(IntegrityError), database.writing(engine) as connection:
        tenants.remove(connection, "acme")
    with database.writing(engine) as connection:
        accounts.remove(connection, "alice")
        tenants.remove(connection, "acme")
        assert tenants.find(connection, "acme") is None


def test_a_name_is_taken_once(engine: Engine) -> None:
    with database.writing(engine) as connection:
        tenants.add(connection, ACME)
    with pytest.raises(IntegrityError), database.writing(engine) as connection:
        tenants.add(connection, ACME)
