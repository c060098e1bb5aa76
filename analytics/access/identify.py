"""Who a request comes from: a token, a session, this machine's own user, or nobody.

In: what a request's head shows, the rules in force, a connection. Out: Known. Raises AccessError for a request that must not be
answered at all, whatever it asks for: one that a stranger's page made.
The order: a token speaks for itself, and a wrong one is never replaced by something weaker. A browser comes with a cookie, or as
the local user, without meaning to: from it, changes are taken from our own pages only (Origin, Sec-Fetch-Site), and with a
cookie only with the session's CSRF token beside it.
The local user is whoever asks on this machine, by a name of this machine, while there is no account and nothing else is demanded.
Never: a decision about what may be done; that is the endpoint's role and the token's scopes.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from analytics.access import bearer, keys, log_in
from analytics.access.log_in import Lifetime
from analytics.access.origin import SAFE_METHODS, Asked, is_local, is_own
from analytics.access.principal import LOCAL, Principal
from analytics.access.refusals import AccessError
from analytics.store import accounts
from analytics.store.sessions import Session
from analytics.store.tokens import Token

NO_ACCOUNT = (
    "log in first; there is no account yet, and only this machine's own users need none: "
    "`douane-analytics accounts add alice --role admin` makes one"
)
LOG_IN = "log in first, or give a token: Authorization: Bearer dou_..."


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of who made it. secret: the session cookie's; csrf: what stands beside it."""

    asked: Asked
    authorization: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    csrf: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force. demanded: everybody needs an account or a token; origins: see origin.is_own."""

    demanded: bool
    lifetime: Lifetime
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """Who asks; who None: nobody we know, and `why` says what to do about it."""

    who: Principal | None = None
    token: Token | None = None
    session: Session | None = None
    secret: str = field(default="", repr=False)
    why: str = LOG_IN


def identify(connection: Connection, shown: Shown, rules: Rules, now_s: float) -> Known:
    """Return who made a request. Raises: AccessError when a stranger's page made it."""
    text = bearer.credentials(shown.authorization)
    if text is not None:
        return _of_token(connection, text, now_s)
    if not is_own(shown.asked, rules.origins):
        raise AccessError("forbidden", "a page of another origin made this request")
    if shown.secret and (session := log_in.current(connection, shown.secret, rules.lifetime, now_s)):
        return _of_session(shown, session)
    if rules.demanded or accounts.there_are(connection):
        return Known()
    return Known(LOCAL) if is_local(shown.asked) else Known(why=NO_ACCOUNT)


def _of_token(connection: Connection, text: str, now_s: float) -> Known:
    found = keys.whose(connection, text, now_s)
    if found is None:
        return Known(why="this token is not known, has expired, or was revoked")
    token, who = found
    return Known(who, token=token)


def _of_session(shown: Shown, session: Session) -> Known:
    if shown.asked.method not in SAFE_METHODS and not log_in.is_csrf_token(shown.secret, shown.csrf):
        message = "a session's changes carry its token in the header x-csrf-token; GET /api/session tells it"
        raise AccessError("forbidden", message)
    who = Principal(session.account, session.role, session.tenant)
    return Known(who, session=session, secret=shown.secret)
