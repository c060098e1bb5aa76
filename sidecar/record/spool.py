"""The spool: records on this machine's disk until analytics has committed them.

In: record bytes. Out: record bytes, oldest first. One SQLite file in WAL mode per worker.
A save returns after the write has reached the operating system, so a killed process loses nothing; a power cut may lose the
last second, unless sync is set (DOUANE_SPOOL_SYNC=true), which costs a flush to disk per record.
Never: blocks for long (checkpoints are made by the publisher, off the exchange's way), grows beyond its limit (SpoolFull).
Source: https://sqlite.org/wal.html (durability of synchronous=NORMAL), read 2026-11.
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.record.build import incomplete_bytes

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (seq INTEGER PRIMARY KEY, final INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rejected (seq INTEGER PRIMARY KEY, reason TEXT NOT NULL, body BLOB NOT NULL);
"""
_PAGE_BYTES = 4096
_KEPT_IN_MEMORY = 4096  # ready records remembered with their bytes; beyond that they are read back from disk


class SpoolFull(Exception):  # noqa: N818 - named for what it is, STYLE 6
    """The record could not be written: the spool is at its limit, or the disk is."""


class Spool:
    """One worker's spool. Used from one thread.

    Raises: SpoolFull from add and complete when nothing more can be written.
    """

    def __init__(self, path: Path, max_bytes: int = 512 * 1024 * 1024, *, sync: bool = False) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0, cached_statements=32)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
        self._db.execute("PRAGMA wal_autocheckpoint=0")
        self._db.execute(f"PRAGMA max_page_count={max(16, max_bytes // _PAGE_BYTES)}")
        self._db.executescript(_SCHEMA)
        self._open: dict[int, bytes] = {}
        self._ready: deque[tuple[int, bytes | None]] = deque()
        self.recovered = self._recover()
        (newest,) = self._db.execute("SELECT max(seq) FROM records").fetchone()
        self._newest: int = newest or 0  # our own counter: a number is never used twice, even when the table was empty

    def _recover(self) -> int:
        """Mark what a killed worker left open as incomplete, and queue all that is here; return how many were open."""
        ending = incomplete_bytes()
        left_open = self._db.execute("SELECT body, seq FROM records WHERE final = 0").fetchall()
        self._db.execute("BEGIN")
        self._db.executemany(
            "UPDATE records SET final = 1, body = ? WHERE seq = ?", [(body + ending, seq) for body, seq in left_open]
        )
        self._db.execute("COMMIT")
        rows = self._db.execute("SELECT seq FROM records ORDER BY seq")
        self._ready.extend((seq, None) for (seq,) in rows)
        return len(left_open)

    @property
    def waiting(self) -> int:
        """How many final records wait for delivery."""
        return len(self._ready)

    @property
    def open(self) -> dict[int, bytes]:
        """The verdicts whose exchange has not ended, by sequence number, oldest first."""
        return self._open

    def add(self, body: bytes, *, final: bool) -> int:
        """Write a record and return its sequence number."""
        seq = self._newest + 1
        self._write("INSERT INTO records (seq, final, body) VALUES (?, ?, ?)", (seq, int(final), body))
        self._newest = seq
        if final:
            self._queue(seq, body)
        else:
            self._open[seq] = body
        return seq

    def complete(self, seq: int, addition: bytes) -> None:
        """Complete an open record in place."""
        body = self._open[seq] + addition
        self._write("UPDATE records SET final = 1, body = ? WHERE seq = ?", (body, seq))
        del self._open[seq]
        self._queue(seq, body)

    def abandon(self, seq: int) -> None:
        """Queue an open record whose completion could not be written, marked incomplete, from memory."""
        self._ready.append((seq, self._open.pop(seq) + incomplete_bytes()))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise SpoolFull(str(error)) from error

    def _queue(self, seq: int, body: bytes) -> None:
        self._ready.append((seq, body if len(self._ready) < _KEPT_IN_MEMORY else None))

    def peek(self, count: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Return the oldest waiting records, at least one if any waits; they stay until they are removed."""
        batch: list[tuple[int, bytes]] = []
        size = 0
        for seq, body in self._ready:
            data = body if body is not None else self._read(seq)
            size += len(data)
            if batch and (len(batch) >= count or size > max_bytes):
                break
            batch.append((seq, data))
        return batch

    def _read(self, seq: int) -> bytes:
        body: bytes = self._db.execute("SELECT body FROM records WHERE seq = ?", (seq,)).fetchone()[0]
        return body

    def remove(self, count: int, rejected: Iterable[tuple[int, bytes, str]] = ()) -> None:
        """Forget the oldest count records, which analytics now has; keep those it will never take, with the reason."""
        gone = [self._ready[index][0] for index in range(count)]
        with self._all_or_nothing():  # deleted first, so that a full spool has room for what is kept
            self._db.executemany("DELETE FROM records WHERE seq = ?", [(seq,) for seq in gone])
            self._keep_aside((reason, body) for _, body, reason in rejected)
        for _ in gone:
            self._ready.popleft()

    def _keep_aside(self, rejected: Iterable[tuple[str, bytes]]) -> None:
        self._db.executemany("INSERT INTO rejected (reason, body) VALUES (?, ?)", rejected)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Commit or roll back: a transaction left open would swallow every later verdict at the next kill."""
        try:
            self._db.execute("BEGIN")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise SpoolFull(str(error)) from error
        finally:
            if self._db.in_transaction:
                self._db.rollback()

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file; the publisher calls this between batches."""
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def absorb(self, path: Path) -> int:
        """Take over what another worker's spool holds that nobody runs any more, and remove its file; return how many wait.

        A spool that does not fit stays where it is, for the next start.
        """
        other = Spool(path)
        bodies = other.peek(other.waiting, 2**62)
        taken = [(seq, body) for seq, (_, body) in enumerate(bodies, self._newest + 1)]
        try:
            with self._all_or_nothing():
                self._db.executemany("INSERT INTO records (seq, final, body) VALUES (?, 1, ?)", taken)
                self._keep_aside(other._db.execute("SELECT reason, body FROM rejected ORDER BY seq").fetchall())
        except SpoolFull:
            return 0
        finally:
            other.close()
        self._newest += len(taken)
        for seq, body in taken:
            self._queue(seq, body)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return len(bodies)

    def close(self) -> None:
        """Close the file; what waits is delivered after the next start."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
