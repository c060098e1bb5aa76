"""Tenants: those that were made here, and those that records name without.

In: names. Out: Tenant values. Never: a tenant's rows of any other kind; deleting a tenant deletes its name only.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from analytics.store.tables import ACCOUNTS, SERIES, TENANTS, TOKENS


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant. created_unix_s None: records name it, nobody made it here."""

    name: str
    title: str = ""
    created_unix_s: int | None = None


def every(connection: Connection, tenant: str | None) -> list[Tenant]:
    """Return the tenants that may be shown, by name: those made here, and those that records name."""
    made = select(TENANTS.c.name, TENANTS.c.title, TENANTS.c.created_unix_s)
    named = select(SERIES.c.tenant).distinct()
    if tenant is not None:
        made, named = made.where(TENANTS.c.name == tenant), named.where(SERIES.c.tenant == tenant)
    found = {name: Tenant(name) for name in connection.execute(named).scalars()}
    found |= {row.name: Tenant(row.name, row.title, row.created_unix_s) for row in connection.execute(made)}
    return [found[name] for name in sorted(found)]


def find(connection: Connection, name: str) -> Tenant | None:
    """Return a tenant that was made here."""
    row = connection.execute(select(TENANTS).where(TENANTS.c.name == name)).first()
    return Tenant(row.name, row.title, row.created_unix_s) if row else None


def add(connection: Connection, tenant: Tenant) -> None:
    """Make a tenant. Raises: sqlalchemy.exc.IntegrityError when there is one of this name."""
    values = {"name": tenant.name, "title": tenant.title, "created_unix_s": tenant.created_unix_s}
    connection.execute(insert(TENANTS), values)


def rename(connection: Connection, name: str, title: str) -> None:
    """Give a tenant another title; its name stays, records bear it."""
    connection.execute(update(TENANTS).where(TENANTS.c.name == name).values(title=title))


def bound(connection: Connection, name: str) -> int:
    """Return how many accounts and tokens, revoked ones too, are bound to a tenant."""
    tables = (ACCOUNTS.c.name, ACCOUNTS.c.tenant), (TOKENS.c.token_id, TOKENS.c.tenant)
    return sum(len(connection.execute(select(key).where(column == name)).all()) for key, column in tables)


def remove(connection: Connection, name: str) -> None:
    """Forget a tenant. Raises: sqlalchemy.exc.IntegrityError while accounts or tokens are bound to it."""
    connection.execute(delete(TENANTS).where(TENANTS.c.name == name))
