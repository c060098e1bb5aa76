"""TLS of the ingest server: certificate and client authority from files, read again when they change.

In: paths. Out: gRPC server credentials. Certificates are renewed while we run (cert-manager, a CRON job): the next connection gets
the new one, without a restart; one that cannot be read leaves the old one in force, and is logged.
Raises ConfigError at the start for a file that cannot be read. Never: a key in a log.
"""

import logging

import grpc

from analytics.access.origin import is_loopback
from analytics.config import ConfigError, Settings, variable

_LOG = logging.getLogger("analytics.access")


def credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return the server's credentials, None when no certificate is set. Raises: ConfigError."""
    if settings.grpc_cert is None or settings.grpc_key is None:
        return None
    files = _Files(settings)
    try:
        first = files.read()
    except OSError as error:
        reason = f"{error.filename} cannot be read: {error.strerror}"
        raise ConfigError(f"{variable('grpc_cert')}, {variable('grpc_key')}: {reason}") from error
    return grpc.dynamic_ssl_server_credentials(
        first, files.changed, require_client_authentication=settings.grpc_client_ca is not None
    )


class _Files:
    """The files, and how they were when they were last read."""

    def __init__(self, settings: Settings) -> None:
        named = (settings.grpc_key, settings.grpc_cert, settings.grpc_client_ca)
        self._paths = [path.expanduser() for path in named if path is not None]
        self._stamp: tuple[int, ...] = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Return what the files hold."""
        self._stamp = self._stamps()
        key, chain, *authority = [path.read_bytes() for path in self._paths]
        return grpc.ssl_server_certificate_configuration([(key, chain)], authority[0] if authority else None)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files hold if they changed; gRPC asks before each handshake, None keeps what is in force."""
        try:
            return self.read() if self._stamps() != self._stamp else None
        except (OSError, ValueError) as error:
            _LOG.error("access.certificate_unreadable", extra={"error": f"{type(error).__name__}: {error}"})
            return None

    def _stamps(self) -> tuple[int, ...]:
        return tuple(path.stat().st_mtime_ns for path in self._paths)


def listen(server: grpc.aio.Server, address: str, settings: Settings) -> None:
    """Bind a server to its address, with TLS where a certificate is set. Raises: ConfigError."""
    secured = credentials(settings)
    if secured is not None:
        server.add_secure_port(address, secured)
        return
    if not is_loopback(settings.grpc_host):
        _LOG.warning("access.grpc_in_the_clear", extra={"mend": variable("grpc_cert"), "port": settings.grpc_port})
    server.add_insecure_port(address)
