"""People's accounts.

In: Account values, password hashes. Out: Account values; the hash only to the log-in that asks for it.
Never: a rule about who may change what; those are in analytics/access/people.py.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from analytics.access.principal import Role
from analytics.store.tables import ACCOUNTS


@dataclass(frozen=True, slots=True)
class Account:
    """An account. tenant None: the whole installation; subject: who it is at the OIDC provider, None for a password."""

    name: str
    role: Role
    tenant: str | None = None
    subject: str | None = None
    disabled: bool = False
    created_unix_s: int = 0
    last_login_unix_s: int | None = None


_FIELDS = tuple(Account.__dataclass_fields__)
_SELECT = select(*(ACCOUNTS.c[name] for name in _FIELDS))


def every(connection: Connection, tenant: str | None) -> list[Account]:
    """Return the accounts that may be shown, by name."""
    statement = _SELECT.order_by(ACCOUNTS.c.name)
    if tenant is not None:
        statement = statement.where(ACCOUNTS.c.tenant == tenant)
    return [_account(row) for row in connection.execute(statement)]


def find(connection: Connection, name: str) -> Account | None:
    """Return an account."""
    row = connection.execute(_SELECT.where(ACCOUNTS.c.name == name)).first()
    return _account(row) if row else None


def of_subject(connection: Connection, subject: str) -> Account | None:
    """Return the account of a subject of the OIDC provider."""
    row = connection.execute(_SELECT.where(ACCOUNTS.c.subject == subject)).first()
    return _account(row) if row else None


def password_hash(connection: Connection, name: str) -> str | None:
    """Return the hash of an account that may log in with a password."""
    statement = select(ACCOUNTS.c.password_hash).where(ACCOUNTS.c.name == name, ACCOUNTS.c.disabled.is_(False))
    return connection.execute(statement).scalar()


def there_are(connection: Connection) -> bool:
    """Return whether there is any account."""
    return connection.execute(select(ACCOUNTS.c.name).limit(1)).first() is not None


def admins(connection: Connection) -> int:
    """Return how many people administer the whole installation."""
    of_all = ACCOUNTS.c.tenant.is_(None), ACCOUNTS.c.role == "admin", ACCOUNTS.c.disabled.is_(False)
    return connection.execute(select(func.count()).select_from(ACCOUNTS).where(*of_all)).scalar_one()


def add(connection: Connection, account: Account, password_hash: str | None) -> None:
    """Add an account. Raises: sqlalchemy.exc.IntegrityError when its name or subject is taken."""
    values = {name: getattr(account, name) for name in _FIELDS}
    connection.execute(insert(ACCOUNTS), values | {"password_hash": password_hash})


def change(connection: Connection, name: str, **values: Any) -> None:
    """Change columns of an account."""
    connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.name == name).values(**values))


def remove(connection: Connection, name: str) -> None:
    """Delete an account; its sessions end with it."""
    connection.execute(delete(ACCOUNTS).where(ACCOUNTS.c.name == name))


def _account(row: Any) -> Account:
    return Account(*(getattr(row, name) for name in _FIELDS))
