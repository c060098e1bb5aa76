"""People's sessions, and the log-ins that were tried.

In: digests of the cookie's secret. Out: whose session it is, with the account as it is now: a role that changed, or an account
that was disabled, counts from the next request on.
Never: the cookie's secret; a session of a disabled account.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from analytics.access.principal import Role
from analytics.store import database
from analytics.store.tables import ACCOUNTS, LOGIN_ATTEMPTS, SESSIONS


@dataclass(frozen=True, slots=True)
class Session:
    """A session and its account."""

    digest: str
    account: str
    role: Role
    tenant: str | None
    began_unix_s: int
    seen_unix_s: int


def begin(connection: Connection, digest: str, account: str, address: str, now_s: int) -> None:
    """Begin a session."""
    values = {"digest": digest, "account": account, "address": address, "began_unix_s": now_s, "seen_unix_s": now_s}
    connection.execute(insert(SESSIONS), values)


def find(connection: Connection, digest: str, began_after_s: float, seen_after_s: float) -> Session | None:
    """Return a session that began and was seen after these moments, and whose account is not disabled."""
    columns = SESSIONS.c.digest, SESSIONS.c.account, ACCOUNTS.c.role, ACCOUNTS.c.tenant
    statement = (
        select(*columns, SESSIONS.c.began_unix_s, SESSIONS.c.seen_unix_s)
        .join(ACCOUNTS, ACCOUNTS.c.name == SESSIONS.c.account)
        .where(SESSIONS.c.digest == digest, ACCOUNTS.c.disabled.is_(False))
        .where(SESSIONS.c.began_unix_s > began_after_s, SESSIONS.c.seen_unix_s > seen_after_s)
    )
    row = connection.execute(statement).first()
    return Session(*row) if row else None


def seen(connection: Connection, digest: str, now_s: int) -> None:
    """Note that a session is in use."""
    connection.execute(update(SESSIONS).where(SESSIONS.c.digest == digest).values(seen_unix_s=now_s))


def end(connection: Connection, digest: str) -> None:
    """End a session."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == digest))


def end_all(connection: Connection, account: str, but: str = "") -> None:
    """End the sessions of an account, but for the one of this digest."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.account == account, SESSIONS.c.digest != but))


def prune(connection: Connection, began_before_s: float, window_s: int) -> None:
    """Forget sessions that began before a moment, and log-ins tried in windows before the one that begins at window_s."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.began_unix_s <= began_before_s))
    connection.execute(delete(LOGIN_ATTEMPTS).where(LOGIN_ATTEMPTS.c.window_unix_s < window_s))


def attempts(connection: Connection, key: str, window_s: int) -> int:
    """Return how many log-ins were tried under a key in the window that began at window_s."""
    found = LOGIN_ATTEMPTS.c.key == key, LOGIN_ATTEMPTS.c.window_unix_s == window_s
    return connection.execute(select(LOGIN_ATTEMPTS.c.count).where(*found)).scalar() or 0


def attempt(connection: Connection, key: str, window_s: int) -> None:
    """Count a log-in that is tried under a key; an older window's count is replaced."""
    count = attempts(connection, key, window_s) + 1
    statement = database.insert(connection.dialect, LOGIN_ATTEMPTS).values(key=key, window_unix_s=window_s, count=count)
    changed = {"window_unix_s": window_s, "count": count}
    connection.execute(statement.on_conflict_do_update(index_elements=[LOGIN_ATTEMPTS.c.key], set_=changed))


def forget_attempts(connection: Connection, key: str) -> None:
    """Forget what was tried under a key: somebody proved to be who they say."""
    connection.execute(delete(LOGIN_ATTEMPTS).where(LOGIN_ATTEMPTS.c.key == key))
