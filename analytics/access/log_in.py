"""Log-ins and sessions of people.

In: a name and a password, or a person whom the identity provider knows; the cookie's secret. Out: sessions.
A session is a row; the cookie holds 256 random bits, the row their digest. The CSRF token is a keyed digest of the same secret,
so that it needs no column, and nobody who reads the database can make it.
Log-ins are counted before the password is looked at, by account and by address: guesses in parallel count as well. Ten per account
stop a guesser and not a person who mistypes; they also let a stranger lock a person out, for a quarter of an hour at most.
Never: an answer that says which of name and password was wrong, or takes another time for a name that nobody has.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from analytics.access import passwords
from analytics.access.bearer import digest
from analytics.access.refusals import AccessError
from analytics.store import accounts, audit, database, sessions
from analytics.store.sessions import Session

# NIST SP 800-63B-4, 3.2.2 allows 100 failures in a row; OWASP's authentication cheat sheet: a low threshold, a window, a duration.
WINDOW_S = 900
PER_ACCOUNT, PER_ADDRESS = 10, 50
SEEN_EVERY_S = 60  # a session's last use is written at most so often
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long sessions live, in seconds."""

    idle_s: int
    max_s: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in that is tried. address: who tries, as origin.client_address says."""

    name: str
    password: str = field(repr=False)
    address: str


def log_in(engine: Engine, attempt: Attempt, now_s: float) -> str:
    """Return the name of the account whose password this is. Raises: AccessError, of too many tries or of a wrong one."""
    name = attempt.name.strip().lower()[:256]
    _count(engine, name, attempt.address, now_s)
    with engine.connect() as connection:
        held = accounts.password_hash(connection, name)
    if not passwords.verify(held, attempt.password):
        raise AccessError("unknown", "this name and this password do not belong together")
    with database.writing(engine) as connection:
        sessions.forget_attempts(connection, _of_account(name))
        if held is not None and passwords.stale(held):
            accounts.change(connection, name, password_hash=passwords.hashed(attempt.password))
    return name


def begin(connection: Connection, name: str, address: str, now_s: float, entropy: Callable[[int], bytes]) -> str:
    """Begin a session of an account and return the cookie's secret."""
    secret = base64.urlsafe_b64encode(entropy(_SECRET_BYTES)).rstrip(b"=").decode()
    account = accounts.find(connection, name)
    if account is None or account.disabled:
        raise AccessError("unknown", "this name and this password do not belong together")
    sessions.begin(connection, digest(secret), name, address, int(now_s))
    accounts.change(connection, name, last_login_unix_s=int(now_s))
    at, tenant = int(now_s * 1e6), account.tenant or ""
    audit.add(connection, audit.Entry(at, name, "session.begin", name, tenant, after={"address": address}))
    return secret


def current(connection: Connection, secret: str, lifetime: Lifetime, now_s: float) -> Session | None:
    """Return the session that a cookie opens, None when it is none, or has ended."""
    return sessions.find(connection, digest(secret), now_s - lifetime.max_s, now_s - lifetime.idle_s)


def csrf_token(secret: str) -> str:
    """Return what a session's own pages know and a stranger's page does not."""
    return hmac.new(secret.encode(), b"douane csrf", hashlib.sha256).hexdigest()


def is_csrf_token(secret: str, given: str) -> bool:
    """Return whether a token is the one of a session."""
    return hmac.compare_digest(csrf_token(secret).encode(), given.encode("utf-8", "surrogatepass"))


def _count(engine: Engine, name: str, address: str, now_s: float) -> None:
    """Count a try before it is looked at. Raises: AccessError when there were too many; those are not written any more."""
    window_s = int(now_s) // WINDOW_S * WINDOW_S
    limits = ((_of_account(name), PER_ACCOUNT), (f"address:{address}", PER_ADDRESS))
    with engine.connect() as connection:
        _refuse_many(connection, limits, window_s, now_s)
    with database.writing(engine) as connection:
        _refuse_many(connection, limits, window_s, now_s)
        sessions.prune(connection, now_s - 2_592_000, window_s)  # no session is kept for longer than 30 days
        for key, _ in limits:
            sessions.attempt(connection, key, window_s)


def _refuse_many(connection: Connection, limits: tuple[tuple[str, int], ...], window_s: int, now_s: float) -> None:
    if any(sessions.attempts(connection, key, window_s) >= limit for key, limit in limits):
        raise AccessError("too_many", "too many log-ins were tried; wait", wait_s=window_s + WINDOW_S - int(now_s))


def _of_account(name: str) -> str:
    return f"account:{name}"
