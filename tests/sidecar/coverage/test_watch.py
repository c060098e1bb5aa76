"""The watch with the world handed in: files are real, Envoy's admin page and analytics are functions."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.coverage import watch as module
from sidecar.coverage.deliver import Source
from sidecar.coverage.follow import log_path
from sidecar.coverage.llm_hosts import llm_host
from sidecar.coverage.tally import HostHour, Tally, tally_path
from sidecar.coverage.watch import Rim, Watch, open_tally
from sidecar.telemetry import CoverageCounts
from tests.sidecar.coverage.test_lines import line

RUNS = ("starts", "clean_stops")
NOW_US = 1_795_591_950_000_000


class World:
    """Envoy's admin page, analytics and the clock, as the watch meets them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_us, self.pid = folder, NOW_US, 7
        self.stats: dict[str, int] = {}
        self.asked: list[str] = []
        self.sent: list[Any] = []
        self.said: list[str] = []
        self.away = False
        self.lost: dict[str, int] = {}
        log_path(folder).parent.mkdir(parents=True, exist_ok=True)
        self.tally: Tally = open_tally(folder, llm_host, lambda: "e" * 32)
        self.watch = self.begin()

    def begin(self) -> Watch:
        rim = Rim(self.ask, lambda: self.pid, self.send, lambda: self.now_us, self.said.append, lambda: self.lost)
        return Watch(self.folder, self.tally, Source("", "", "", "m"), rim, CoverageCounts())

    def ask(self, path: str, method: str) -> bytes | None:
        self.asked.append(f"{method} {path.partition('?')[0]}")
        if self.pid == 0:
            return None
        return json.dumps({"stats": [{"name": k, "value": v} for k, v in self.stats.items()]}).encode()

    async def send(self, report: Any) -> None:
        if self.away:
            raise ConnectionError("UNAVAILABLE: nobody there")
        self.sent.append(report)

    def write(self, *numbers: int, **fields: Any) -> None:
        with log_path(self.folder).open("ab") as file:
            for number in numbers:
                file.write(line(connection=number, **fields) + b"\n")

    def hosts(self) -> list[HostHour]:
        return self.tally.since(0)[0]

    def counts(self) -> dict[tuple[str, str], int]:
        """Return every count but that of runs, which `runs` returns."""
        return {(one.door, one.kind): one.count for one in self.tally.since(0)[1] if one.kind not in RUNS}

    def runs(self) -> dict[str, int]:
        return {one.kind: one.count for one in self.tally.since(0)[1] if one.kind in RUNS}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.watch._follower.close()
    found.tally.close()


def test_lines_become_rows_and_unreadable_ones_are_counted(world: World) -> None:
    world.write(1, 2)
    log = log_path(world.folder)
    log.write_bytes(log.read_bytes() + b"nonsense\n" + line()[:50] + line(connection=3) + b"\n")
    world.watch._follow()
    assert [(one.host, one.connections) for one in world.hosts()] == [("api.openai.com", 3)]
    assert world.counts() == {("", "lines_unreadable"): 2}


def test_a_large_log_is_rotated_and_envoy_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROTATE_BYTES", 1000)
    world.write(1, 2, 3)
    world.watch._follow()
    assert world.asked == ["POST /reopen_logs"]
    world.write(4)
    world.watch._follow()
    assert [one.connections for one in world.hosts()] == [4]


def test_a_tally_that_cannot_be_written_holds_lines_up_but_does_not_fill_the_disk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHED_BYTES", 2000)
    world.tally._db.execute("CREATE TRIGGER full BEFORE INSERT ON hosts BEGIN SELECT raise(ABORT, 'disk full'); END")
    world.write(1)
    with pytest.raises(sqlite3.Error, match="disk full"):
        world.watch._follow()
    assert world.said == []
    world.write(*range(2, 12))
    with pytest.raises(sqlite3.Error, match="disk full"):
        world.watch._follow()
    assert log_path(world.folder).stat().st_size == 0
    assert world.said == ["coverage: the pass-through log was emptied unread, it would have filled the disk"]
    world.tally._db.execute("DROP TRIGGER full")
    world.write(20)
    world.watch._follow()
    assert [one.connections for one in world.hosts()] == [1]
    assert world.counts() == {("", "log_shed"): 1}


async def test_counters_grow_by_what_envoy_counted_since(world: World) -> None:
    name = "http.gateway.ext_proc.douane.failure_mode_allowed"
    world.stats = {name: 2}
    await world.watch.look()
    world.now_us += 5_400_000
    world.stats = {name: 3}
    await world.watch.look()
    assert world.counts() == {("gateway", "failure_mode_allowed"): 3, ("", "watched_s"): 5}
    world.pid, world.stats = 8, {name: 1}
    await world.watch.look()
    assert world.counts()["gateway", "failure_mode_allowed"] == 4
    assert world.counts()["", "envoy_restarts"] == 1


async def test_an_envoy_that_is_away_counts_nothing_and_is_not_watched(world: World) -> None:
    world.pid = 0
    await world.watch.look()
    assert world.counts() == {}


async def test_analytics_that_is_away_is_said_once_and_gets_the_sums_later(world: World) -> None:
    world.away = True
    world.write(1)
    world.watch._follow()
    for _ in range(3):
        await world.watch._guarded("delivery", world.watch._send)
    assert world.said == [
        "coverage: delivery failed: ConnectionError: UNAVAILABLE: nobody there; it is tried again",
    ]
    world.write(2)
    world.watch._follow()
    world.away = False
    await world.watch._guarded("delivery", world.watch._send)
    assert [[(one.host, one.connections) for one in report.pass_through] for report in world.sent] == [
        [("api.openai.com", 2)]
    ]
    await world.watch._send()
    assert len(world.sent) == 1


async def test_the_end_takes_the_last_lines_and_sends_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    running = asyncio.create_task(world.watch.run())
    await asyncio.sleep(0.05)
    running.cancel()
    world.write(1)
    await world.watch.finish()
    assert [len(report.pass_through) for report in world.sent if report.pass_through] == [1]
    again = open_tally(tmp_path, llm_host, lambda: "f" * 32)
    assert (again.id, again.meta("running")) == ("e" * 32, "")
    told = [(one.kind, one.count) for report in world.sent for one in report.sights if one.kind in RUNS]
    assert told[-1] == ("clean_stops", 1)  # the last word, so that analytics does not wait for more
    assert ("starts", 1) in told
    again.close()


def test_an_end_that_was_none_is_counted_at_the_next_start(world: World) -> None:
    world.watch._follower.close()
    world.watch = world.begin()
    assert (world.counts(), world.runs()) == ({("", "unclean_stops"): 1}, {"starts": 2})


def test_a_tally_that_cannot_be_read_is_put_aside(tmp_path: Path) -> None:
    tally_path(tmp_path).parent.mkdir()
    tally_path(tmp_path).write_bytes(b"not a database at all, whatever its name says" * 100)
    found = open_tally(tmp_path, llm_host, lambda: "f" * 32)
    assert found.id == "f" * 32
    found.close()
    assert tally_path(tmp_path).with_name("tally.db.unreadable").exists()


_CHILD = """
import sys, time
from pathlib import Path
from tests.sidecar.coverage.test_watch import World
world = World(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    world.watch._follow()
"""


@pytest.mark.server
def test_kill_9_at_any_moment_loses_no_line_and_counts_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process follows while we write and rotate; it is killed again and again in the middle of its work."""
    monkeypatch.setattr(module, "ROTATE_BYTES", 100_000)
    (tmp_path / "coverage").mkdir()
    log, written = log_path(tmp_path), 0
    for _ in range(8):
        child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE, env=os.environ)
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            until = time.monotonic() + 0.25
            while time.monotonic() < until:
                with log.open("ab") as file:
                    for _ in range(50):
                        file.write(
                            line(connection=written, kind="TcpUpstreamConnected", bytes_in=0, bytes_out=0) + b"\n"
                        )
                        file.write(line(connection=written, bytes_in=3, bytes_out=5) + b"\n")
                        written += 1
            child.send_signal(signal.SIGKILL)
    world = World(tmp_path)
    world.watch._follow()
    (found,) = world.hosts()
    assert (found.connections, found.bytes_out, found.bytes_in) == (written, 5 * written, 3 * written)
    assert (world.counts(), world.runs()) == ({("", "unclean_stops"): 8}, {"starts": 9})
    assert world.tally._db.execute("SELECT count(*) FROM open").fetchone() == (0,)
    world.watch._follower.close()
    world.tally.close()


def test_what_workers_lost_is_counted_once(world: World) -> None:
    for lost in (2, 2, 5):
        world.lost = {"records_lost": lost, "records_rejected": 1}
        asyncio.run(world.watch.look())
    assert world.counts() == {("", "records_lost"): 5, ("", "records_rejected"): 1}
