"""One child process: started, watched, restarted, stopped. Real processes, told what to do by files."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.supervisor.child import Child, Runner, StartFailed

pytestmark = pytest.mark.server

# Writes its pid to a pipe, so that a test can wait for it without asking again and again; then waits to be told to end.
STAY = (
    "import os, signal; signal.signal(signal.SIGTERM, signal.{}); os.write({}, b'%d\\n' % os.getpid()); signal.pause()"
)


async def _ready() -> bool:
    return True


async def _never() -> bool:
    return False


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


class Births:
    """The pids of a child's lives, in order, from a named pipe that it opens itself."""

    def __init__(self, folder: Path, reaction: str = "SIG_DFL") -> None:
        self.path = folder / "births"
        os.mkfifo(self.path)
        opened = f"os.open({str(self.path)!r}, os.O_WRONLY)"
        self.command = python(STAY.format(reaction, opened))
        self.reader = asyncio.StreamReader()

    async def open(self) -> None:
        pipe = os.fdopen(os.open(self.path, os.O_RDWR | os.O_NONBLOCK), "rb", 0)
        protocol = asyncio.StreamReaderProtocol(self.reader)
        self.transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)

    async def next(self) -> int:
        return int(await self.reader.readline())


@asynccontextmanager
async def births(folder: Path, reaction: str = "SIG_DFL") -> AsyncIterator[Births]:
    made = Births(folder, reaction)
    await made.open()
    yield made
    made.transport.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_child_that_dies_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with births(tmp_path) as born:
        runner = Runner(Child("x", born.command, _ready))
        with caplog.at_level(logging.ERROR):
            await runner.start(10)
            pids = [await born.next()]
            for _ in range(2):
                os.kill(pids[-1], signal.SIGKILL)
                pids.append(await born.next())
        assert (len(set(pids)), runner.restarts) == (3, 2)
        assert [(r.child, r.status) for r in caplog.records] == [("x", -9), ("x", -9)]  # type: ignore[attr-defined]
        await runner.stop(10)
        assert not any(alive(pid) for pid in pids)


async def test_child_that_is_stopped_stays_stopped(tmp_path: Path) -> None:
    async with births(tmp_path) as born:
        runner = Runner(Child("x", born.command, _ready))
        await runner.start(10)
        pid = await born.next()
        await runner.stop(10)
        await runner.stop(10)
        assert runner._task is not None
        await runner._task
        assert (alive(pid), runner.restarts) == (False, 0)


async def test_child_that_ignores_its_end_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with births(tmp_path, "SIG_IGN") as born:
        runner = Runner(Child("deaf", born.command, _ready))
        await runner.start(10)
        pid = await born.next()
        with caplog.at_level(logging.WARNING):
            await runner.stop(0.05)
        assert alive(pid) is False
        assert [record.message for record in caplog.records] == ["child.killed"]


async def test_stop_during_the_wait_before_a_restart_ends_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with births(tmp_path) as born:
        runner = Runner(Child("x", born.command, _ready))
        with caplog.at_level(logging.CRITICAL):
            await runner.start(10)
            os.kill(await born.next(), signal.SIGKILL)
            assert runner._process is not None
            await runner._process.wait()
            await runner.stop(10)
            assert runner._task is not None
            await runner._task
        assert runner._process.returncode == -9


async def test_child_that_cannot_be_started_again_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No memory, no process ids, a binary under replacement: the supervisor does not give up."""
    async with births(tmp_path) as born:
        program = tmp_path / "program"
        program.symlink_to(sys.executable)
        runner = Runner(Child("x", (str(program), *born.command[1:]), _ready))
        failed = asyncio.Event()

        class Tell(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.getMessage() == "child.unstartable":
                    failed.set()

        logger, handler = logging.getLogger("douane.supervisor"), Tell()
        logger.addHandler(handler)
        try:
            with caplog.at_level(logging.ERROR):
                await runner.start(10)
                first = await born.next()
                program.unlink()
                os.kill(first, signal.SIGKILL)
                await failed.wait()
                program.symlink_to(sys.executable)
                assert await born.next() != first
        finally:
            logger.removeHandler(handler)
        await runner.stop(10)


async def test_child_that_ends_during_the_start_shows_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    code = "import sys\nfor n in range(20): print('line', n)\nsys.stdout.flush()\nprint('it broke', file=sys.stderr)\nsys.exit(3)"
    runner = Runner(Child("x", python(code), _never, log))
    with pytest.raises(StartFailed) as caught:
        await runner.start(10)
    last = [f"  line {n}" for n in range(13, 20)]
    assert str(caught.value).splitlines() == [f"x ended with status 3; the end of {log}:", *last, "  it broke"]


async def test_child_that_is_never_ready_fails_the_start(tmp_path: Path) -> None:
    async with births(tmp_path) as born:
        runner = Runner(Child("x", born.command, _never))
        with pytest.raises(StartFailed, match=r"x was not ready within 0\.2 s"):
            await runner.start(0.2)
        await runner.stop(10)


async def test_environment_is_added_and_output_appended(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("before\n")
    code = "import os; print(os.environ['DOUANE_X'], 'PATH' in os.environ)"
    runner = Runner(Child("x", python(code), _never, log, {"DOUANE_X": "set"}))
    with pytest.raises(StartFailed):
        await runner.start(10)
    assert log.read_text() == "before\nset True\n"


async def test_stop_before_the_start_is_nothing() -> None:
    await Runner(Child("x", ("false",), _ready)).stop(1)
