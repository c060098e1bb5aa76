"""/api/session: log in with name and password, see who one is, log out, change one's password.

In: a name and a password. Out: the session's cookie, which scripts cannot read, and its CSRF token, which they must send back.
Never: a session for a request of a stranger's page (the gate refuses it before); a password in an answer or a log.
"""

import logging
import os
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, SecretStr

from analytics.access import log_in, people
from analytics.access.identify import Known
from analytics.access.log_in import Attempt
from analytics.access.origin import client_address
from analytics.access.passwords import LONGEST
from analytics.access.principal import SCOPES, Principal, Role
from analytics.access.refusals import AccessError
from analytics.api.auth import Viewer, Whoever
from analytics.api.context import Context, Use
from analytics.api.errors import ApiError, responses
from analytics.api.gate import cookie_name, is_secure, shown_by
from analytics.store import accounts, database, sessions

_LOG = logging.getLogger("analytics.access")
router = APIRouter(tags=["access"])

Secret = Annotated[SecretStr, Field(max_length=LONGEST, examples=["correct horse battery"])]


class LogIn(BaseModel):
    """Who wants in."""

    account: str = Field(max_length=256, examples=["alice"])
    password: Secret


class NewPassword(BaseModel):
    """A change of one's own password."""

    old: Secret
    new: Secret


class Who(BaseModel):
    """Who asks, as we know them."""

    name: str = Field(examples=["alice"])
    role: Role
    tenant: str | None = Field(description="The tenant whose rows are shown; null: every tenant's.", examples=["acme"])
    scopes: list[str] = Field(examples=[["read", "change"]])
    csrf_token: str | None = Field(description="For x-csrf-token, with a session's changes; null without a session.")
    session_ends_at: datetime | None = Field(description="When the session ends at the latest.")


@router.get("/api/session", responses=responses(401, 503))
def session(context: Use, found: Whoever) -> Who:
    """Tell who asks."""
    if found.who is None:
        raise ApiError(401, found.why)
    return _who(context, found, found.who)


@router.post("/api/session", responses=responses(401, 403, 422, 429, 503))
def begin(context: Use, request: Request, response: Response, wanted: LogIn) -> Who:
    """Log in: the answer sets the session's cookie."""
    attempt = Attempt(wanted.account, wanted.password.get_secret_value(), address_of(context, request))
    name, secret = enter(context, attempt)
    give_cookie(context, request, response, secret)
    with context.engine.connect() as connection:
        account = accounts.find(connection, name)
    if account is None:
        raise ApiError(401, "this account was removed meanwhile")
    who = Principal(account.name, account.role, account.tenant)
    return _shown(who, log_in.csrf_token(secret), context.clock() + context.settings.session_max_s)


@router.delete("/api/session", status_code=204, responses=responses(401, 403, 503))
def end(context: Use, request: Request, response: Response, found: Whoever) -> None:
    """Log out."""
    if found.session is None:
        raise ApiError(401, "there is no session to end")
    with database.writing(context.engine) as connection:
        sessions.end(connection, found.session.digest)
    take_cookie(request, response)


@router.put("/api/session/password", status_code=204, responses=responses(401, 403, 422, 429, 503))
def change_password(context: Use, request: Request, who: Viewer, found: Whoever, wanted: NewPassword) -> None:
    """Change one's own password; one's other sessions end."""
    if found.session is None:
        raise ApiError(403, "only people who are logged in have a password")
    old = wanted.old.get_secret_value()
    try:
        log_in.log_in(context.engine, Attempt(who.name, old, address_of(context, request)), context.clock())
    except AccessError as error:
        if error.kind != "unknown":
            raise
        raise ApiError(422, "old: this is not the password", "old") from None
    with database.writing(context.engine) as connection:
        people.change_own_password(connection, found.session, wanted.new.get_secret_value(), context.clock())


def enter(context: Context, attempt: Attempt) -> tuple[str, str]:
    """Log in; return the account's name and the secret of its new session. Raises: AccessError."""
    now_s = context.clock()
    try:
        name = log_in.log_in(context.engine, attempt, now_s)
        with database.writing(context.engine) as connection:
            return name, log_in.begin(connection, name, attempt.address, now_s, os.urandom)
    except AccessError as error:
        _LOG.warning("access.log_in_refused", extra={"reason": error.kind, "address": attempt.address})
        raise


def address_of(context: Context, request: Request) -> str:
    """Return who asks, to count log-ins by."""
    return client_address(shown_by(request.scope).asked, context.settings.trusted_proxies)


def give_cookie(context: Context, request: Request, response: Response, secret: str) -> None:
    """Set the session's cookie: for this host alone, out of scripts' reach, not sent by strangers' forms."""
    secure = is_secure(request.scope)
    response.set_cookie(
        cookie_name(secure=secure),
        secret,
        max_age=context.settings.session_max_s,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    response.headers["cache-control"] = "no-store"


def take_cookie(request: Request, response: Response) -> None:
    """Make the browser forget the session's cookie."""
    secure = is_secure(request.scope)
    response.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="lax")


def _who(context: Context, found: Known, who: Principal) -> Who:
    if found.session is None:
        return _shown(who, None, None)
    ends_s = found.session.began_unix_s + context.settings.session_max_s
    return _shown(who, log_in.csrf_token(found.secret), ends_s)


def _shown(who: Principal, csrf_token: str | None, ends_s: float | None) -> Who:
    return Who(
        name=who.name,
        role=who.role,
        tenant=who.tenant,
        scopes=[one for one in SCOPES if one in who.scopes],
        csrf_token=csrf_token,
        session_ends_at=None if ends_s is None else datetime.fromtimestamp(ends_s, UTC),
    )
