"""People's accounts: who may make, change and remove whose, each change with its line in the audit trail.

In: a transaction, who asks, what they want. Out: accounts. Raises AccessError in words for whoever asked.
An administrator of a tenant administers that tenant's accounts only, and does not see that there are others.
The last person who administers the whole installation stays: nobody could let anybody in again.
Never: a password or its hash in the trail.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from analytics.access import passwords
from analytics.access.principal import Principal, Role
from analytics.access.refusals import AccessError
from analytics.store import accounts, audit, sessions, tenants
from analytics.store.accounts import Account
from analytics.store.sessions import Session

NAME = r"^[a-z0-9][a-z0-9._@+-]{0,63}$"
_NAME = re.compile(NAME.rstrip("$") + r"\Z")


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account is made of. password None: nobody can log in with one."""

    name: str
    role: Role
    tenant: str | None = None
    password: str | None = field(default=None, repr=False)
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to change of an account; None stays."""

    role: Role | None = None
    disabled: bool | None = None
    password: str | None = field(default=None, repr=False)


def create(connection: Connection, by: Principal, new: NewAccount, now_s: float) -> Account:
    """Make an account. Raises: AccessError."""
    check_tenant(connection, by, new.tenant)
    if not _NAME.match(new.name):
        message = "a name begins with a small letter or digit and has at most 64 of these and . _ @ + -"
        raise AccessError("invalid", message, "name")
    _check_password(new.password, new.name)
    if accounts.find(connection, new.name) is not None:
        raise AccessError("conflict", "an account of this name exists", "name")
    account = Account(new.name, new.role, new.tenant, new.subject, created_unix_s=int(now_s))
    accounts.add(connection, account, passwords.hashed(new.password) if new.password is not None else None)
    audit.add(connection, replace(_entry(by, "account.create", account, now_s), after=shown(account)))
    return account


def change(connection: Connection, by: Principal, name: str, wanted: Changes, now_s: float) -> Account:
    """Change an account; a new password, or none any more, ends its sessions. Raises: AccessError."""
    before = visible(connection, by, name)
    after = _change(connection, before, wanted)
    if wanted.password is not None or after.disabled:
        sessions.end_all(connection, name)
    told = shown(after) | ({"password": "changed"} if wanted.password is not None else {})
    audit.add(connection, replace(_entry(by, "account.change", before, now_s), before=shown(before), after=told))
    return after


def change_own_password(connection: Connection, session: Session, password: str, now_s: float) -> None:
    """Change the password of a session's account; its other sessions end. Raises: AccessError."""
    by = Principal(session.account, session.role, session.tenant)
    account = visible(connection, by, session.account)
    _change(connection, account, Changes(password=password))
    sessions.end_all(connection, account.name, but=session.digest)
    audit.add(connection, _entry(by, "account.password", account, now_s))


def _change(connection: Connection, before: Account, wanted: Changes) -> Account:
    after = replace(before, **{k: v for k in ("role", "disabled") if (v := getattr(wanted, k)) is not None})
    _keep_an_admin(connection, before, after)
    _check_password(wanted.password, before.name)
    if wanted.password is not None and before.subject is not None:
        raise AccessError(
            "invalid", "this person logs in at the identity provider and has no password here", "password"
        )
    values: dict[str, Any] = {"role": after.role, "disabled": after.disabled}
    if wanted.password is not None:
        values["password_hash"] = passwords.hashed(wanted.password)
    accounts.change(connection, before.name, **values)
    return after


def remove(connection: Connection, by: Principal, name: str, now_s: float) -> None:
    """Remove an account and end its sessions; the tokens it made stay. Raises: AccessError."""
    account = visible(connection, by, name)
    _keep_an_admin(connection, account, None)
    accounts.remove(connection, name)
    audit.add(connection, replace(_entry(by, "account.remove", account, now_s), before=shown(account)))


def visible(connection: Connection, by: Principal, name: str) -> Account:
    """Return an account that may be shown. Raises: AccessError."""
    account = accounts.find(connection, name)
    if account is None or (by.tenant is not None and account.tenant != by.tenant):
        raise AccessError("missing", "no account has this name", "name")
    return account


def check_tenant(connection: Connection, by: Principal, tenant: str | None) -> None:
    """Raises: AccessError when somebody may not make anything for this tenant, or there is none."""
    if by.tenant is not None and tenant != by.tenant:
        raise AccessError("forbidden", f"{by.name} administers the tenant {by.tenant} only", "tenant")
    if tenant is not None and tenants.find(connection, tenant) is None:
        raise AccessError("invalid", "no tenant has this name; make it first", "tenant")


def shown(account: Account) -> dict[str, Any]:
    """Return what the audit trail says of an account."""
    return {"role": account.role, "tenant": account.tenant, "disabled": account.disabled}


def _check_password(password: str | None, name: str) -> None:
    if password is not None and (wrong := passwords.complaint(password, name)):
        raise AccessError("invalid", wrong, "password")


def _keep_an_admin(connection: Connection, before: Account, after: Account | None) -> None:
    """Raises: AccessError when nobody would be left who administers the whole installation."""
    if _administers_all(before) and not (after and _administers_all(after)) and accounts.admins(connection) == 1:
        raise AccessError("conflict", "this is the last account that administers the whole installation")


def _administers_all(account: Account) -> bool:
    return account.role == "admin" and account.tenant is None and not account.disabled


def _entry(by: Principal, action: str, account: Account, now_s: float) -> audit.Entry:
    return audit.Entry(int(now_s * 1e6), by.name, action, account.name, account.tenant or "")
