"""Who sends: every gRPC call is looked at before its handler runs, and the handler asks `sender()` whose it is.

In: calls with `authorization: Bearer ...` in their metadata, or over TLS with a client's certificate. Out: the call, with a
Principal in its context; UNAUTHENTICATED for a sidecar that is not known, PERMISSION_DENIED for one that may do something else.
A sidecar on this machine needs neither; a token that is shown must be good all the same. A certificate of our client authority
speaks for the tenant that its URI names: `urn:douane:tenant:NAME`, or `urn:douane:installation` for every tenant (SAN, RFC 5280
4.2.1.6); one that names neither opens nothing, so that an authority that signs for others too lets nobody in by accident.
A service that is not listed here is closed. A stream is looked at again while it lasts, so that a revoked token ends it.
Never: a record stored for a tenant that its sender is not bound to (`of_sender`); a token in a log.
"""

import asyncio
import contextlib
import hashlib
import hmac
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc
from douane.v1 import control_pb2 as pb
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from analytics.access import bearer, keys
from analytics.access.principal import LOCAL_SIDECAR, SIDECAR_SCOPES, Principal
from analytics.ingest.decode import NO_TENANT
from analytics.ingest.writing import REJECTED_ID_CHARS
from analytics.store import database, tokens

_LOG = logging.getLogger("analytics.access")
_SENDER: ContextVar[Principal] = ContextVar("sender")
# What a sidecar's token must have been made for, by service.
_SCOPES = {"douane.v1.DecisionLog": "ingest", "douane.v1.Control": "control"}
_OF_TENANT, _OF_ALL = "urn:douane:tenant:", "urn:douane:installation"
RECHECK_S = 5.0

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a call shows of who makes it: a token, and the URIs of a certificate that TLS has verified."""

    token: str | None = None
    uris: tuple[str, ...] | None = None


class Refused(Exception):  # noqa: N818 - named for what it is, STYLE 6
    """A call that is not answered, with its status."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def sender() -> Principal:
    """Return who makes the call in hand. Raises: LookupError outside a call that passed the interceptor."""
    return _SENDER.get()


def admit(_context: object, tenant: str) -> str:
    """Return the tenant that a sidecar may hear of, empty for all, of the one it asks for.

    Raises: PermissionError when it is bound to another.
    """
    bound = sender().tenant
    if bound is not None and tenant not in ("", bound):
        raise PermissionError(f"this sidecar is bound to the tenant {bound}")
    return tenant if bound is None else bound


def of_sender(request: pb.PublishRequest, who: Principal) -> tuple[pb.PublishRequest, list[pb.Rejected]]:
    """Return the part of a batch that a sender may store, and the records that name a tenant it is not bound to.

    Whose a record is, is what it says, letter by letter: what decoding would make of it (decode) never makes one tenant of another.
    """
    if who.tenant is None:
        return request, []
    mine, others = pb.PublishRequest(), []
    for record in request.records:
        tenant = record.identity.tenant or NO_TENANT
        if tenant == who.tenant:
            mine.records.append(record)
        else:
            reason = f"the record names the tenant {tenant[:64]}, and this sidecar is bound to {who.tenant}"
            others.append(pb.Rejected(decision_id=record.decision_id[:REJECTED_ID_CHARS], reason=reason))
    return mine, others


class Senders:
    """Whom sidecars' tokens and certificates speak for. required: nobody is let in without either."""

    def __init__(self, engine: Engine, clock: Clock, *, required: bool, shared_token: str = "") -> None:
        self._engine = engine
        self._clock = clock
        self._required = required
        self._shared = hashlib.sha256(shared_token.encode()).digest() if shared_token else None

    def find(self, shown: Shown) -> Principal:
        """Return whom a call speaks for. Raises: Refused. Reads the database: not for the event loop."""
        if shown.token is not None:
            return self._of_token(shown.token)
        if shown.uris is not None:
            return _of_certificate(shown.uris)
        if self._required:
            reason = "a sidecar needs a token here (DOUANE_ANALYTICS_TOKEN), or a certificate"
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, reason)
        return LOCAL_SIDECAR

    def _of_token(self, text: str) -> Principal:
        given = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if self._shared is not None and hmac.compare_digest(given, self._shared):
            return Principal("shared sidecar token", "viewer", None, SIDECAR_SCOPES)
        now_s = self._clock()
        try:
            with self._engine.connect() as connection:
                found = keys.whose(connection, text, now_s)
            if found is not None and keys.due(found[0], now_s):
                with database.writing(self._engine) as connection:
                    tokens.used(connection, found[0].token_id, int(now_s), keys.NOTE_EVERY_S)
        except SQLAlchemyError as error:
            raise Refused(grpc.StatusCode.UNAVAILABLE, f"the database is away: {type(error).__name__}") from error
        if found is None:
            reason = "this token is not known, has expired, or was revoked"
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, reason)
        return found[1]


def _of_certificate(uris: Iterable[str]) -> Principal:
    for uri in uris:
        if uri.startswith(_OF_TENANT) and (tenant := unquote(uri.removeprefix(_OF_TENANT))):
            return Principal(f"certificate of {tenant}", "viewer", tenant, SIDECAR_SCOPES)
        if uri == _OF_ALL:
            return Principal("certificate", "viewer", None, SIDECAR_SCOPES)
    reason = f"the certificate names neither {_OF_TENANT}NAME nor {_OF_ALL} as a URI"
    raise Refused(grpc.StatusCode.UNAUTHENTICATED, reason)


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc] # grpc has no types
    """The interceptor: no handler runs for a call that it does not let through."""

    def __init__(self, senders: Senders) -> None:
        self._senders = senders

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """Return the handler, guarded; None where there is none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        service = handler_call_details.method.split("/")[1]
        guarded = self._guarded(_handles(handler), _SCOPES.get(service, ""), stream=handler.response_streaming)
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        return make(guarded, handler.request_deserializer, handler.response_serializer)

    def _guarded(self, handle: Callable[..., Any], scope: str, *, stream: bool) -> Callable[..., Awaitable[Any]]:
        async def once(request: Any, context: grpc.aio.ServicerContext) -> Any:
            await self._enter(context, scope)
            return await handle(request, context)

        async def lasting(request: Any, context: grpc.aio.ServicerContext) -> None:
            await self._enter(context, scope)
            work = asyncio.create_task(_run(handle, request, context))
            watch = asyncio.create_task(self._until_refused(context, scope))
            try:
                await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    await _abort(context, watch.result())
                await work
            finally:
                watch.cancel()
                work.cancel()
                await asyncio.gather(work, watch, return_exceptions=True)

        return lasting if stream else once

    async def _enter(self, context: grpc.aio.ServicerContext, scope: str) -> None:
        """Put who calls into the context of this call. Raises: a gRPC abort."""
        try:
            _SENDER.set(await self._checked(context, scope))
        except Refused as refused:
            _LOG.warning("access.sidecar_refused", extra={"peer": context.peer(), "reason": refused.reason})
            await _abort(context, refused)

    async def _checked(self, context: grpc.aio.ServicerContext, scope: str) -> Principal:
        who = await asyncio.to_thread(self._senders.find, shown_by(context))
        if scope not in who.scopes:
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, f"{who.name} was not made for: {scope or 'this service'}")
        return who

    async def _until_refused(self, context: grpc.aio.ServicerContext, scope: str) -> Refused:
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                await self._checked(context, scope)
            except Refused as refused:
                if refused.code is not grpc.StatusCode.UNAVAILABLE:
                    return refused


def shown_by(context: grpc.aio.ServicerContext) -> Shown:
    """Return what a call shows of who makes it."""
    header = next((value for name, value in context.invocation_metadata() or () if name == "authorization"), None)
    token = None if header is None else (bearer.credentials(str(header)) or "")
    known = context.auth_context()
    if known.get("transport_security_type", [b""])[0] != b"ssl" or not known.get("x509_pem_cert"):
        return Shown(token)
    names = (name.decode("utf-8", "replace") for name in known.get("x509_subject_alternative_name", ()))
    return Shown(token, tuple(names))


async def _run(handle: Callable[..., Any], request: Any, context: grpc.aio.ServicerContext) -> None:
    """Run a streaming handler of either kind: one that yields its answers, or one that writes them."""
    answers = handle(request, context)
    if inspect.isasyncgen(answers):
        async with contextlib.aclosing(answers):  # cancelled while it writes, the handler ends all the same, and now
            async for answer in answers:
                await context.write(answer)
    else:
        await answers


async def _abort(context: grpc.aio.ServicerContext, refused: Refused) -> None:
    await context.abort(refused.code, refused.reason)


def _handles(handler: Any) -> Callable[..., Any]:
    kinds = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    found: Callable[..., Any] = next(kind for kind in kinds if kind is not None)
    return found
