"""Questions to children."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sidecar.supervisor.health import ask, http_ok, port_open, socket_open, taken_port

pytestmark = pytest.mark.server


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ok" else 503)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def unused() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


async def test_http_is_ok_only_with_200(port: int) -> None:
    assert await http_ok(f"http://127.0.0.1:{port}/ok")() is True
    assert await http_ok(f"http://127.0.0.1:{port}/no")() is False
    assert await http_ok(f"http://127.0.0.1:{unused()}/ok")() is False


async def test_port_is_open_when_somebody_listens(port: int) -> None:
    assert await port_open(port)() is True
    assert await port_open(unused())() is False


async def test_socket_is_open_when_somebody_listens() -> None:
    with tempfile.TemporaryDirectory(prefix="douane") as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder) / "x.sock"
        assert await socket_open(path)() is False
        server.bind(str(path))
        assert await socket_open(path)() is False
        server.listen()
        assert await socket_open(path)() is True


def test_taken_port_says_why(port: int) -> None:
    assert taken_port("127.0.0.1", port) == "Address already in use"
    assert taken_port("127.0.0.1", unused()) == ""
    assert taken_port("192.0.2.1", unused()) == "Cannot assign requested address"


def test_port_shared_by_envoy_is_taken() -> None:
    """Envoy listens with SO_REUSEPORT; a second one would share the port silently."""
    with socket.socket() as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        first.listen()
        assert taken_port("127.0.0.1", first.getsockname()[1]) == "Address already in use"


def test_an_admin_page_that_does_not_answer_is_none() -> None:
    assert ask(f"http://127.0.0.1:{unused()}/stats", "GET") is None


def test_an_admin_page_answers_with_its_body(port: int) -> None:
    assert ask(f"http://127.0.0.1:{port}/ok", "GET") == b""
    assert ask(f"http://127.0.0.1:{port}/no", "GET") is None
