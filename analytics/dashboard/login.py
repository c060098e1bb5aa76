"""The log-in page, for people: works without a script; leads back to the page that was asked for.

In: a form. Out: a session's cookie and the way back, or the page again with what was wrong.
Forms are taken from our own pages only (the gate looks at Origin and Sec-Fetch-Site); logging out needs the session's token too.
Never: a way back to anywhere but our own pages.
"""

import re
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from analytics.access import log_in
from analytics.access.bearer import digest
from analytics.access.identify import Known
from analytics.access.log_in import Attempt
from analytics.access.refusals import AccessError
from analytics.api.auth import Whoever
from analytics.api.context import Context, Use
from analytics.api.gate import LOG_IN_PAGE, STATUSES, shown_by
from analytics.api.session import address_of, enter, give_cookie, take_cookie
from analytics.dashboard.pages import page
from analytics.store import accounts, database, sessions

router = APIRouter(include_in_schema=False)
HOME = "/dashboard"
_MAX_FIELDS = 10  # our forms have three
_OURS = re.compile(r"/(dashboard|docs)([/?#][^\\\x00-\x20]*)?\Z")


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form, each once; what is no form of ours has none."""
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=_MAX_FIELDS).items()}
    except ValueError:  # more fields than that
        return {}


Form = Annotated[dict[str, str], Depends(_form)]


def way_back(wanted: str) -> str:
    """Return where to lead somebody after a log-in: a page of ours, the overview when something else was asked for."""
    return wanted if _OURS.match(wanted) and not wanted.startswith((LOG_IN_PAGE, "/dashboard/logout")) else HOME


@router.get(LOG_IN_PAGE)
def show(context: Use, found: Whoever, next: str = HOME) -> Response:  # noqa: A002 - the parameter's usual name
    """Return the page, or lead on whoever needs no log-in."""
    if found.who is not None:
        return RedirectResponse(way_back(next), 303, {"cache-control": "no-store"})
    return _page(context, found, way_back(next))


@router.post(LOG_IN_PAGE)
def enter_by_form(context: Use, request: Request, found: Whoever, form: Form) -> Response:
    """Log in and lead back, or show the page again."""
    back, name = way_back(form.get("next", HOME)), form.get("account", "")
    try:
        _, secret = enter(context, Attempt(name, form.get("password", ""), address_of(context, request)))
    except AccessError as error:
        shown = _page(context, found, back, problem=error.message, name=name)
        shown.status_code = STATUSES[error.kind]
        return shown
    answer = RedirectResponse(back, 303)
    give_cookie(context, request, answer, secret)
    return answer


@router.post("/dashboard/logout")
def leave(context: Use, request: Request, form: Form) -> Response:
    """Log out and show the log-in page."""
    answer = RedirectResponse(LOG_IN_PAGE, 303, {"cache-control": "no-store"})
    secret = shown_by(request.scope).secret
    if secret and log_in.is_csrf_token(secret, form.get("csrf_token", "")):
        with database.writing(context.engine) as connection:
            sessions.end(connection, digest(secret))
        take_cookie(request, answer)
    return answer


def _page(context: Context, found: Known, back: str, problem: str = "", name: str = "") -> HTMLResponse:
    with context.engine.connect() as connection:
        empty = not accounts.there_are(connection)
    provider = urlsplit(context.settings.oidc_issuer).hostname or ""
    values: dict[str, Any] = {"next": back, "problem": problem, "name": name, "provider": provider}
    return page("login.html", found, empty=empty and not provider, passwords=not empty or not provider, **values)


def install(application: FastAPI) -> None:
    """Serve the page."""
    application.include_router(router)
