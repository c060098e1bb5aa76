"""/api/session/oidc: log in at the identity provider, and come back with a session.

In: a browser. Out: the way to the provider; after it, a session's cookie and the way to the page that was asked for.
What the browser keeps meanwhile (state, nonce, verifier) is in a cookie that scripts cannot read: who comes back with another
state than the cookie's did not begin here. People are told apart by issuer and subject, never by name: an account of the same
name that is somebody else's stays theirs.
Never: a session for an account with a password here; a way back to anywhere but our own pages.
"""

import hmac
import os

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from analytics.access import log_in, people
from analytics.access.people import NewAccount
from analytics.access.principal import Principal
from analytics.access.provider import Flow, Person, Provider
from analytics.access.refusals import AccessError
from analytics.api.context import Context, Use
from analytics.api.gate import is_secure
from analytics.api.session import address_of, give_cookie
from analytics.dashboard.login import HOME, way_back
from analytics.store import accounts, audit, database

router = APIRouter(include_in_schema=False)
_COOKIE = "douane_oidc"
_PATH = "/api/session/oidc"
_KEPT_S = 600  # as long as a person may take at the provider
_BY = Principal("oidc", "admin")


def _provider(request: Request, context: Context) -> Provider:
    """Return the provider, constructed once for an application."""
    if not context.settings.oidc_issuer:
        raise AccessError("missing", "no identity provider is set")
    state = request.app.state
    if not hasattr(state, "oidc"):
        state.oidc = Provider(context.settings)
    found: Provider = state.oidc
    return found


@router.get(_PATH)
def begin(context: Use, request: Request, next: str = HOME) -> Response:  # noqa: A002 - the parameter's usual name
    """Lead to the provider."""
    flow = Flow(*(os.urandom(32).hex() for _ in range(3)))
    answer = RedirectResponse(_provider(request, context).way(flow), 303, {"cache-control": "no-store"})
    kept = ".".join((flow.state, flow.nonce, flow.verifier, way_back(next).encode().hex()))
    secure = is_secure(request.scope)
    answer.set_cookie(_COOKIE, kept, max_age=_KEPT_S, path=_PATH, secure=secure, httponly=True, samesite="lax")
    return answer


@router.get(f"{_PATH}/callback")
def come_back(context: Use, request: Request, state: str = "", code: str = "") -> Response:
    """Begin a session for whoever came back."""
    parts = request.cookies.get(_COOKIE, "").split(".")
    if len(parts) != 4 or not code or not hmac.compare_digest(parts[0].encode(), state.encode("utf-8", "replace")):
        raise AccessError("forbidden", "this log-in did not begin here, or took too long; begin again")
    now_s = context.clock()
    person = _provider(request, context).person(code, Flow(*parts[:3]), now_s)
    with database.writing(context.engine) as connection:
        name = _account(connection, person, now_s)
        secret = log_in.begin(connection, name, address_of(context, request), now_s, os.urandom)
    answer = RedirectResponse(_back(parts[3]), 303)
    give_cookie(context, request, answer, secret)
    answer.delete_cookie(_COOKIE, path=_PATH)
    return answer


def _back(kept: str) -> str:
    try:
        return way_back(bytes.fromhex(kept).decode())
    except ValueError:
        return HOME


def _account(connection: Connection, person: Person, now_s: float) -> str:
    """Return the name of a person's account, made or brought up to date: role and tenant are the provider's to give."""
    held = accounts.of_subject(connection, person.subject)
    if held is None:
        new = NewAccount(person.name, person.role, person.tenant, None, person.subject)
        return people.create(connection, _BY, new, now_s).name
    if held.disabled:
        raise AccessError("forbidden", "this account is disabled")
    if (held.role, held.tenant) != (person.role, person.tenant):
        people.check_tenant(connection, _BY, person.tenant)
        accounts.change(connection, held.name, role=person.role, tenant=person.tenant)
        after = {"role": person.role, "tenant": person.tenant}
        at, tenant = int(now_s * 1e6), held.tenant or ""
        audit.add(connection, audit.Entry(at, "oidc", "account.change", held.name, tenant, people.shown(held), after))
    return held.name
