"""Ways round the forward proxy, and what goes wrong behind it: odd ClientHellos, false names, this machine, broken providers."""

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.support.calls import ATTACK, call, chat
from tests.support.hello import answered, client_hello, in_records, issuer, padded
from tests.support.installation import Installation, eventually
from tests.support.namespace import STRANGER, STRANGER6, private_network
from tests.support.ports import free_ports
from tests.support.tunnel import through_http2
from tests.support.upstream import CHAT_BYTES, Upstream

pytestmark = pytest.mark.server

OPENAI = "api.openai.com:443"


@dataclass
class World:
    """An installation and its provider, in a network with a stranger."""

    douane: Installation
    provider: Upstream
    stranger: Upstream
    folder: Path

    def connect(self, host: str) -> socket.socket:
        """Open a tunnel."""
        opened = socket.create_connection(("127.0.0.1", self.douane.ports["proxy-port"]), 15)
        opened.sendall(f"CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        answer = opened.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return opened

    def stranger_at(self, address: str = STRANGER) -> str:
        where = f"[{address}]" if ":" in address else address
        return f"{where}:{self.stranger.port}"

    def issuer(self, host: str, name: str | None) -> str:
        """Return who issued the certificate that a tunnel to a host shows to a client that asks for a name."""
        with self.connect(host) as tunnel:
            return issuer(tunnel, name)

    def curl(self, url: str, *options: str) -> "subprocess.CompletedProcess[bytes]":
        command = [
            "curl",
            "-sS",
            "-m",
            "20",
            "--noproxy",
            "",
            "-x",
            self.douane.proxy,
            "--cacert",
            str(self.douane.authority),
        ]
        return subprocess.run([*command, *options, url], capture_output=True, timeout=30, check=False)

    def stats(self, name: str) -> int:
        answer = call(f"http://127.0.0.1:{self.douane.ports['admin-port']}", f"/stats?filter=^{name}$", method="GET")
        return int(answer.body.decode().rpartition(": ")[2])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("d")
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "their.pem"))
    with private_network():
        (port,) = free_ports(1)
        provider = Upstream(tls=tls(authority, "localhost"))
        stranger, stranger6 = (
            Upstream(tls=tls(authority, "stranger.test"), address=(address, port)) for address in (STRANGER, STRANGER6)
        )
        resolved = Upstream(tls=tls(authority, "localhost"), address=("127.0.0.1", 443))
        broken = {
            "deepseek": Upstream(tls=tls(authority, "localhost", until=datetime.now(UTC) - timedelta(days=1))),
            "groq": Upstream(tls=tls(other, "localhost")),
            "xai": Upstream(tls=tls(authority, "elsewhere.test")),
        }
        moved = {
            "openai": provider.url,
            **{name: one.url for name, one in broken.items()},
            "mistral": "https://localhost:1",
        }
        douane = Installation(
            folder / "data",
            DOUANE_UPSTREAMS=",".join(f"{name}={url}" for name, url in moved.items()),
            DOUANE_UPSTREAM_CA_FILE=str(folder / "their.pem"),
            DOUANE_CONNECT_PORTS=f"443,{port}",
            DOUANE_LLM_HOSTS="localhost=anthropic,other.localhost=anthropic",  # found by asking, as wildcards' hosts are
        ).wait()
        yield World(douane, provider, stranger, folder)
        assert douane.stop() == 0
        for upstream in (provider, stranger, stranger6, resolved, *broken.values()):
            upstream.close()


def tls(authority: trustme.CA, name: str, until: datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=until).configure_cert(context)
    return context


@pytest.mark.parametrize("address", [STRANGER, STRANGER6])
@pytest.mark.parametrize("name", ["stranger.test", None, "s3.us-east-1.amazonaws.com"])
def test_a_stranger_shows_its_own_certificate(world: World, address: str, name: str | None) -> None:
    assert world.issuer(world.stranger_at(address), name) == "trustme"


@pytest.mark.parametrize("name", ["api.openai.com", "API.OpenAI.com", "api.openai.com.", "x.openai.azure.com"])
def test_an_llm_host_is_opened_whatever_connect_named(world: World, name: str) -> None:
    assert world.issuer(world.stranger_at(), name) == "Douane"


@pytest.mark.parametrize("name", ["stranger.test", None, "a_b.openai.azure.com", "unnamed"])
def test_a_tunnel_to_an_llm_host_leads_to_nothing_else(world: World, name: str | None) -> None:
    passed = world.stats("tcp.passed_proxy.downstream_cx_total")
    assert world.issuer(OPENAI, name) == ""
    assert world.stats("tcp.passed_proxy.downstream_cx_total") == passed


def test_a_name_without_a_certificate_is_refused_at_once(world: World) -> None:
    before = time.monotonic()
    assert world.issuer(world.stranger_at(), "a_b.openai.azure.com") == ""
    assert time.monotonic() - before < 3


@pytest.mark.parametrize("size", [1, 100, 16_000])
def test_a_client_hello_in_pieces_is_read(world: World, size: int) -> None:
    with world.connect(world.stranger_at()) as tunnel:
        assert answered(tunnel, in_records(client_hello("api.openai.com"), size))
    assert not [r for r in world.stranger.received if b"api.openai.com" in r.head]


@pytest.mark.parametrize("length", [17_000, 60_000])
def test_a_client_hello_larger_than_envoy_reads_does_not_pass(world: World, length: int) -> None:
    """It was passed on untouched, with the name of an LLM host in it; OpenSSL answers it."""
    with world.connect(world.stranger_at()) as tunnel:
        assert not answered(tunnel, padded(client_hello("api.openai.com"), length))


def test_a_late_client_hello_is_waited_for(world: World) -> None:
    """After half a second it was passed on untouched."""
    with world.connect(world.stranger_at()) as tunnel:
        time.sleep(1.5)
        assert issuer(tunnel, "api.openai.com") == "Douane"


@pytest.mark.parametrize(
    "sent", [b"SSH-2.0-client\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01\x00\x02\x01\xff"]
)
def test_a_tunnel_carries_tls_or_nothing(world: World, sent: bytes) -> None:
    passed = world.stats("tcp.passed_proxy.downstream_cx_total")
    with world.connect(world.stranger_at()) as tunnel:
        assert not answered(tunnel, sent)
    assert world.stats("tcp.passed_proxy.downstream_cx_total") == passed


@pytest.mark.parametrize(
    "host", ["[0:0:0:0:0:0:0:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "localhost.", "0177.0.0.1", "ip6-localhost"]
)
def test_no_name_of_this_machine_leads_to_its_admin_page(world: World, host: str) -> None:
    """Envoy's admin page has a button that stops it. The machine's own name did lead there."""
    for name in (host, socket.gethostname()):
        done = world.curl(f"http://{name}:{world.douane.ports['admin-port']}/server_info", "-w", "\n%{http_code}")
        assert done.stdout.rpartition(b"\n")[2] in (b"403", b"503"), done
        assert b"LIVE" not in done.stdout


def test_a_request_that_comes_back_is_stopped(world: World) -> None:
    passed = Upstream(address=(STRANGER, 0))
    url = f"http://{STRANGER}:{passed.port}/"
    assert world.curl(url).stdout == CHAT_BYTES
    marked = passed.received[-1].headers["via"]
    passed.close()
    assert marked.startswith("1.1 douane-")
    assert world.curl(url, "-H", f"via: 1.0 other, {marked}", "-o", "/dev/null", "-w", "%{http_code}").stdout == b"508"


def test_a_false_port_does_not_make_a_host_an_llm_s(world: World) -> None:
    """*:11434 is Ollama over plain HTTP; in opened TLS it would lead to any machine."""
    done = world.curl(
        "https://api.openai.com/api/tags", "-H", f"host: {STRANGER}:11434", "-o", "/dev/null", "-w", "%{http_code}"
    )
    assert done.stdout == b"421"


def test_the_record_names_the_client_and_not_envoy(world: World) -> None:
    done = world.curl("https://api.openai.com/v1/chat/completions", "-H", "content-type: application/json", "-d", "{}")
    assert done.stderr == b""
    records = world.douane.settled("ip:127.0.0.1")
    assert records[0]["detail"]["source_address"].startswith("127.0.0.1:")
    assert world.douane.records(user="ip:envoy") == []


def test_connect_over_http2_is_inspected(world: World) -> None:
    with through_http2(("127.0.0.1", world.douane.ports["proxy-port"]), OPENAI, world.douane.authority) as tunnel:
        assert tunnel.post("/v1/chat/completions", chat("over two"), {"x-user-id": "h2"}) == (200, CHAT_BYTES)
        assert tunnel.post("/v1/chat/completions", chat(ATTACK), {"x-user-id": "h2-attack"})[0] == 403
    (record,) = world.douane.settled("h2-attack")
    assert (record["door"], record["applied"]) == ("proxy", "deny")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("api.deepseek.com", "could not be verified"),
        ("api.groq.com", "could not be verified"),
        ("api.x.ai", "could not be verified"),
        ("api.mistral.ai", "connection failure"),
        ("nowhere.openai.azure.com", "could not be resolved"),
    ],
)
def test_a_provider_that_cannot_be_trusted_or_reached_is_a_clear_503(world: World, host: str, words: str) -> None:
    user = f"broken-{host}"
    body = ("-H", "content-type: application/json", "-H", f"x-user-id: {user}", "-d", chat("broken").decode())
    done = world.curl(f"https://{host}/v1/chat/completions", *body, "-w", "\n%{http_code}")
    text, _, status = done.stdout.rpartition(b"\n")
    error = json.loads(text)["error"]
    assert (status, error["type"]) == (b"503", "douane_gateway_error")
    assert words in error["message"]
    (record,) = world.douane.settled(user)
    assert (record["door"], record["outcome"], record["http_status"]) == ("proxy", "upstream_error", 503)
    assert record["detail"]["host"] == host


@pytest.mark.parametrize(("host", "answer"), [("localhost", CHAT_BYTES), ("other.localhost", b"could not be verified")])
def test_a_host_that_was_looked_up_is_verified_by_its_own_name(world: World, host: str, answer: bytes) -> None:
    """Both lead to one provider, whose certificate names one. CONNECT names a stranger: it does not lead to this machine."""
    body = ("-H", "content-type: application/json", "-d", chat("looked up").decode())
    stranger = ("--connect-to", f"::{world.stranger_at()}")
    told = world.curl(f"https://{host}/v1/chat/completions", *body, *stranger).stdout
    assert answer in told, told


def test_slow_readers_cost_little_memory(world: World) -> None:
    """With room for a whole body on each connection, twenty of them took 380 MB."""
    status = Path(f"/proc/{world.douane.children()['envoy']}/status")
    before = resident_mb(status)
    with socket.create_server((STRANGER, 0)) as server, ExitStack() as held:
        threading.Thread(target=pour, args=(server, 20), daemon=True).start()
        where = f"{STRANGER}:{server.getsockname()[1]}"
        for _ in range(20):
            reader = held.enter_context(socket.create_connection(("127.0.0.1", world.douane.ports["proxy-port"]), 10))
            reader.sendall(f"GET http://{where}/ HTTP/1.1\r\nhost: {where}\r\n\r\n".encode())
        time.sleep(2)
        assert resident_mb(status) - before < 100


def pour(server: socket.socket, clients: int) -> None:
    """Send to each client without end, until it is gone."""

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(bytes(65536))

    for _ in range(clients):
        threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()


def resident_mb(status: Path) -> int:
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


def test_two_hundred_clients_shake_hands_at_once(world: World) -> None:
    with ThreadPoolExecutor(200) as pool:
        asked = [(world.stranger_at(), f"many{number}.openai.azure.com") for number in range(200)]
        assert set(pool.map(lambda one: world.issuer(*one), asked)) == {"Douane"}


def test_certificates_come_again_after_their_process_was_killed(world: World) -> None:
    old = world.douane.children()["certificates"]
    world.douane.kill("certificates")
    assert world.issuer(world.stranger_at(), "api.openai.com") == "Douane"  # Envoy holds it
    eventually(lambda: world.douane.children().get("certificates", old) != old, 15)
    eventually(lambda: world.issuer(world.stranger_at(), "fresh.openai.azure.com") == "Douane", 20, 0.5)


def test_tunnels_to_strangers_end_when_policy_denies_them_and_envoy_takes_the_listener(world: World) -> None:
    policy = world.douane.data / "policy.yaml"
    before = policy.read_text()
    policy.write_text(f"{before}\nunknown_hosts: deny\n")
    try:
        eventually(lambda: world.curl(f"https://{STRANGER}:{world.stranger.port}/").stderr.find(b"403") >= 0, 10, 0.3)
        rejected = call(
            f"http://127.0.0.1:{world.douane.ports['admin-port']}", "/stats?filter=lds.update_rejected", method="GET"
        )
        assert rejected.body.strip() == b"listener_manager.lds.update_rejected: 0"
        assert world.issuer(OPENAI, "api.openai.com") == "Douane"
        assert world.issuer(OPENAI, "stranger.test") == ""
    finally:
        policy.write_text(before)
    url = f"https://{STRANGER}:{world.stranger.port}/"
    eventually(lambda: world.curl(url, "-k").stdout == CHAT_BYTES, 10, 0.3)
