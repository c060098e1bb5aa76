"""A TLS server with one leaf, and curl, Python, Node and Java in front of it. Each verifies as it does for its programs.

A client gets a host name, the server's port and the roots to trust; it answers "accepted", or why it did not.
"""

import functools
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from sidecar.certs.signing import Leaf

Client = Callable[[str, int, Path], str]

_HERE = Path(__file__).parent
_PASSWORD = "changeit"
_NODE = """
const [name, port, roots] = process.argv.slice(1), net = require('net'), tls = require('tls');
const ca = require('fs').readFileSync(roots);
const socket = tls.connect({host: '127.0.0.1', port, ca, ...(net.isIP(name) ? {} : {servername: name})});
socket.on('secureConnect', () => { console.log('accepted'); socket.destroy(); }).on('error', error => console.log(String(error)));
"""


@contextmanager
def serving(leaf: Leaf, folder: Path) -> Iterator[int]:
    """Serve TLS with a leaf on a loopback port; every connection is greeted."""
    path = folder / f"{leaf.name}.pem"
    path.write_bytes(leaf.key_pem + leaf.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, context), daemon=True).start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
            except OSError:
                continue


def curl(name: str, port: int, roots: Path) -> str:
    """Connect with curl (OpenSSL on Debian)."""
    to = ["--noproxy", "*", "--cacert", str(roots), "--connect-to", f"{name}:443:127.0.0.1:{port}", f"https://{name}/"]
    done = subprocess.run(["curl", "-sS", *to], capture_output=True, text=True, timeout=20, check=False)
    return "accepted" if done.stdout == "hello" else done.stderr


def python(name: str, port: int, roots: Path) -> str:
    """Connect with Python's ssl, as create_default_context has it."""
    context = ssl.create_default_context(cafile=str(roots))
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return "accepted"
    except ssl.SSLCertVerificationError as error:
        return str(error)


def node(name: str, port: int, roots: Path) -> str:
    """Connect with Node's tls."""
    beside = shutil.which("node", path=str(Path(sys.executable).parent)) or "node"
    return _said([beside, "-e", _NODE, name, str(port), str(roots)])


def java(name: str, port: int, roots: Path) -> str:
    """Connect with Java's default trust manager (PKIX), which reads a truststore of the roots."""
    listed = [pkcs12.PKCS12Certificate(item, None) for item in x509.load_pem_x509_certificates(roots.read_bytes())]
    store = roots.with_suffix(".p12")
    store.write_bytes(pkcs12.serialize_java_truststore(listed, BestAvailableEncryption(_PASSWORD.encode())))
    options = [f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={_PASSWORD}"]
    return _said(["java", *options, "-cp", _compiled(roots.parent), "Handshake", name, str(port)])


@functools.cache
def _compiled(folder: Path) -> str:
    subprocess.run(["javac", "-d", str(folder), str(_HERE / "Handshake.java")], check=True, timeout=60)
    return str(folder)


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


CLIENTS: dict[str, Client] = {"curl": curl, "python": python, "node": node, "java": java}
