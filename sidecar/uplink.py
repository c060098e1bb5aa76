"""The connection to analytics: one channel for records, coverage reports and the control stream, and who we say we are.

In: Settings. Out: a gRPC channel, over TLS when a CA or a certificate of ours is set; every call on it carries the token.
A token, or a client certificate, is what binds this sidecar to a tenant at analytics; on one machine neither is needed.
Never: a token in a log; a call without TLS to a server that we were told to verify.
"""

from collections.abc import AsyncIterable, Callable
from pathlib import Path
from typing import Any

import grpc
from grpc.aio import ClientCallDetails

from sidecar.config import ConfigError, Settings
from sidecar.control.watch import CHANNEL_OPTIONS
from sidecar.record.publish import RefusedError

# What analytics answers to a token or certificate that is not, or no longer, good: trying again does not mend it.
REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


def analytics_address(settings: Settings) -> str:
    """Return where records and reports go."""
    return settings.analytics_grpc or f"127.0.0.1:{settings.analytics_grpc_port}"


def open_channel(settings: Settings) -> grpc.aio.Channel:
    """Return a channel to analytics; nothing is connected yet.

    Raises: ConfigError for a certificate file that cannot be read; called inside the event loop.
    """
    token = settings.analytics_token.get_secret_value() if settings.analytics_token else ""
    signed = [kind(token) for kind in (_UnarySigned, _StreamSigned, _DialogueSigned)] if token else []
    address, tls = analytics_address(settings), credentials(settings)
    if tls is None:
        return grpc.aio.insecure_channel(address, CHANNEL_OPTIONS, interceptors=signed)
    return grpc.aio.secure_channel(address, tls, CHANNEL_OPTIONS, interceptors=signed)


def failure(error: grpc.aio.AioRpcError) -> ConnectionError:
    """Return a failed call in our words: RefusedError where analytics does not know us."""
    kind = RefusedError if error.code() in REFUSALS else ConnectionError
    return kind(f"{error.code().name}: {error.details()}")


def credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    """Return what TLS to analytics needs, None when it is spoken to without.

    Raises: ConfigError for a file that cannot be read, or half a pair.
    """
    files = (settings.analytics_ca, settings.analytics_key, settings.analytics_cert)
    if not any(files):
        return None
    roots, key, chain = (_read(path) if path else None for path in files)
    if (key is None) is not (chain is None):
        raise ConfigError("DOUANE_ANALYTICS_CERT and DOUANE_ANALYTICS_KEY belong together: set both or neither")
    return grpc.ssl_channel_credentials(roots, key, chain)


def _read(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise ConfigError(f"DOUANE_ANALYTICS_CA, _CERT or _KEY: {path} cannot be read: {error.strerror}") from None


class _Signed:
    """Adds the token to a call."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def _sign(self, details: ClientCallDetails) -> ClientCallDetails:
        return details._replace(metadata=grpc.aio.Metadata(*(details.metadata or ()), self._header))


class _UnarySigned(_Signed, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc] # grpc has no types
    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: ClientCallDetails, request: Any
    ) -> Any:
        """Send the call with the token."""
        return await continuation(self._sign(client_call_details), request)


class _StreamSigned(_Signed, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc] # grpc has no types
    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: ClientCallDetails, request: Any
    ) -> AsyncIterable[Any]:
        """Open the stream with the token."""
        stream: AsyncIterable[Any] = await continuation(self._sign(client_call_details), request)
        return stream


class _DialogueSigned(_Signed, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc] # grpc has no types
    async def intercept_stream_stream(
        self, continuation: Callable[..., Any], client_call_details: ClientCallDetails, request_iterator: Any
    ) -> AsyncIterable[Any]:
        """Open the streams with the token."""
        stream: AsyncIterable[Any] = await continuation(self._sign(client_call_details), request_iterator)
        return stream
