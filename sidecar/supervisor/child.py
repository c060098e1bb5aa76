"""One child process that is kept running.

In: a Child (name, command, environment, how to see that it is ready). Out: a process, restarted with back-off when it dies.
Never: gives up on a child that was ready once; a child that dies before it was ever ready is an error of the start.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("douane.supervisor")

_BACKOFF_S = (0.2, 10.0)
_SETTLED_S = 30.0  # a child that ran this long starts its next restart without delay
_PR_SET_PDEATHSIG = 1  # Linux, prctl(2): children must not outlive a killed supervisor

Ready = Callable[[], Awaitable[bool]]


class StartFailed(RuntimeError):  # noqa: N818 - named for what it is, STYLE 6
    """A child ended, or did not become ready, during the start."""


@dataclass(frozen=True, slots=True)
class Child:
    """What to run. log is where its output goes, None for our own standard output; buried is told of each death."""

    name: str
    command: tuple[str, ...]
    ready: Ready
    log: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    buried: Callable[[int], None] = lambda _pid: None


class Runner:
    """Keeps one child running."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.restarts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id of the child while it runs, else 0."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    async def start(self, timeout_s: float) -> None:
        """Start the child and wait until it is ready.

        Raises: StartFailed when it ends before, or the time is over.
        """
        await self._spawn()
        process = self._process
        assert process is not None  # noqa: S101 - _spawn sets it
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.child.ready():
                    if process.returncode is not None:
                        raise StartFailed(f"{self.child.name} ended with status {process.returncode}{self._tail()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise StartFailed(f"{self.child.name} was not ready within {timeout_s:g} s{self._tail()}") from None
        self._task = asyncio.create_task(self._keep())

    def _tail(self) -> str:
        """Return the last lines of the child's log, for an error that helps."""
        if self.child.log is None or not self.child.log.exists():
            return ""
        lines = self.child.log.read_text(errors="replace").splitlines()[-8:]
        return f"; the end of {self.child.log}:\n  " + "\n  ".join(lines)

    async def _spawn(self) -> None:
        output = _open_log(self.child.log)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.child.command,
                env={**os.environ, **self.child.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT if output is not None else None,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops its children in order
                preexec_fn=_die_with_parent,
            )
        finally:
            if output is not None:
                os.close(output)

    async def _keep(self) -> None:
        """Start the child again whenever it ends, waiting longer each time it ends soon."""
        wait = _BACKOFF_S[0]
        loop = asyncio.get_running_loop()
        while self._process is not None:
            begun = loop.time()
            status = await self._process.wait()
            self.child.buried(self._process.pid)
            if self._stopping:
                return
            self.restarts += 1
            log.error("child.died", extra={"child": self.child.name, "status": status, "restarts": self.restarts})
            print(
                f"douane: {self.child.name} ended with status {status}; starting it again", file=sys.stderr, flush=True
            )
            wait = _BACKOFF_S[0] if loop.time() - begun > _SETTLED_S else wait
            await asyncio.sleep(wait)
            wait = min(wait * 2, _BACKOFF_S[1])
            if not self._stopping:
                await self._spawn_again()

    async def _spawn_again(self) -> None:
        """Start the child; when that cannot be, _keep finds it dead and tries again after a longer wait."""
        try:
            await self._spawn()
        except OSError as error:  # no memory, no process ids, a binary under replacement
            log.error("child.unstartable", extra={"child": self.child.name, "reason": str(error)})  # noqa: TRY400 - no traceback

    async def stop(self, timeout_s: float) -> None:
        """Ask the child to end, and end it when it has not within the time."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            log.warning("child.killed", extra={"child": self.child.name, "after_s": timeout_s})
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _open_log(path: Path | None) -> int | None:
    if path is None:
        return None
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)


def _die_with_parent() -> None:
    """Run in the child before exec: have the kernel end it when the supervisor is gone (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
