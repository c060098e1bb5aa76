"""Tenants: who may make, rename and forget them, each change with its line in the audit trail.

In: a transaction, who asks, names. Out: tenants. Raises AccessError in words for whoever asked.
Only who administers the whole installation makes tenants. A tenant's name is what records bear, so it never changes, and
forgetting a tenant forgets none of its records.
"""

from dataclasses import replace

from sqlalchemy import Connection

from analytics.access.principal import Principal
from analytics.access.refusals import AccessError
from analytics.store import audit, tenants
from analytics.store.tenants import Tenant

NAME = r"^[^/\x00-\x1f\x7f]{1,256}$"  # of any script, as namespaces and headers may name them; no slash: it stands in paths


def create(connection: Connection, by: Principal, name: str, title: str, now_s: float) -> Tenant:
    """Make a tenant. Raises: AccessError."""
    _check(by)
    if name != name.strip():
        raise AccessError("invalid", "a name does not begin or end with a space", "name")
    if tenants.find(connection, name) is not None:
        raise AccessError("conflict", "a tenant of this name exists", "name")
    tenant = Tenant(name, title, int(now_s))
    tenants.add(connection, tenant)
    audit.add(connection, replace(_entry(by, "tenant.create", name, now_s), after={"title": title}))
    return tenant


def rename(connection: Connection, by: Principal, name: str, title: str, now_s: float) -> Tenant:
    """Give a tenant another title. Raises: AccessError."""
    _check(by)
    before = _there(connection, name)
    tenants.rename(connection, name, title)
    entry = _entry(by, "tenant.change", name, now_s)
    audit.add(connection, replace(entry, before={"title": before.title}, after={"title": title}))
    return replace(before, title=title)


def remove(connection: Connection, by: Principal, name: str, now_s: float) -> None:
    """Forget a tenant that nobody is bound to; its records stay. Raises: AccessError."""
    _check(by)
    before = _there(connection, name)
    if bound := tenants.bound(connection, name):
        raise AccessError("conflict", f"{bound} accounts and tokens are bound to this tenant")
    tenants.remove(connection, name)
    audit.add(connection, replace(_entry(by, "tenant.remove", name, now_s), before={"title": before.title}))


def _check(by: Principal) -> None:
    if by.tenant is not None:
        raise AccessError("forbidden", f"{by.name} administers the tenant {by.tenant} only")


def _there(connection: Connection, name: str) -> Tenant:
    tenant = tenants.find(connection, name)
    if tenant is None:
        raise AccessError("missing", "no tenant of this name was made here", "name")
    return tenant


def _entry(by: Principal, action: str, name: str, now_s: float) -> audit.Entry:
    return audit.Entry(int(now_s * 1e6), by.name, action, name, name)
