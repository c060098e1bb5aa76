"""What is compared: Envoy alone, Envoy with a null processor, Douane. All three run during the whole run; one at a time works.

In: a folder, the upstream's URL, the number of workers. Out: three Contenders with the process ids whose CPU time counts.
(c) is `douane up` as a user starts it. (a) and (b) take their Envoy's configuration from the same builder and the same number of
Envoy threads; (b) has as many processors as (c) has workers.
"""

import shutil
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.envoyconf.bootstrap import render_bootstrap
from sidecar.envoyconf.providers import PROVIDERS
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.tables import render_table
from tests.bench.processes import Children, cpu_s, python
from tests.support.installation import Installation
from tests.support.ports import free_ports

PATH = "/v1/chat/completions"
ROLES = ("envoy", "processor", "analytics")
_SETTLE_S = 30.0


@dataclass(frozen=True)
class Contender:
    """One of a, b, c. pids are process ids by role; settle waits until nothing of the last load is left to do."""

    name: str
    title: str
    port: int
    pids: dict[str, tuple[int, ...]]
    settle: Callable[[], None] = lambda: None

    def cpu_s(self) -> dict[str, float]:
        """Return CPU seconds so far, by role."""
        return {role: cpu_s(pids) for role, pids in self.pids.items()}


@contextmanager
def contenders(folder: Path, upstream: str, workers: int, say: Callable[[str], None]) -> Iterator[list[Contender]]:
    """Start all three, and stop them at the end.

    Raises: RuntimeError when one does not start.
    """
    providers = tuple(p.redirected(upstream) if p.name == "openai" else p for p in PROVIDERS)
    with ExitStack() as stack:
        children = stack.enter_context(Children(folder))
        spec = GatewaySpec(sockets=(), folder="", providers=providers, analytics=None)
        say("starting Envoy alone …")
        alone = start_envoy(children, folder, "a", spec, workers)
        say("starting Envoy with a null processor …")
        sockets = tuple(str(folder / f"null-{index}.sock") for index in range(workers))
        nulls = tuple(_null(children, index, path) for index, path in enumerate(sockets))
        null = start_envoy(children, folder, "b", replace(spec, sockets=sockets), workers)
        say("starting Douane …")
        installation = Installation(folder / "c", workers=workers, DOUANE_UPSTREAMS=f"openai={upstream}")
        stack.callback(installation.stop)
        yield [
            Contender("a", "Envoy alone", alone[0], {"envoy": (alone[1],)}),
            Contender("b", "Envoy + null processor", null[0], {"envoy": (null[1],), "processor": nulls}),
            _douane(installation.wait()),
        ]


def start_envoy(children: Children, folder: Path, name: str, spec: GatewaySpec, threads: int) -> tuple[int, int]:
    """Start an Envoy and return its port and process id."""
    port, admin = free_ports(2)
    own, config = folder / name, folder / f"{name}.json"
    own.mkdir(exist_ok=True)
    spec = replace(spec, folder=str(own), gateway_port=port, admin_port=admin)
    Path(spec.table_file("gateway")).write_text(render_table(spec, "gateway"))
    config.write_text(render_bootstrap(spec))
    beside = Path(sys.executable).with_name("envoy")
    binary = str(beside) if beside.exists() else shutil.which("envoy") or "envoy"
    options = ("--log-level", "warning", "--disable-hot-restart", "--concurrency", str(threads))
    url = f"http://127.0.0.1:{admin}/ready"
    return port, children.start(f"envoy-{name}", (binary, "-c", str(config), *options), lambda: _answers(url))


def _null(children: Children, index: int, path: str) -> int:
    command = python("tests.bench.null_processor", "--socket", path)
    return children.start(f"null-{index}", command, Path(path).exists)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _douane(installation: Installation) -> Contender:
    found = installation.children()
    pids = {
        "envoy": (found["envoy"],),
        "processor": tuple(pid for name, pid in sorted(found.items()) if name.startswith("worker-")),
        "analytics": (found["analytics"],),
    }

    def settle() -> None:
        """Wait until analytics has every record, so that this work is counted here and disturbs nobody else."""
        until = time.monotonic() + _SETTLE_S
        while _spooled(installation) and time.monotonic() < until:
            time.sleep(0.05)

    return Contender("c", "Douane", installation.ports["port"], pids, settle)


def _spooled(installation: Installation) -> bool:
    """Tell whether a spool holds a record; opening one is cheap beside counting all."""
    for path in (installation.data / "spool").glob("worker-*.db"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            if db.execute("SELECT 1 FROM records LIMIT 1").fetchone():
                return True
    return False
