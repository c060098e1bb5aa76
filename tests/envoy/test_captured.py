"""The transparent door, end to end: a client's machine with nothing configured, a provider's, and envoy/capture.sh's rules between.

tests/envoy/test_transparent.py asks what the door does with what it gets; here is that everything gets there, and Douane out.

`douane up` runs as a user of its own, 1337, whom envoy/capture.sh leaves alone. The client trusts Douane's authority as a machine
does: it is in /etc/ssl/certs, and nowhere else. The provider's certificate is of another authority, which only Douane trusts.
"""

import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.support.calls import ATTACK, chat
from tests.support.installation import Installation, eventually
from tests.support.namespaces import ELSEWHERE, PROVIDER, PROVIDER6, Cable, Namespace, joined
from tests.support.upstream import CHAT_BYTES, STREAM, Upstream

pytestmark = pytest.mark.server

CAPTURE = str(Path(__file__).parents[2] / "envoy" / "capture.sh")
DOUANE_UID, CURL_UID, PYTHON_UID = 1337, 65534, 4242
STRANGER = "files.example.com"
URL = "https://api.openai.com/v1/chat/completions"
THEIR_CA = "/etc/ssl/their-ca.pem"
ASK = """
import json, sys, openai
attack = sys.argv[1]
with openai.OpenAI(api_key="sk-x", max_retries=0, default_headers={"x-user-id": "sdk"}) as client:
    def ask(text, **more):
        return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}], **more)
    whole = ask("hello").choices[0].message.content
    with ask("hello", stream=True) as stream:
        words = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    try:
        refused = ask(attack).choices[0].message.content
    except openai.PermissionDeniedError as error:
        refused = [error.status_code, error.body["code"]]
print(json.dumps([whole, words, refused]))
"""

DATAGRAMS = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect((sys.argv[1], 443))
    client.send(b"hello")
    client.send(b"an ICMP answer to the first is an error of the second")
"""


@dataclass
class World:
    """The client's machine, Douane on it, and the provider's two addresses."""

    cable: Cable
    douane: Installation
    providers: tuple[Upstream, Upstream]

    @property
    def client(self) -> Namespace:
        return self.cable.client

    def curl(self, url: str, *options: str) -> "subprocess.CompletedProcess[str]":
        return self.client.run("curl", "-sS", "-m", "20", *options, url, uid=CURL_UID)

    def chat(self, text: str, *options: str, user: str = "") -> "subprocess.CompletedProcess[str]":
        named = ("-H", f"x-user-id: {user}") if user else ()
        return self.curl(URL, "-H", "content-type: application/json", *named, "-d", chat(text).decode(), *options)

    def record(self, user: str) -> dict[str, object]:
        with self.client.entered():
            (found,) = self.douane.settled(user)
        return found

    def capture(self, *options: str) -> None:
        done = self.client.run(CAPTURE, *options)
        assert (done.returncode, done.stderr) == (0, "")

    def stranger(self, *options: str, text: str = "hello") -> "subprocess.CompletedProcess[str]":
        """Call a host that is no LLM host, trusting the provider's authority."""
        return self.curl(f"https://{STRANGER}/", "--cacert", THEIR_CA, "-d", chat(text).decode(), *options)

    def envoy_files(self) -> int:
        return len(list(Path(f"/proc/{self.douane.children()['envoy']}/fd").iterdir()))

    def reached(self, marker: str) -> int:
        return sum(len(provider.bodies(marker)) for provider in self.providers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("d"))
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.openai.com", STRANGER).configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "their-ca.pem"))
    with joined(["api.openai.com", STRANGER]) as cable, ExitStack() as stack:
        with cable.provider.entered():
            providers = (
                Upstream(tls=context, address=(PROVIDER, 443)),
                Upstream(tls=context, address=(PROVIDER6, 443)),
            )
        for provider in providers:
            stack.callback(provider.close)
        douane = _start(folder, cable.client)
        stack.callback(douane.stop)
        cable.client.put("ssl/certs/ca-certificates.crt", douane.authority.read_bytes())
        cable.client.put("ssl/their-ca.pem", authority.cert_pem.bytes())
        world = World(cable, douane, providers)
        world.capture("up")
        yield world


def _start(folder: Path, client: Namespace) -> Installation:
    data = folder / "data"
    data.mkdir()
    os.chown(data, DOUANE_UID, DOUANE_UID)
    douane = Installation(
        data,
        runner=client.command(uid=DOUANE_UID, reads_all=True),
        DOUANE_TRANSPARENT_PORT="15001",
        DOUANE_UPSTREAM_CA_FILE=str(folder / "their-ca.pem"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    return douane.wait()


@pytest.mark.parametrize("options", [("--http2", "-4"), ("--http1.1", "-4"), ("--http2", "-6")])
def test_a_chat_of_an_unchanged_client_is_inspected_and_answered(world: World, options: tuple[str, ...]) -> None:
    user = "plain" + "".join(options)
    done = world.chat(f"hello {user}", *options, user=user)
    assert (done.stderr, done.stdout.encode()) == ("", CHAT_BYTES)
    record = world.record(user)
    assert (record["door"], record["provider"], record["outcome"]) == ("transparent", "openai", "answered")
    assert (record["applied"], record["total_tokens"]) == ("allow", 18)


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_an_attack_is_denied_and_does_not_reach_the_provider(world: World, family: str) -> None:
    done = world.chat(ATTACK, family, "-w", "\n%{http_code}", user=f"attack{family}")
    body, _, status = done.stdout.rpartition("\n")
    assert (status, json.loads(body)["error"]["code"]) == ("403", "douane_denied")
    assert world.reached(ATTACK) == 0
    record = world.record(f"attack{family}")
    assert (record["door"], record["applied"]) == ("transparent", "deny")


def test_a_stream_passes_byte_for_byte(world: World) -> None:
    done = world.curl(URL, "-H", "content-type: application/json", "-d", chat("stream", stream=True).decode())
    assert done.stdout.encode() == b"".join(STREAM)


def test_the_sdk_needs_nothing(world: World) -> None:
    """httpx trusts a list of its own, unless SSL_CERT_FILE says that the machine's counts."""
    clean = {
        name: "" for name in os.environ if name.lower().endswith("_proxy") or name.startswith(("OPENAI", "DOUANE"))
    }
    done = world.client.run(
        sys.executable, "-c", ASK, ATTACK, uid=PYTHON_UID, reads_all=True,
        environment={**clean, "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["Hello — you.", ["Hel", "lo ", "— ", "you.", ""], [403, "douane_denied"]]


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_other_hosts_pass_with_their_own_certificate(world: World, family: str) -> None:
    marker = f"untouched{family} {ATTACK}"
    before = world.reached(marker)
    done = world.stranger(family, text=marker)
    assert (done.stderr, done.stdout.encode()) == ("", CHAT_BYTES)
    assert world.reached(marker) == before + 1
    assert "SSL certificate problem" in world.curl(f"https://{STRANGER}/", family).stderr


def test_the_name_decides_and_not_the_address(world: World) -> None:
    """Nobody listens at ELSEWHERE: an LLM host's name sent there reaches the real host, inspected."""
    done = world.chat("moved", "--connect-to", f"::{ELSEWHERE}:", user="moved")
    assert done.stdout.encode() == CHAT_BYTES
    assert world.record("moved")["door"] == "transparent"


def test_a_connection_to_the_door_itself_does_not_go_in_circles(world: World) -> None:
    """Its original address is the door's own: going there would be the same connection again, without end."""
    before = world.envoy_files()
    done = world.curl(f"https://{STRANGER}/", "--connect-to", "::127.0.0.1:15001", "-k", "-m", "5")
    assert done.returncode != 0
    assert world.envoy_files() < before + 50
    assert world.chat("after the circle").stdout.encode() == CHAT_BYTES


def test_plain_http_is_captured_where_its_port_is(world: World) -> None:
    plain = URL.replace("https", "http")
    assert world.curl(plain).returncode != 0  # nobody listens on the provider's port 80: it went there directly
    world.capture("up", "--ports", "443,80")
    try:
        done = world.curl(plain, "-d", chat(ATTACK).decode(), "-H", "x-user-id: plain-http", "-w", "\n%{http_code}")
        assert done.stdout.rpartition("\n")[2] == "403"
        assert world.record("plain-http")["door"] == "transparent"
    finally:
        world.capture("up")


def test_hosts_that_policy_does_not_know_are_closed_where_it_denies_them(world: World) -> None:
    policy = world.douane.data / "policy.yaml"
    before = policy.read_text()
    policy.write_text(f"{before}\nunknown_hosts: deny\n")
    try:
        eventually(lambda: world.stranger().returncode != 0, 10, 0.3)
        assert world.chat("still answered").stdout.encode() == CHAT_BYTES
    finally:
        policy.write_text(before)
    eventually(lambda: world.stranger().returncode == 0, 10, 0.3)


def test_http3_does_not_go_round(world: World) -> None:
    """What curl does first where it speaks HTTP/3: a datagram to port 443. It is refused at once, with an answer."""
    done = world.client.run(sys.executable, "-ISc", DATAGRAMS, PROVIDER, uid=PYTHON_UID, reads_all=True)
    assert re.search("PermissionError|ConnectionRefusedError", done.stderr)


def test_without_the_rules_all_goes_directly(world: World) -> None:
    world.capture("down")
    try:
        assert "SSL certificate problem" in world.chat("hello").stderr
        direct = f"direct {ATTACK}"
        assert world.chat(direct, "--cacert", THEIR_CA).stdout.encode() == CHAT_BYTES
        assert world.chat(direct, "-6", "--cacert", THEIR_CA).stdout.encode() == CHAT_BYTES
        assert world.reached(direct) == 2
    finally:
        world.capture("up")
    assert world.chat("hello again").stdout.encode() == CHAT_BYTES


def test_while_douane_is_down_nothing_leaves(world: World) -> None:
    """The last one: it stops Douane. The rules stay, and lead to nobody."""
    assert world.douane.stop() == 0
    for family in ("-4", "-6"):
        assert "Couldn't connect" in world.chat("nobody home", family, "--cacert", THEIR_CA).stderr
        assert "Couldn't connect" in world.stranger(family, text="nobody home").stderr
    assert world.reached("nobody home") == 0
