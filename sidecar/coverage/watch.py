"""The watch: follows Envoy's pass-through log and its counters, keeps the tally, sends it to analytics.

In: a folder, questions to Envoy's admin page, its process id, a way to send. Out: a tally on disk and at analytics; metrics.
One task of the supervisor; files and SQLite are used from one thread of its own, so that nothing waits for a disk.
Order at the end: `look` while Envoy still answers, then, after it has ended and flushed its log, `finish`.
Never: ends because a disk, Envoy or analytics failed; each failure is counted, logged, and tried again.
"""

import asyncio
import contextlib
import functools
import logging
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sidecar.coverage.counters import FILTER, Count, Growth, read_counters
from sidecar.coverage.deliver import BATCH_ROWS, Send, Source, report
from sidecar.coverage.follow import Follower, Piece, log_path
from sidecar.coverage.lines import Passage, is_whole, read_line
from sidecar.coverage.llm_hosts import Llm
from sidecar.coverage.tally import Added, Tally, hour_of, tally_path
from sidecar.telemetry import CoverageCounts

log = logging.getLogger("douane.coverage")

ROTATE_BYTES = 8 * 1024 * 1024  # some 20,000 lines; on disk are at most three such files
SHED_BYTES = 256 * 1024 * 1024  # of lines that the tally could not take, before they are given up
_READ_EVERY_S = 1.0
_LOOK_EVERY_S = 5.0  # what is lost of Envoy's counters when it is killed
_SEND_EVERY_S = 15.0
_PRUNE_EVERY_S = 3600.0
_FINISH_S = 5.0
_STATS = f"/stats?format=json&type=Counters&filter={quote(FILTER, safe='')}"

Ask = Callable[[str, str], bytes | None]  # path, method -> body of Envoy's admin page, None when it does not answer


@dataclass(frozen=True, slots=True)
class Rim:
    """What the watch needs of the world.

    process returns Envoy's process id, 0 when it does not run; say is for the operator; workers returns what they have counted
    lost since this run began, by kind.
    """

    ask: Ask
    process: Callable[[], int]
    send: Send
    now_us: Callable[[], int]
    say: Callable[[str], None]
    workers: Callable[[], Mapping[str, int]]


def open_tally(folder: Path, llm: Callable[[str, int], Llm], new_id: Callable[[], str]) -> Tally:
    """Open an installation's tally; one that cannot be read is put aside, and a new one begins (as a new source)."""
    path = tally_path(folder)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    try:
        return Tally(path, llm, new_id)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        log.error("coverage.tally_unreadable", extra={"reason": str(error)})  # noqa: TRY400 - no traceback
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.replace(path.with_name(path.name + ".unreadable"))
        return Tally(path, llm, new_id)


class Watch:
    """Watches one installation."""

    def __init__(self, folder: Path, tally: Tally, source: Source, rim: Rim, counts: CoverageCounts) -> None:
        self._tally = tally
        self._source = source
        self._rim = rim
        self._counts = counts
        self._growth = Growth()
        self._lost = Growth()
        self._looking = asyncio.Lock()
        self._shed = 0
        self._failing: set[str] = set()
        self._looked_us = (0, 0)  # Envoy's process and when it last answered
        self._follower = Follower(log_path(folder), tally.position)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="coverage")
        self._begin()

    def _begin(self) -> None:
        """Count this run, and the last one's end when it was none."""
        unclean = [Count("", "unclean_stops", 1)] if self._tally.meta("running") else []
        self._keep([], [*unclean, Count("", "starts", 1)], None)
        self._tally.keep(running="yes")

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(_READ_EVERY_S, "log", self._in_thread(self._follow)))
            group.create_task(self._every(_LOOK_EVERY_S, "counters", self.look))
            group.create_task(self._every(_SEND_EVERY_S, "delivery", self._send))
            group.create_task(self._every(_PRUNE_EVERY_S, "log", self._in_thread(self._prune)))

    async def _every(self, seconds: float, what: str, work: Callable[[], Any]) -> None:
        while True:
            await self._guarded(what, work)
            await asyncio.sleep(seconds)

    async def _guarded(self, what: str, work: Callable[[], Any]) -> None:
        """Do it; whatever goes wrong is counted and tried again later: nobody else watches."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the rim of this task
            self._counts.failed(what)
            reason = f"{type(error).__name__}: {error}"[:300]
            log.info("coverage.failed", extra={"what": what, "reason": reason})
            if what not in self._failing:  # said once until it works again
                self._rim.say(f"coverage: {what} failed: {reason}; it is tried again")
            self._failing.add(what)
        else:
            self._failing.discard(what)

    def _in_thread(self, work: Callable[[], Any]) -> Callable[[], Any]:
        async def run() -> Any:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

        return run

    def _follow(self) -> None:
        """Take every line that is there. A tally that cannot be written holds lines up, but not until the disk is full."""
        try:
            self._read_on()
        except (sqlite3.Error, OSError):
            if self._follower.shed(SHED_BYTES):
                self._shed += 1
                self._counts.failed("shed")
                self._rim.say("coverage: the pass-through log was emptied unread, it would have filled the disk")
            raise
        if self._shed:
            self._keep([], [Count("", "log_shed", self._shed)], None)
            self._shed = 0

    def _read_on(self) -> None:
        while True:
            piece = self._follower.read()
            if not piece.more:
                break
            self._take(piece)
        if self._follower.rotate(ROTATE_BYTES):
            self._rim.ask("/reopen_logs", "POST")

    def _take(self, piece: Piece) -> None:
        passages: list[Passage] = []
        unreadable = piece.broken
        for line in piece.lines:
            passage = read_line(line)
            unreadable += passage is None or not is_whole(line)
            if passage is not None:
                passages.append(passage)
        losses = [Count("", "lines_unreadable", unreadable)] if unreadable else []
        self._keep(passages, losses, piece)

    def _keep(self, passages: list[Passage], counts: list[Count], piece: Piece | None) -> None:
        position = piece.position if piece else None
        added: Added = self._tally.take(passages, counts, hour_of(self._rim.now_us()), position)
        if position is not None:
            self._follower.passed(position)
        self._counts.passed(added.connections, added.bytes_out, added.bytes_in)
        self._counts.sights((one.door, one.kind, one.value) for one in counts)

    async def look(self) -> None:
        """Read Envoy's counters once, one look at a time: an older answer after a newer one would look like a reset."""
        async with self._looking:
            await self._look_at_workers()
            await self._look()

    async def _look_at_workers(self) -> None:
        """Count what workers lost; their counters are files that outlive them, and begin with this run."""
        counts = [
            Count("", kind, value) for kind, value in sorted((await asyncio.to_thread(self._rim.workers)).items())
        ]
        grown = self._lost.since(1, counts)
        if grown:
            await self._in_thread(lambda: self._keep([], list(grown), None))()

    async def _look(self) -> None:
        """Count nothing when another process may have answered than was asked."""
        process = self._rim.process()
        body = await asyncio.to_thread(self._rim.ask, _STATS, "GET") if process else None
        if body is None or self._rim.process() != process:
            return
        now = self._rim.now_us()
        grown = [*self._growth.since(process, read_counters(body)), *self._watched(process, now)]
        if grown:
            await self._in_thread(lambda: self._keep([], grown, None))()

    def _watched(self, process: int, now_us: int) -> list[Count]:
        """Return the whole seconds since this process was last looked at; an hour not watched shows as one."""
        before, since_us = self._looked_us
        if before != process or now_us < since_us:
            self._looked_us = process, now_us
            return []
        seconds = (now_us - since_us) // 1_000_000
        self._looked_us = process, since_us + seconds * 1_000_000
        return [Count("", "watched_s", seconds)] if seconds else []

    async def _send(self) -> None:
        """Send what changed, batch after batch.

        Raises: ConnectionError when analytics does not take it.
        """
        while True:
            batch = await self._in_thread(lambda: self._tally.waiting(BATCH_ROWS))()
            if not batch.hosts and not batch.counts:
                return
            await self._rim.send(report(self._tally.id, self._source, batch))
            await self._in_thread(functools.partial(self._tally.acknowledge, batch))()

    def _prune(self) -> None:
        self._tally.prune(self._rim.now_us())

    async def last_look(self) -> None:
        """Look once more, before Envoy is ended."""
        await self._guarded("counters", self.look)

    async def finish(self) -> None:
        """Take the last lines and send what waits, within _FINISH_S; what analytics does not take now it gets at the next start."""
        await self._guarded("log", self._in_thread(self._follow))
        await self._guarded("log", self._in_thread(self._end))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await self._guarded("delivery", self._send)
        await self._guarded("log", self._in_thread(self._close))
        self._thread.shutdown(wait=True)

    def _end(self) -> None:
        """Say that the silence which follows is meant: analytics alerts on a sidecar that is not heard of and did not say so."""
        self._keep([], [Count("", "clean_stops", 1)], None)

    def _close(self) -> None:
        self._tally.keep(running="")
        self._follower.close()
        self._tally.close()
