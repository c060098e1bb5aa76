"""The pass-through log as a real Envoy writes it, and the watch that follows it: tunnels, plain HTTP, rotation, kills."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from envoy_data_plane.envoy.config.bootstrap import v3 as bootstrap
from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.bootstrap.internal_listener import v3 as internal_listener
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state import v3 as filter_state
from envoy_data_plane.envoy.extensions.filters.http.router import v3 as router
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state import v3 as set_filter_state
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector import v3 as tls_inspector
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy import v3 as tcp_proxy
from envoy_data_plane.envoy.extensions.transport_sockets.internal_upstream import v3 as internal_upstream
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer import v3 as raw_buffer

from sidecar.coverage.deliver import Source
from sidecar.coverage.follow import log_path
from sidecar.coverage.llm_hosts import llm_host
from sidecar.coverage.tally import Tally
from sidecar.coverage.watch import Rim, Watch, open_tally
from sidecar.envoyconf import passthrough_log
from sidecar.envoyconf.passthrough_log import (
    CLIENT_STATE,
    pass_through_log,
    pass_through_log_options,
    pass_through_stat,
    passed_requests_log,
)
from sidecar.envoyconf.spec import NAMED_HOST
from sidecar.envoyconf.typed import extension, milliseconds, pack, socket_address
from sidecar.supervisor.health import ask
from sidecar.telemetry import CoverageCounts
from tests.support.installation import eventually
from tests.support.ports import free_ports

pytestmark = pytest.mark.server

ENVOY = Path(sys.executable).with_name("envoy")


class Echo:
    """A host that sends every byte back twice; a GET gets two bytes as an answer."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._run(self._serve)

    def _run(self, work: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._run(self._answer, client)

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while data := client.recv(65536):
                plain = data.startswith(b"GET")
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" if plain else data * 2)

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        for thread in self._threads:
            thread.join(10)
        self._server.close()


class Passing:
    """A real Envoy with three doors that let everything pass: tcp_proxy behind tls_inspector, plain HTTP, and CONNECT."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.folder, self.log = folder, log_path(folder)
        self.log.parent.mkdir(parents=True)
        self.tcp, self.http, self.connect, self.admin = free_ports(4)
        (folder / "envoy.json").write_text(json.dumps(self._bootstrap(upstream).to_dict()))
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        flush = ("--file-flush-min-size-kb", "0", "--file-flush-interval-msec", "1000")
        process = subprocess.Popen(
            [ENVOY, "-c", self.folder / "envoy.json", "--log-level", "error", "--disable-hot-restart", *flush]
        )
        eventually(lambda: self.ask("/ready", "GET") is not None, 20)
        return process

    def ask(self, path: str, method: str) -> bytes | None:
        return ask(f"http://127.0.0.1:{self.admin}{path}", method)

    def killed(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process = self._start()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def _bootstrap(self, upstream: int) -> bootstrap.Bootstrap:
        lines = [
            self._listener("tcp", self.tcp, self._tcp("proxy")),
            self._listener("http", self.http, self._plain()),
            self._listener("connect", self.connect, self._tunnels()),
            self._listener("room", 0, self._tcp("connect")),
        ]
        room = extension("envoy.bootstrap.internal_listener", internal_listener.InternalListener())
        return bootstrap.Bootstrap(
            bootstrap_extensions=[room],
            node=core.Node(id="x", cluster="x"),
            admin=bootstrap.Admin(address=socket_address("127.0.0.1", self.admin)),
            static_resources=bootstrap.BootstrapStaticResources(listeners=lines, clusters=[_to(upstream), _to_room()]),
        )

    def _listener(self, name: str, port: int, filter_: listener.Filter) -> listener.Listener:
        sni = listener.ListenerFilter(
            name="envoy.filters.listener.tls_inspector", typed_config=pack(tls_inspector.TlsInspector())
        )
        if port:
            where: dict[str, Any] = {"address": socket_address("127.0.0.1", port)}
        else:
            where = {"internal_listener": listener.ListenerInternalListenerConfig()}
        return listener.Listener(
            name=name,
            **where,
            listener_filters=[sni],
            filter_chains=[listener.FilterChain(filters=[filter_])],
        )

    def _tcp(self, door: str) -> listener.Filter:
        built = tcp_proxy.TcpProxy(
            stat_prefix=pass_through_stat(door),
            cluster="up",
            access_log=pass_through_log(str(self.log), door),
            access_log_options=pass_through_log_options(),
        )
        return listener.Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(built))

    def _plain(self) -> listener.Filter:
        host = route.VirtualHost(
            name="all",
            domains=["*"],
            routes=[
                route.Route(name=name, match=route.RouteMatch(prefix=path), route=route.RouteAction(cluster="up"))
                for name, path in (("plain/inspected", "/seen"), ("plain/passed", "/"))
            ],
        )
        built = hcm.HttpConnectionManager(
            stat_prefix="plain",
            preserve_external_request_id=True,
            access_log=passed_requests_log(str(self.log), "plain", "plain/passed"),
            route_config=route.RouteConfiguration(virtual_hosts=[host]),
            http_filters=[hcm.HttpFilter(name="envoy.filters.http.router", typed_config=pack(router.Router()))],
        )
        return listener.Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(built))

    def _tunnels(self) -> listener.Filter:
        """End CONNECT and hand authority and client on to the room, as the forward proxy does."""
        handed = [(NAMED_HOST, "%REQ(:AUTHORITY)%"), (CLIENT_STATE, "%DOWNSTREAM_REMOTE_ADDRESS%")]
        upgrade = route.RouteActionUpgradeConfig(
            upgrade_type="CONNECT", connect_config=route.RouteActionUpgradeConfigConnectConfig()
        )
        tunnel = route.Route(
            match=route.RouteMatch(connect_matcher=route.RouteMatchConnectMatcher()),
            route=route.RouteAction(cluster="room", upgrade_configs=[upgrade]),
        )
        built = hcm.HttpConnectionManager(
            stat_prefix="connect",
            upgrade_configs=[hcm.HttpConnectionManagerUpgradeConfig(upgrade_type="CONNECT")],
            route_config=route.RouteConfiguration(
                virtual_hosts=[route.VirtualHost(name="all", domains=["*"], routes=[tunnel])]
            ),
            http_filters=[
                hcm.HttpFilter(
                    name="envoy.filters.http.set_filter_state",
                    typed_config=pack(set_filter_state.Config(on_request_headers=[_state(*one) for one in handed])),
                ),
                hcm.HttpFilter(name="envoy.filters.http.router", typed_config=pack(router.Router())),
            ],
        )
        return listener.Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(built))


def _state(key: str, text: str) -> filter_state.FilterStateValue:
    return filter_state.FilterStateValue(
        object_key=key,
        factory_key="envoy.string",
        format_string=core.SubstitutionFormatString(text_format_source=core.DataSource(inline_string=text)),
        shared_with_upstream=filter_state.FilterStateValueSharedWithUpstream.ONCE,
    )


def _to_room() -> cluster.Cluster:
    address = core.Address(envoy_internal_address=core.EnvoyInternalAddress(server_listener_name="room"))
    inner = core.TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=pack(raw_buffer.RawBuffer()))
    outer = extension(
        "envoy.transport_sockets.internal_upstream", internal_upstream.InternalUpstreamTransport(transport_socket=inner)
    )
    ends = endpoint.LbEndpoint(endpoint=endpoint.Endpoint(address=address))
    return cluster.Cluster(
        name="room",
        connect_timeout=milliseconds(500),
        load_assignment=endpoint.ClusterLoadAssignment(
            cluster_name="room", endpoints=[endpoint.LocalityLbEndpoints(lb_endpoints=[ends])]
        ),
        transport_socket=core.TransportSocket(name=outer.name, typed_config=outer.typed_config),
    )


def _to(port: int) -> cluster.Cluster:
    ends = endpoint.LbEndpoint(endpoint=endpoint.Endpoint(address=socket_address("127.0.0.1", port)))
    return cluster.Cluster(
        name="up",
        type=cluster.ClusterDiscoveryType.STATIC,
        connect_timeout=milliseconds(500),
        load_assignment=endpoint.ClusterLoadAssignment(
            cluster_name="up", endpoints=[endpoint.LocalityLbEndpoints(lb_endpoints=[ends])]
        ),
    )


@pytest.fixture
def echo() -> Iterator[Echo]:
    found = Echo()
    yield found
    found.close()


@pytest.fixture
def envoy(tmp_path: Path, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Passing]:
    monkeypatch.setattr(passthrough_log, "REFRESH_S", 1)  # a minute in production
    found = Passing(tmp_path / "d", echo.port)
    yield found
    found.close()


def hello(name: str) -> bytes:
    """Return the bytes of a real TLS ClientHello that names a host."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def tunnel(envoy: Passing, name: str = "api.openai.com") -> socket.socket:
    """Open a connection and send a ClientHello; it comes back twice."""
    client = socket.create_connection(("127.0.0.1", envoy.tcp), 5)
    sent = hello(name) if name else b"not TLS"
    client.sendall(sent)
    received = 0
    while received < 2 * len(sent):
        received += len(client.recv(65536))
    return client


def plain(envoy: Passing, host: str, path: str = "/x", **headers: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{envoy.http}{path}", headers={"host": host, **headers})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
        assert answer.read() == b"ok"


class Watched:
    """The watch on a folder, in its own event loop steps; sends nowhere."""

    def __init__(self, envoy: Passing) -> None:
        self.envoy = envoy
        self.tally: Tally = open_tally(envoy.folder, llm_host, lambda: "c" * 32)
        self.watch = self._watch()

    def _watch(self) -> Watch:
        async def send(_report: Any) -> None:
            raise ConnectionError("analytics is away")

        rim = Rim(
            ask=self.envoy.ask,
            process=lambda: self.envoy.process.pid,
            send=send,
            now_us=lambda: time.time_ns() // 1000,
            say=lambda _text: None,
            workers=dict,
        )
        return Watch(self.envoy.folder, self.tally, Source("p", "n", "s", "m"), rim, CoverageCounts())

    def read(self) -> dict[tuple[str, str], list[int]]:
        self.watch._follow()
        return self.sums()

    def look(self) -> dict[tuple[str, str], int]:
        asyncio.run(self.watch.look())
        return {(one.door, one.kind): one.count for one in self.tally.since(0)[1] if one.kind != "starts"}

    def sums(self) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = {}
        for one in self.tally.since(0)[0]:
            sums = found.setdefault((one.door, one.host), [0, 0, 0, 0])
            for place, value in enumerate((one.connections, one.failed, one.bytes_out, one.bytes_in)):
                sums[place] += value
        return found

    def killed(self) -> None:
        """Play a kill -9: nothing is closed, a new one begins on the same files."""
        self.tally = open_tally(self.envoy.folder, llm_host, lambda: "d" * 32)
        self.watch = self._watch()


@pytest.fixture
def watched(envoy: Passing) -> Watched:
    return Watched(envoy)


def test_a_tunnel_shows_while_it_is_open_and_is_counted_once(envoy: Passing, watched: Watched) -> None:
    client = tunnel(envoy)
    eventually(lambda: watched.read() != {}, 5)
    assert watched.sums()["proxy", "api.openai.com"][:2] == [1, 0]
    client.sendall(b"x" * 1000)
    size = len(hello("api.openai.com"))
    eventually(lambda: watched.read()["proxy", "api.openai.com"][2] >= size + 1000 - 20, 5)
    client.close()
    eventually(lambda: "TcpConnectionEnd" in envoy.log.read_text(), 5)
    connections, failed, out, back = watched.read()["proxy", "api.openai.com"]
    assert (connections, failed, back) == (1, 0, 2 * out)
    (row, *_) = watched.tally.since(0)[0]
    assert (row.llm, row.listed, row.client) == ("openai", True, "127.0.0.1")


def test_names_come_from_sni_authority_or_address(envoy: Passing, watched: Watched, echo: Echo) -> None:
    tunnel(envoy, "pypi.org").close()
    tunnel(envoy, "").close()
    plain(envoy, "ollama.internal:11434")
    plain(envoy, "api.openai.com", path="/seen")
    plain(envoy, "ollama.internal:11434")
    eventually(lambda: len(watched.read()) == 3 and watched.sums()["plain", "ollama.internal"][0] == 2, 5)
    assert {key: sums[0] for key, sums in watched.sums().items()} == {
        ("proxy", "pypi.org"): 1,
        ("proxy", "127.0.0.1"): 1,
        ("plain", "ollama.internal"): 2,
    }


def test_a_connect_is_told_by_what_it_asked_for_and_who_asked(envoy: Passing, watched: Watched) -> None:
    for authority, sent in (("secret.example:22", b"SSH-2.0-x"), ("10.9.8.7:443", hello("api.mistral.ai"))):
        with socket.create_connection(("127.0.0.1", envoy.connect), 5) as client:
            client.sendall(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            client.sendall(sent)
            assert client.recv(4096)
    eventually(lambda: len(watched.read()) == 2, 5)
    rows = [(one.door, one.host, one.client) for one in watched.tally.since(0)[0]]
    assert sorted(set(rows)) == [("connect", "api.mistral.ai", "127.0.0.1"), ("connect", "secret.example", "127.0.0.1")]


def test_a_client_cannot_hide_behind_one_request_id(envoy: Passing, watched: Watched) -> None:
    for _ in range(5):
        plain(envoy, "api.openai.com", **{"x-request-id": "00000000-0000-4000-8000-000000000000"})
    eventually(lambda: watched.read().get(("plain", "api.openai.com"), [0])[0] == 5, 5)


def test_a_host_that_cannot_be_reached_is_a_failed_attempt(envoy: Passing, watched: Watched, echo: Echo) -> None:
    echo.close()
    time.sleep(0.1)
    with socket.create_connection(("127.0.0.1", envoy.tcp), 5) as client, suppress(ConnectionError):
        client.sendall(hello("api.anthropic.com"))
        client.recv(10)
    eventually(lambda: ("proxy", "api.anthropic.com") in watched.read(), 5)
    connections, failed, _, back = watched.sums()["proxy", "api.anthropic.com"]
    assert (connections, failed, back) == (1, 1, 0)
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        plain(envoy, "ollama.internal")
    refused.value.close()
    eventually(lambda: ("plain", "ollama.internal") in watched.read(), 5)
    assert watched.sums()["plain", "ollama.internal"] == [1, 1, 0, 0]


def test_rotation_under_traffic_loses_no_connection(
    envoy: Passing, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.coverage.watch.ROTATE_BYTES", 4000)
    stop, sent = threading.Event(), [0]

    def load() -> None:
        while not stop.is_set():
            tunnel(envoy, "pypi.org").close()
            sent[0] += 1

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for turn in range(60):
            watched.read()
            if turn % 10 == 9:
                watched.killed()
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join()
    eventually(lambda: watched.read()["proxy", "pypi.org"][0] == sent[0], 5)
    assert sent[0] > 50
    names = {path.name for path in envoy.log.parent.glob("pass-through.log*")}
    assert names <= {"pass-through.log", "pass-through.log.1", "pass-through.log.2"}
    assert "pass-through.log.2" in names
    assert sum(path.stat().st_size for path in envoy.log.parent.glob("pass-through.log*")) < 200_000
    assert watched.look()["proxy", "pass_through_connections"] == sent[0]


def test_a_killed_envoy_loses_no_written_line_and_is_counted(envoy: Passing, watched: Watched) -> None:
    for _ in range(5):
        tunnel(envoy, "pypi.org").close()
    eventually(lambda: envoy.log.read_text().count("TcpConnectionEnd") == 5, 5)
    assert watched.look() == {("proxy", "pass_through_connections"): 5}
    envoy.killed()
    tunnel(envoy, "pypi.org").close()
    eventually(lambda: watched.read()["proxy", "pypi.org"][0] == 6, 5)
    counts = watched.look()
    assert counts["proxy", "pass_through_connections"] == 6
    assert counts["", "envoy_restarts"] == 1
