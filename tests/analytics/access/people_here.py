"""People, tokens and tenants for tests: made quickly, since argon2's cost is tested once and not everywhere."""

from sqlalchemy import Connection

from analytics.access import keys, log_in
from analytics.access.keys import NewToken
from analytics.access.principal import LOCAL, Role
from analytics.store import accounts, tenants
from analytics.store.accounts import Account
from analytics.store.tenants import Tenant

NOW_S = 1_700_000_000.0
PASSWORD = "correct horse battery"


def tenant(connection: Connection, name: str) -> None:
    """Make a tenant unless there is one."""
    if tenants.find(connection, name) is None:
        tenants.add(connection, Tenant(name, "", int(NOW_S)))


def person(
    connection: Connection, name: str, role: Role, of: str | None = None, password_hash: str | None = None
) -> None:
    """Make an account."""
    if of is not None:
        tenant(connection, of)
    accounts.add(connection, Account(name, role, of, created_unix_s=int(NOW_S)), password_hash)


def token(connection: Connection, role: Role, of: str | None = None, scopes: tuple[str, ...] = ()) -> str:
    """Make a token and return its text."""
    if of is not None:
        tenant(connection, of)
    return keys.create(connection, LOCAL, NewToken(f"{role}-{of}", role, of, scopes), NOW_S)[1]


def session(connection: Connection, name: str, now_s: float, address: str = "127.0.0.1") -> str:
    """Begin a session and return the cookie's secret."""
    secrets = iter([name.encode().ljust(32, b"x")])
    return log_in.begin(connection, name, address, now_s, lambda _: next(secrets))
