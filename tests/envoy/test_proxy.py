"""The forward proxy: what is opened and inspected, what passes untouched, and what is refused. Clients are curl and the SDK."""

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest
import trustme

from sidecar.certs.authority import rotate
from tests.support.calls import ATTACK, chat
from tests.support.installation import Installation, eventually
from tests.support.upstream import CHAT_BYTES, STREAM, Upstream

pytestmark = pytest.mark.server

URL = "https://api.openai.com/v1/chat/completions"


@dataclass
class World:
    """An installation, and a provider behind TLS of another authority."""

    douane: Installation
    provider: Upstream
    folder: Path

    def curl(self, url: str, *options: str) -> "subprocess.CompletedProcess[bytes]":
        command = ["curl", "-sS", "-m", "20", "-x", self.douane.proxy, "--cacert", str(self.douane.authority)]
        return subprocess.run([*command, *options, url], capture_output=True, timeout=30, check=False)

    def chat(self, text: str, *options: str, url: str = URL, user: str = "") -> "subprocess.CompletedProcess[bytes]":
        headers = ("-H", "content-type: application/json", *(("-H", f"x-user-id: {user}") if user else ()))
        return self.curl(url, *headers, "-d", chat(text).decode(), *options)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("d"))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "their-ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    provider = Upstream(tls=context)
    douane = Installation(
        folder / "data",
        DOUANE_UPSTREAMS=f"openai={provider.url}",
        DOUANE_UPSTREAM_CA_FILE=str(folder / "their-ca.pem"),
    ).wait()
    yield World(douane, provider, folder)
    assert douane.stop() == 0
    provider.close()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_an_llm_host_is_opened_inspected_and_answered(world: World, version: str) -> None:
    done = world.chat(f"hello over {version}", version, "-w", "\n%{http_version}", user=f"proxy{version}")
    body, _, spoken = done.stdout.rpartition(b"\n")
    assert (done.stderr, body, spoken) == (b"", CHAT_BYTES, {"--http1.1": b"1.1", "--http2": b"2"}[version])
    (record,) = world.douane.settled(f"proxy{version}")
    assert (record["door"], record["provider"]) == ("proxy", "openai")
    assert record["detail"]["host"] == "api.openai.com"
    assert (record["outcome"], record["total_tokens"]) == ("answered", 18)


def test_an_attack_is_denied(world: World) -> None:
    done = world.chat(ATTACK, "-w", "\n%{http_code}", user="proxy-attack")
    body, _, status = done.stdout.rpartition(b"\n")
    assert (status, json.loads(body)["error"]["code"]) == (b"403", "douane_denied")
    assert world.provider.bodies(ATTACK) == []
    (record,) = world.douane.settled("proxy-attack")
    assert (record["door"], record["applied"]) == ("proxy", "deny")


def test_the_sdk_needs_a_proxy_and_a_certificate_and_nothing_else(world: World) -> None:
    trust = ssl.create_default_context(cafile=str(world.douane.authority))
    with openai.OpenAI(
        api_key="sk-x", max_retries=0, http_client=openai.DefaultHttpxClient(proxy=world.douane.proxy, verify=trust)
    ) as client:
        with client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True
        ) as stream:
            words = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        assert words == ["Hel", "lo ", "— ", "you.", ""]
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": ATTACK}])


def test_a_stream_passes_byte_for_byte(world: World) -> None:
    done = world.curl(URL, "-H", "content-type: application/json", "-d", chat("stream", stream=True).decode())
    assert done.stdout == b"".join(STREAM)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://127.0.0.1:443/", b"does not lead to the machine"),
        ("https://localhost/", b"does not lead to the machine"),
        ("https://api.openai.com:8443/", b"CONNECT leads to ports 443 only"),
    ],
)
def test_connect_leads_neither_to_this_machine_nor_to_other_ports(world: World, url: str, words: bytes) -> None:
    host = url.removeprefix("https://").rstrip("/")
    host = host if host.count(":") else f"{host}:443"
    with socket.create_connection(("127.0.0.1", world.douane.ports["proxy-port"]), 10) as client:
        client.sendall(f"CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 403")
    assert words in answer


def test_connect_may_speak_http_1_0(world: World) -> None:
    """As Python's http.client does before 3.12, and with it requests and boto3."""
    with socket.create_connection(("127.0.0.1", world.douane.ports["proxy-port"]), 10) as client:
        client.sendall(b"CONNECT api.openai.com:443 HTTP/1.0\r\n\r\n")
        assert client.recv(65536).split(b" ", 2)[1] == b"200"


def test_a_host_header_that_is_no_llm_host_is_misdirected(world: World) -> None:
    done = world.curl(
        "https://api.openai.com/v1/models",
        "-H",
        "host: internal.example",
        "-H",
        "x-user-id: fronting",
        "-w",
        "\n%{http_code}",
    )
    assert done.stdout.rpartition(b"\n")[2] == b"421", done.stderr
    (record,) = world.douane.settled("fronting")
    assert (record["door"], record["http_status"], record["detail"]["host"]) == ("proxy", 421, "internal.example")


def test_plain_http_to_an_llm_host_is_inspected(world: World) -> None:
    done = world.chat("hello plain", url="http://api.openai.com/v1/chat/completions", user="plain")
    assert done.stdout == CHAT_BYTES
    (record,) = world.douane.settled("plain")
    assert (record["door"], record["provider"]) == ("proxy", "openai")


def test_a_hundred_clients_shake_hands_at_once(world: World) -> None:
    names = [f"host{number}.openai.azure.com" for number in range(20)]
    started = [
        subprocess.Popen(
            ["curl", "-sS", "-m", "30", "-o", "/dev/null", "-w", "%{ssl_verify_result} %{http_code}", "-x",
             world.douane.proxy, "--cacert", str(world.douane.authority), f"https://{names[number % 20]}/"],
            stdout=subprocess.PIPE,
        )
        for number in range(100)
    ]  # fmt: skip
    results = [process.communicate(timeout=60)[0] for process in started]
    assert {result.split()[0] for result in results} == {b"0"}


def test_unknown_hosts_are_denied_when_policy_says_so_at_once(world: World) -> None:
    policy = world.douane.data / "policy.yaml"
    before = policy.read_text()
    policy.write_text(f"{before}\nunknown_hosts: deny\n")
    try:
        eventually(
            lambda: b"CONNECT tunnel failed, response 403" in world.curl("https://stranger.test/").stderr, 10, 0.3
        )
        assert world.chat("still inspected").stdout == CHAT_BYTES
    finally:
        policy.write_text(before)


def test_a_rotated_authority_is_used_at_once_and_old_trust_still_holds(world: World) -> None:
    old = world.folder / "old.pem"
    old.write_bytes(world.douane.authority.read_bytes())
    rotate(world.douane.data / "ca", ("api.openai.com", "openai.azure.com"))
    eventually(lambda: world.chat("after").stdout == CHAT_BYTES, 15, 0.5)
    assert world.chat("after", "--cacert", str(old)).stdout == CHAT_BYTES


def test_the_log_names_no_secret(world: World) -> None:
    text = (world.douane.data / "log" / "envoy.log").read_text()
    assert not re.search("PRIVATE KEY", text)
