"""ClientHellos as odd as clients send them, and what came back."""

import socket
import ssl
import struct

from cryptography import x509
from cryptography.x509.oid import NameOID


def client_hello(name: str | None) -> bytes:
    """Return the first record a client of TLS sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _trusting_anybody().wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


def padded(hello: bytes, length: int) -> bytes:
    """Return a ClientHello with an unknown extension of that length, in records of 16,000 bytes (RFC 8446, 4.1.2 and 5.1)."""
    body = bytearray(hello[5:])
    place = 4 + 2 + 32
    place += 1 + body[place]
    place += 2 + struct.unpack_from(">H", body, place)[0]
    place += 1 + body[place]
    (extensions,) = struct.unpack_from(">H", body, place)
    struct.pack_into(">H", body, place, extensions + 4 + length)
    body += struct.pack(">HH", 0xFAFA, length) + bytes(length)
    body[1:4] = (len(body) - 4).to_bytes(3, "big")
    return in_records(hello[:3] + struct.pack(">H", 0) + bytes(body), 16_000)


def in_records(hello: bytes, size: int) -> bytes:
    """Return a handshake message cut into records of that size."""
    body = hello[5:]
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(hello[:3] + struct.pack(">H", len(part)) + part for part in parts)


def issuer(connection: socket.socket, name: str | None, *protocols: str) -> str:
    """Shake hands and return who issued the certificate that was shown; empty where there was no handshake."""
    context = _trusting_anybody()
    context.set_alpn_protocols(list(protocols or ("h2", "http/1.1")))
    try:
        with context.wrap_socket(connection, server_hostname=name) as secured:
            shown = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    except (ssl.SSLError, OSError):
        return ""
    (found,) = shown.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(found.value).partition(" ")[0]


def answered(connection: socket.socket, sent: bytes) -> bool:
    """Send bytes and tell whether the other side says more than that it closes."""
    try:
        connection.sendall(sent)
        return len(connection.recv(65536)) > 7  # an alert has 7 bytes
    except OSError:
        return False


def _trusting_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
