"""The transparent door, in a network namespace of its own: a client that knows nothing of Douane, redirected by the kernel."""

import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.support.calls import ATTACK, chat
from tests.support.hello import answered, client_hello, issuer, padded
from tests.support.installation import Installation
from tests.support.namespace import CLIENT_UID, STRANGER, STRANGER6, client, private_network, redirect
from tests.support.ports import free_ports
from tests.support.upstream import CHAT_BYTES, Upstream

pytestmark = pytest.mark.server

URL = "https://api.openai.com/v1/chat/completions"


@dataclass
class World:
    """A Douane, a provider of its own authority, and a stranger at every address a client may name."""

    douane: Installation
    provider: Upstream
    stranger: Upstream
    folder: Path
    port: int

    def curl(self, url: str, *options: str, address: str = STRANGER) -> "subprocess.CompletedProcess[bytes]":
        where = f"[{address}]" if ":" in address else address
        command = ["curl", "-sS", "-m", "20", "--noproxy", "*", "--connect-to", f"::{where}:"]
        trust = ["--cacert", str(self.folder / "ours.pem")]
        return subprocess.run(
            [*command, *trust, *options, url],
            capture_output=True,
            timeout=30,
            check=False,
            user=CLIENT_UID,
            group=CLIENT_UID,
        )

    def chat(self, text: str, *options: str, url: str = URL, user: str = "", address: str = STRANGER) -> bytes:
        headers = ("-H", "content-type: application/json", "-H", f"x-user-id: {user}")
        return self.curl(url, *headers, "-d", chat(text).decode(), *options, address=address).stdout


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="douane-"))
    folder.chmod(0o755)  # the client is another user
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "their.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "stranger.test").configure_cert(context)
    with private_network():
        (port,) = free_ports(1)
        provider, stranger = Upstream(tls=context), Upstream(tls=context, address=(STRANGER, 443))
        others = [Upstream(tls=context, address=(STRANGER6, 443)), Upstream(address=(STRANGER, 80))]
        douane = Installation(
            folder / "data",
            DOUANE_TRANSPARENT_PORT=str(port),
            DOUANE_UPSTREAMS=f"openai={provider.url}",
            DOUANE_UPSTREAM_CA_FILE=str(folder / "their.pem"),
        ).wait()
        shutil.copyfile(douane.authority, folder / "ours.pem")
        redirect(port)
        yield World(douane, provider, stranger, folder, port)
        assert douane.stop() == 0
        for upstream in (provider, stranger, *others):
            upstream.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("version", "address"), [("--http1.1", STRANGER), ("--http2", STRANGER), ("--http2", STRANGER6)]
)
def test_an_llm_host_is_inspected_wherever_the_client_thinks_it_is(world: World, version: str, address: str) -> None:
    """The address is the stranger's: what was opened goes to the host of its name, never to an address a client chose."""
    user = f"t{version}{len(address)}"
    assert world.chat("hello", version, user=user, address=address) == CHAT_BYTES
    (record,) = world.douane.settled(user)
    assert (record["door"], record["provider"], record["outcome"]) == ("transparent", "openai", "answered")
    assert record["detail"]["host"] == "api.openai.com"
    assert world.stranger.bodies("hello") == []


def test_an_attack_is_denied(world: World) -> None:
    assert world.chat(ATTACK, "-o", "/dev/null", "-w", "%{http_code}", user="t-attack") == b"403"
    (record,) = world.douane.settled("t-attack")
    assert (record["door"], record["applied"]) == ("transparent", "deny")
    assert world.provider.bodies(ATTACK) == []


def test_plain_http_is_told_by_its_host(world: World) -> None:
    assert world.chat("plain", url="http://api.openai.com/v1/chat/completions", user="t-plain") == CHAT_BYTES
    (record,) = world.douane.settled("t-plain")
    assert (record["door"], record["provider"]) == ("transparent", "openai")
    assert world.chat("passing", url="http://files.example/v1/chat/completions", user="t-passing") == CHAT_BYTES
    assert world.douane.records(user="t-passing") == []


@pytest.mark.parametrize("version", ["--http1.1", "--http2", "--no-alpn"])
def test_any_other_host_shows_its_own_certificate(world: World, version: str) -> None:
    """A client that offered http/1.1 by ALPN was once taken for one of plain HTTP."""
    done = world.curl("https://stranger.test/", version, "--cacert", str(world.folder / "their.pem"))
    assert (done.stdout, done.stderr) == (CHAT_BYTES, b"")


def test_a_late_client_hello_is_waited_for(world: World) -> None:
    with client(STRANGER, 443) as connection:
        time.sleep(1.5)
        assert issuer(connection, "api.openai.com") == "Douane"


def test_a_client_hello_larger_than_envoy_reads_does_not_pass(world: World) -> None:
    before = len(world.stranger.received)
    with client(STRANGER, 443) as connection:
        assert not answered(connection, padded(client_hello("api.openai.com"), 17_000))
    assert len(world.stranger.received) == before


def test_no_bytes_that_are_no_tls_pass_on_the_port_of_tls(world: World) -> None:
    with client(STRANGER, 443) as connection:
        assert not answered(connection, b"SSH-2.0-client\r\n")


@pytest.mark.parametrize(("port", "waits"), [(22, False), (2222, True)])
def test_a_server_that_speaks_first_is_heard(world: World, port: int, waits: bool) -> None:
    with socket.create_server((STRANGER, port)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-stranger\r\n")

        threading.Thread(target=greet, daemon=True).start()
        before = time.monotonic()
        with client(STRANGER, port) as connection:
            assert connection.recv(99) == b"SSH-2.0-stranger\r\n"
        assert (time.monotonic() - before > 4) is waits


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nhost: files.example\r\n\r\n", b"\x00" * 20])
def test_the_door_itself_leads_nowhere(world: World, sent: bytes) -> None:
    """To a kernel that follows connections, the destination of one that nobody redirected is the door: a circle."""
    with socket.create_connection(("127.0.0.1", world.port), 15) as connection:
        assert not answered(connection, sent)
