"""Child processes of the benchmark, and the CPU time of any process.

In: commands. Out: running children that end with the benchmark, however it ends.
Never: touches a process that it did not start.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1  # Linux, prctl(2)


class Children:
    """What was started, to be ended in reverse order. A context manager."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._running):
            child.terminate()
        for child in reversed(self._running):
            with suppress(subprocess.TimeoutExpired):
                child.wait(5)
                continue
            child.kill()
            child.wait()

    def start(self, name: str, command: Iterable[str], ready: Callable[[], bool], timeout_s: float = 30) -> int:
        """Start a child, wait until it is ready, and return its process id.

        Raises: RuntimeError with the end of its log when it ends or is not ready in time.
        """
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the benchmark alone, which ends its children in order
                preexec_fn=_die_with_parent,
            )
        self._running.append(child)
        until = time.monotonic() + timeout_s
        while not ready():
            if child.poll() is not None or time.monotonic() > until:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
                raise RuntimeError(f"{name} did not start; the end of its log:\n{tail}")
            time.sleep(0.05)
        return child.pid


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours with this interpreter."""
    return (sys.executable, "-m", module, *arguments)


def _die_with_parent() -> None:
    """Run in the child before exec: the kernel ends it when the benchmark is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def cpu_s(pids: Iterable[int]) -> float:
    """Return user and system CPU seconds that these processes have used, all their threads together.

    Units: seconds, in steps of a clock tick (10 ms).
    Raises: FileNotFoundError when one of them is gone: a measurement across a restart would be worth nothing.
    """
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS
