"""Small servers for tests of redirected connections: each says what it is, and where the connection was going.

In: sockets, opened by the test in whatever namespace it means. Out: one line per connection. Never: reads what the client says.
"""

import socket
import struct
import threading
from contextlib import suppress

_SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h, and for IPv6 in linux/netfilter_ipv6/ip6_tables.h


class Listener:
    """Answers every connection with `<name> <address it was meant for> <port>`; greeted counts them."""

    def __init__(self, name: str, address: str, port: int, *, redirected: bool = False) -> None:
        self.name = name
        self.greeted = 0
        self._redirected = redirected
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, port), family=family, backlog=512)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                self.greeted += 1
                threading.Thread(target=self._greet, args=(connection,), daemon=True).start()

    def _greet(self, connection: socket.socket) -> None:
        """Say the line, then each word that comes again, so that a connection may be kept."""
        with connection, suppress(OSError):
            address, port = original(connection) if self._redirected else connection.getsockname()[:2]
            connection.sendall(f"{self.name} {address} {port}\n".encode())
            while word := connection.recv(1024):
                connection.sendall(word)


def original(connection: socket.socket) -> tuple[str, int]:
    """Return where a redirected connection was going."""
    if connection.family == socket.AF_INET6:
        data = connection.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
        return socket.inet_ntop(socket.AF_INET6, data[8:24]), struct.unpack_from("!H", data, 2)[0]
    data = connection.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16)
    return socket.inet_ntop(socket.AF_INET, data[4:8]), struct.unpack_from("!H", data, 2)[0]
