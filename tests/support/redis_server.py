"""A real redis-server on a free port, which may be killed and started again over the same folder; or a cluster of them."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.ports import free_ports

_DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class RedisServer:
    """One server; by default it keeps what it acknowledged (append-only file, flushed before each answer)."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._options = options or _DURABLE
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--daemonize", "no")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(["redis-server", *place, *self._options], stdout=log, stderr=log)
        with redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0)) as client:
            for _ in range(200):
                try:
                    if self._process.poll() is not None or client.ping():
                        break
                except redis.RedisError:
                    time.sleep(0.02)
        if self._process.poll() is None:
            return
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End it as a power switch would, from its own point of view."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> redis.Redis:
        """Return a client for looking inside."""
        return redis.Redis(port=self.port)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Yield a started server; killed at the end."""
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def cluster(folder: Path, masters: int = 3) -> Iterator[RedisServer]:
    """Yield the first of several masters that share the 16,384 slots; all are killed at the end."""
    servers = [
        RedisServer(folder / str(bus), *_DURABLE, "--cluster-enabled", "yes", "--cluster-port", str(bus))
        for bus in free_ports(masters)
    ]
    try:
        for server in servers:
            server.start()
        _join(servers)
        yield servers[0]
    finally:
        for server in servers:
            server.kill()


def _join(servers: list[RedisServer]) -> None:
    share = 16_384 // len(servers)
    for place, server in enumerate(servers):
        last = 16_383 if server is servers[-1] else (place + 1) * share - 1
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", place * share, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            if place:
                first = servers[0]
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port, first.folder.name)  # its bus port
    for server in servers:
        with server.client() as client:
            _until_whole(client, len(servers))


def _until_whole(client: redis.Redis, masters: int) -> None:
    for _ in range(500):
        lines = client.execute_command("CLUSTER", "INFO").decode().splitlines()
        state = dict(line.split(":", 1) for line in lines)
        if state["cluster_state"] == "ok" and int(state["cluster_known_nodes"]) == masters:
            return
        time.sleep(0.02)
    raise AssertionError(state)
