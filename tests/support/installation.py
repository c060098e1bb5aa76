"""A whole Douane as its user starts it: `douane up` in a subprocess, on free ports, with a data folder of its own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.ports import free_ports

PYTHON = sys.executable
_START_S = 60
_NAMES = ("port", "proxy-port", "admin-port", "metrics-port", "analytics-port", "analytics-grpc-port", "demo-port")


class Installation:
    """Starts in the constructor, stops with stop(). runner is a command that runs it elsewhere (see Namespace.command)."""

    def __init__(
        self, data: Path, *, workers: int = 1, policy: str = "", runner: Sequence[str] = (), **environment: str
    ) -> None:
        self.data = data
        self.runner = runner
        self.ports = dict(zip(_NAMES, free_ports(len(_NAMES)), strict=True))
        self.environment = environment
        self.workers = workers
        data.mkdir(parents=True, exist_ok=True)
        if policy:
            (data / "policy.yaml").write_text(policy)
        self._starts = 0
        self._output = (data / "up.out").open("a+")
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._starts += 1
        options = [f"--{name}={port}" for name, port in self.ports.items()]
        clean = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith("DOUANE_")}
        return subprocess.Popen(
            [*self.runner, PYTHON, "-m", "sidecar", "up", f"--data={self.data}", f"--workers={self.workers}", *options],
            env={**clean, **self.environment},
            cwd=self.data,  # no .env of the developer's is read
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> "Installation":
        """Wait until the doors are printed."""
        eventually(
            lambda: self.output().count("Douane is up") >= self._starts or self.process.poll() is not None, _START_S
        )
        if self.process.poll() is not None:
            raise AssertionError(f"douane up ended with {self.process.returncode}:\n{self.output()}")
        return self

    def output(self) -> str:
        return (self.data / "up.out").read_text()

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.ports['port']}"

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.ports['proxy-port']}"

    @property
    def authority(self) -> Path:
        """Return the certificate that clients of the proxy trust."""
        return self.data / "ca" / "ca.pem"

    def stop(self) -> int:
        """Press Ctrl-C and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._output.close()
        return status

    # what is inside

    def children(self) -> dict[str, int]:
        """Return the process ids of the children by name."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError, IndexError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) != self.process.pid:
                    continue
                command = (entry / "cmdline").read_bytes().decode().split("\0")
                found[_child_name(command)] = int(entry.name)
        return found

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        os.kill(self.children()[name], number)

    def get(self, path: str) -> Any:
        """Return the JSON of an analytics page, through the gateway."""
        with urllib.request.urlopen(self.gateway + path, timeout=10) as answer:
            return json.loads(answer.read())

    def records(self, **filters: str) -> list[dict[str, Any]]:
        """Return every decision analytics holds, newest first."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = "&".join(f"{k}={v}" for k, v in {**filters, "limit": "500", "cursor": cursor}.items() if v)
            page = self.get(f"/api/decisions?{query}")
            found += page["decisions"]
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return found

    def record(self, decision_id: str) -> dict[str, Any]:
        """Return one decision, waiting until it is there and final."""
        path = f"/api/decisions/{decision_id}"

        def final() -> bool:
            with suppress(OSError):
                return bool(self.get(path)["stage"] != "verdict")
            return False

        eventually(final, 10)
        found: dict[str, Any] = self.get(path)
        return found

    def settled(self, user: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the final records of a user, waiting until there are at least count."""

        def there() -> bool:
            with suppress(OSError):
                return len([r for r in self.records(user=user) if r["stage"] != "verdict"]) >= count
            return False

        eventually(there, 15)
        return [self.get(f"/api/decisions/{r['decision_id']}") for r in self.records(user=user)]

    def spooled(self) -> int:
        """Return how many records wait in the spools."""
        total = 0
        for path in (self.data / "spool").glob("worker-*.db"):
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
                total += db.execute("SELECT count(*) FROM records").fetchone()[0]
        return total

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics-port']}/metrics", timeout=10) as answer:
            return answer.read().decode()


def _child_name(command: list[str]) -> str:
    if "worker" in command:
        return f"worker-{command[command.index('--index') + 1]}"
    for name in ("demo-provider", "certificates"):
        if name in command:
            return name
    return "analytics" if "analytics" in command else "envoy"


def eventually(true: Callable[[], bool], timeout_s: float, every_s: float = 0.05) -> None:
    """Wait until something is true.

    Raises: AssertionError when it is not within the time.
    """
    until = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout_s} s: {true}")
        time.sleep(every_s)
