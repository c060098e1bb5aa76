"""The gate: nobody gets past it unknown, but to the few paths that say nothing about anybody.

In: every HTTP request, before its body is read. Out: the request with a Known beside it (`request.state.known`), or a refusal in
the API's one shape; a browser that asks for a page is led to the log-in instead.
Who somebody is gets decided here, once; what they may do is the endpoint's role (auth.py) and, for tokens, the scope below.
A path that is not listed needs somebody, so a new endpoint is closed until it says otherwise. What streams for long is looked at
again while it streams: a revoked token, an ended session, hear nothing more after RECHECK_S.
Never: a body larger than MAX_BODY_BYTES in memory, from anybody.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics.access import keys, log_in
from analytics.access.identify import Known, Rules, Shown, identify
from analytics.access.log_in import Lifetime
from analytics.access.origin import SAFE_METHODS, Asked
from analytics.access.refusals import AccessError
from analytics.api.context import Context
from analytics.api.errors import answer
from analytics.store import database, sessions, tokens

_LOG = logging.getLogger("analytics.access")

LOG_IN_PAGE = "/dashboard/login"
# Paths that say nothing about anybody: what is alive, how to log in, files of ours.
OPEN_PATHS = frozenset(
    {
        *("/", "/api/health", "/api/ready", "/api/session", "/api/session/oidc", "/api/session/oidc/callback"),
        *(LOG_IN_PAGE, "/dashboard/logout", "/docs", "/openapi.json"),
    }
)
OPEN_FOLDERS = ("/dashboard/static/", "/docs/static/")
# Where a form shows who comes: the cookie that comes with it says nothing.
_FORM_PATHS = frozenset({"/api/session", LOG_IN_PAGE, "/dashboard/logout"})
# What a token must have been made for, where it is not `read` to look and `change` to change.
_SCOPES = (
    (re.compile(r"/api/export(/|$)"), "export"),
    (re.compile(r"/api/feedback(/|$)"), "feedback"),
    (re.compile(r"/api/(accounts|tokens)(/|$)"), "access"),
    (re.compile(r"/metrics$"), "metrics"),
)
STATUSES = {"invalid": 422, "missing": 404, "forbidden": 403, "conflict": 409, "unknown": 401, "too_many": 429}
MAX_BODY_BYTES = 4 << 20  # the largest that is sent here is a policy, which the control contract keeps below 1 MiB
RECHECK_S = 10.0


class Gate:
    """The middleware."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        settings = context.settings
        lifetime = Lifetime(settings.session_idle_s, settings.session_max_s)
        demanded = bool(settings.exposed or settings.oidc_issuer)
        self._rules = Rules(demanded, lifetime, settings.origins)
        self._open = OPEN_PATHS | ({"/metrics"} if settings.metrics_open else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        shown = shown_by(scope)
        if scope["method"] == "POST" and scope["path"] in _FORM_PATHS:
            shown = replace(shown, secret="")
        found = await run_in_threadpool(
            self._admit, shown, scope["path"], scope.get("query_string", b"").decode("latin-1")
        )
        if isinstance(found, Response):
            await found(scope, receive, send)
            return
        scope.setdefault("state", {})["known"] = found
        watched = _Watched(send, lambda: found.who is None or self._still(shown))
        try:
            await self._app(scope, _Bounded(receive).receive, watched.send)
        except (AccessEnded, ClientDisconnect):
            if not watched.ended:
                raise

    def _admit(self, shown: Shown, path: str, query: str) -> Known | Response:
        try:
            known = self._identify(shown)
        except AccessError as error:
            return refusal(error)
        except SQLAlchemyError as error:
            _LOG.error("access.database", extra={"error": type(error).__name__})
            return Known() if self._is_open(path) else answer(503, "the database cannot be reached")
        if known.who is None:
            return known if self._is_open(path) else _unknown(shown, path, query, known)
        needed = scope_of(shown.asked.method, path)
        if needed not in known.who.scopes and not self._is_open(path):
            return answer(403, f"this token was not made for: {needed}")
        return known

    def _identify(self, shown: Shown) -> Known:
        now_s = self._context.clock()
        with self._context.engine.connect() as connection:
            known = identify(connection, shown, self._rules, now_s)
        self._note(known, int(now_s))
        return known

    def _note(self, known: Known, now_s: int) -> None:
        """Write down that somebody was here, once a minute."""
        session, token = known.session, known.token
        if token is not None and keys.due(token, now_s):
            with database.writing(self._context.engine) as connection:
                tokens.used(connection, token.token_id, now_s, keys.NOTE_EVERY_S)
        if session is not None and session.seen_unix_s <= now_s - log_in.SEEN_EVERY_S:
            with database.writing(self._context.engine) as connection:
                sessions.seen(connection, session.digest, now_s)

    def _still(self, shown: Shown) -> bool:
        try:
            return self._identify(shown).who is not None
        except (AccessError, SQLAlchemyError):
            return False

    def _is_open(self, path: str) -> bool:
        return path in self._open or path.startswith(OPEN_FOLDERS)


def shown_by(scope: Scope) -> Shown:
    """Return what a request's head shows of who made it."""
    headers = Headers(scope=scope)
    client: Any = scope.get("client")
    asked = Asked(
        method=scope["method"],
        host=headers.get("host", ""),
        peer=client[0] if client else "",
        forwarded=tuple(_forwarded(headers)),
        origin=headers.get("origin", ""),
        site=headers.get("sec-fetch-site", ""),
        mode=headers.get("sec-fetch-mode", ""),
        target=headers.get("sec-fetch-dest", ""),
    )
    secret = Request(scope).cookies.get(cookie_name(secure=is_secure(scope)), "")
    return Shown(asked, headers.get("authorization", ""), secret, headers.get("x-csrf-token", ""))


def is_secure(scope: Scope) -> bool:
    """Return whether the browser came over https, as far as a proxy tells. A client that lies harms its own cookie only."""
    told = Headers(scope=scope).get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return (told or scope["scheme"]) == "https"


def cookie_name(*, secure: bool) -> str:
    """Return the session cookie's name: over https one that no other host and no http page can set (RFC 6265bis, 4.1.3.2)."""
    return "__Host-douane_session" if secure else "douane_session"


def scope_of(method: str, path: str) -> str:
    """Return what a token must have been made for to be used so."""
    special = next((name for pattern, name in _SCOPES if pattern.match(path)), None)
    return special or ("read" if method in SAFE_METHODS else "change")


def refusal(error: AccessError) -> Response:
    """Return a refusal as the API answers it."""
    found = answer(STATUSES[error.kind], error.message, error.param)
    if error.wait_s:
        found.headers["retry-after"] = str(error.wait_s)
    return found


def _forwarded(headers: Headers) -> Iterable[str]:
    """Yield every address that says for whom a proxy asks (RFC 7239, and what came before it)."""
    for name in ("x-forwarded-for", "x-real-ip"):
        for value in headers.getlist(name):
            yield from (one.strip() for one in value.split(","))
    for value in headers.getlist("forwarded"):
        yield from re.findall(r'for="?\[?([^;,"\]]*)', value, re.IGNORECASE) or [value]


def _unknown(shown: Shown, path: str, query: str, known: Known) -> Response:
    """Return what somebody gets whom we do not know: people the log-in page, programs an error."""
    page = path == "/dashboard" or path.startswith("/dashboard/")
    if page and shown.asked.method == "GET" and shown.asked.mode in ("", "navigate") and not shown.authorization:
        asked = f"{path}?{query}" if query else path
        return RedirectResponse(f"{LOG_IN_PAGE}?next={quote(asked, safe='')}", 303, {"cache-control": "no-store"})
    return answer(401, known.why)


class _Bounded:
    """A body that ends the request when it is too long."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = MAX_BODY_BYTES

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, f"a request's body has at most {MAX_BODY_BYTES} bytes")
        return message


class AccessEnded(OSError):  # noqa: N818 - what happened; an OSError, as servers say that a client is gone
    """Whoever an answer is streamed to may not hear the rest."""


class _Watched:
    """An answer that stops when whoever gets it is no longer allowed to."""

    def __init__(self, send: Send, still: Callable[[], bool]) -> None:
        self._send = send
        self._still = still
        self._looked = time.monotonic()
        self.ended = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and time.monotonic() - self._looked > RECHECK_S:
            if not await run_in_threadpool(self._still):
                self.ended = True
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                raise AccessEnded("access ended")
            self._looked = time.monotonic()
        await self._send(message)
