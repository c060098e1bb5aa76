"""A PostgreSQL of the benchmark's own, and what processes use.

In: a folder. Out: a server on a free port with the settings a fresh installation has (every commit is flushed to disk), gone at
the end with its data. Never: a server that was there before.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_ports

_BINARIES = Path("/usr/lib/postgresql/15/bin")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server."""

    url: str
    pid: int

    def pids(self) -> list[int]:
        """Return its processes."""
        found = [self.pid]
        for task in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = task.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            if int(fields[1]) == self.pid:
                found.append(int(task.parent.name))
        return found


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Start a server in a folder, stop it at the end."""
    (port,) = free_ports(1)
    data = folder / "postgres"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
        folder.chmod(0o755)
    _run("initdb", "-D", str(data / "data"), "-U", "douane", "-A", "trust", "-E", "UTF8")
    options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1"
    _run("pg_ctl", "-D", str(data / "data"), "-o", options, "-l", str(data / "log"), "-w", "start")
    try:
        pid = int((data / "data" / "postmaster.pid").read_text().split()[0])
        yield Postgres(f"postgresql+psycopg://douane@127.0.0.1:{port}/postgres", pid)
    finally:
        _run("pg_ctl", "-D", str(data / "data"), "-m", "immediate", "-w", "stop")


def _run(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL as the user postgres: it refuses to run as root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, str(_BINARIES / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")


def memory_mib(pid: int) -> float:
    """Return the most resident memory that a process has had, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1_024
    raise RuntimeError(f"process {pid} has no VmHWM")
