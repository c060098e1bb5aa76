"""A provider that speaks WebSocket, and says each message again. Its answers to other requests are those of the library."""

import ssl
import threading
from types import TracebackType

from websockets.sync.server import Server, ServerConnection, serve


class SocketProvider:
    """Serves on loopback from __enter__ to __exit__. paths holds the path of every connection that was opened."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.paths: list[str] = []
        self.tls = tls
        self._server: Server = serve(self._echo, "127.0.0.1", 0, ssl=tls)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https://localhost' if self.tls else 'http://127.0.0.1'}:{self._server.socket.getsockname()[1]}"

    def _echo(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        for message in connection:
            connection.send(message)

    def __enter__(self) -> "SocketProvider":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join(5)
