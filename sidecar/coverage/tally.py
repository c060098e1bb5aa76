"""The tally: what passed and what was not seen, added up per hour, in one SQLite file in the data folder.

In: passages with the position behind them, growth of counters. Out: rows that changed since analytics last acknowledged, totals.
A piece of the log and the position behind it are committed together: a kill loses no line and counts none twice.
Every row holds sums since its hour began and a revision that grows with each change, so delivering it again changes nothing.
The tally has an id made with the file: a new file is a new source, whose sums are added to, not compared with, the old one's.
Bounds: MAX_HOSTS names per hour, for LLM hosts and others apart, so that many made-up names cannot hide an LLM host; beyond it a
name becomes `_other`. KEPT_HOURS hours.
Never: an address or name of more than one client per row (the last one); blocks a call.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.coverage.counters import Count
from sidecar.coverage.follow import Position
from sidecar.coverage.lines import Passage
from sidecar.coverage.llm_hosts import Llm

MAX_HOSTS = 500
MAX_DOORS = 16
KEPT_HOURS = 32 * 24
OTHER = "_other"
_HOUR_US = 3_600_000_000
_FORGET_OPEN_US = 24 * _HOUR_US  # a tunnel writes a line a minute; one silent for a day ended with a killed Envoy

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hosts (
  hour INTEGER NOT NULL, door TEXT NOT NULL, host TEXT NOT NULL, llm TEXT NOT NULL, listed INTEGER NOT NULL,
  connections INTEGER NOT NULL, failed INTEGER NOT NULL, bytes_out INTEGER NOT NULL, bytes_in INTEGER NOT NULL,
  client TEXT NOT NULL, last_us INTEGER NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (hour, host, door, llm, listed)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hosts_revision ON hosts (revision);
CREATE TABLE IF NOT EXISTS counts (
  hour INTEGER NOT NULL, door TEXT NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (hour, door, kind)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counts_revision ON counts (revision);
CREATE TABLE IF NOT EXISTS open (
  key TEXT PRIMARY KEY, hour INTEGER NOT NULL, door TEXT NOT NULL, host TEXT NOT NULL, llm TEXT NOT NULL, listed INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL, bytes_in INTEGER NOT NULL, written_us INTEGER NOT NULL) WITHOUT ROWID;
"""
_ADD_HOST = """
INSERT INTO hosts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
  connections = connections + excluded.connections, failed = failed + excluded.failed,
  bytes_out = bytes_out + excluded.bytes_out, bytes_in = bytes_in + excluded.bytes_in,
  client = CASE WHEN excluded.last_us >= last_us THEN excluded.client ELSE client END,
  last_us = max(last_us, excluded.last_us), revision = excluded.revision
"""
_ADD_COUNT = """
INSERT INTO counts VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count, revision = excluded.revision
"""


@dataclass(frozen=True, slots=True)
class HostHour:
    """One host in one hour through one door. Units: hour is its begin in seconds since 1970 UTC; last_us microseconds."""

    hour: int
    door: str
    host: str
    llm: str
    listed: bool
    connections: int
    failed: int
    bytes_out: int
    bytes_in: int
    client: str
    last_us: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class CountHour:
    """One kind of loss (or of what losses are held against) in one hour at one door."""

    hour: int
    door: str
    kind: str
    count: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that analytics does not have yet, oldest change first; empty when it has all."""

    hosts: tuple[HostHour, ...]
    counts: tuple[CountHour, ...]
    revision: int


@dataclass(slots=True)
class Added:
    """What one piece of the log added, by (door, llm: listed, looks_like or no); for metrics."""

    connections: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes_in: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Place:
    """The row that a connection is counted in: (door, host, llm, listed), and the hour it began."""

    hour: int
    name: tuple[str, str, str, int]


def tally_path(folder: Path) -> Path:
    """Return where an installation keeps its tally."""
    return folder / "coverage" / "tally.db"


class Tally:
    """One installation's tally. Used from one thread at a time.

    Raises: sqlite3.OperationalError when the disk is full; nothing is half written then.
    """

    def __init__(self, path: Path, llm: Callable[[str, int], Llm], new_id: Callable[[], str]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # a commit a second; what is acknowledged or read is not read again
        self._db.executescript(_SCHEMA)
        self._llm = llm
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('id', ?)", (new_id(),))
        self.id = self.meta("id")
        self._added = Added()
        self._revision = int(self.meta("revision") or 0)
        doors = self._db.execute("SELECT door FROM hosts UNION SELECT door FROM counts")
        self._doors = {str(door) for (door,) in doors}

    def meta(self, name: str) -> str:
        """Return a value that was kept under a name, empty when none was."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def keep(self, **values: str) -> None:
        """Keep values under names."""
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))

    @property
    def position(self) -> Position:
        """How far the log was read."""
        inode, _, offset = (self.meta("position") or "0/0").partition("/")
        return Position(int(inode), int(offset))

    def take(self, passages: Iterable[Passage], counts: Iterable[Count], hour: int, position: Position | None) -> Added:
        """Add what a piece of the log and the counters said, and keep the position behind it, all or nothing.

        Units: hour is where the counts belong, seconds. Shape: what was added, for metrics.
        """
        before, self._added = self._revision, Added()
        try:
            with self._all_or_nothing():
                for passage in passages:
                    self._pass(passage)
                for count in counts:
                    self._db.execute(_ADD_COUNT, (hour, self._door(count.door), count.kind, count.value, self._next()))
                self.keep(revision=str(self._revision))
                if position is not None:
                    self.keep(position=f"{position.inode}/{position.offset}")
        except sqlite3.Error:
            self._revision = before
            raise
        return self._added

    def _next(self) -> int:
        self._revision += 1
        return self._revision

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.rollback()

    def _pass(self, passage: Passage) -> None:
        """Count a line: the connection in the hour it began, its bytes since the last line in the hour of the line."""
        row = self._db.execute(
            "SELECT hour, door, host, llm, listed, bytes_out, bytes_in FROM open WHERE key = ?", (passage.key,)
        ).fetchone()
        place = _Place(row[0], tuple(row[1:5])) if row else self._place(passage)
        held_out, held_in = (row[5], row[6]) if row else (0, 0)
        failed = int(passage.ended and not passage.reached)
        if row is None or failed:
            self._add(place.hour, place, (int(row is None), failed, 0, 0), passage)
        grown = max(0, passage.bytes_out - held_out), max(0, passage.bytes_in - held_in)
        if any(grown):
            self._add(hour_of(passage.written_us), place, (0, 0, *grown), passage)
        if passage.ended:
            self._db.execute("DELETE FROM open WHERE key = ?", (passage.key,))
        else:
            values = (passage.key, place.hour, *place.name, passage.bytes_out, passage.bytes_in, passage.written_us)
            self._db.execute("INSERT OR REPLACE INTO open VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def _add(self, hour: int, place: _Place, sums: tuple[int, ...], passage: Passage) -> None:
        values = (hour, *place.name, *sums, passage.client, passage.written_us, self._next())
        self._db.execute(_ADD_HOST, values)
        door, _, llm, listed = place.name
        key = door, ("listed" if listed else "looks_like") if llm else "no"
        self._added.connections[key] += sums[0]
        self._added.bytes_out[key] += sums[2]
        self._added.bytes_in[key] += sums[3]

    def _place(self, passage: Passage) -> _Place:
        """Return the row of a connection that was not seen before."""
        hour = hour_of(passage.started_us)
        name, found = self._told(passage)
        host = name if self._admits(hour, name, llm=bool(found.name)) else OTHER
        return _Place(hour, (self._door(passage.door), host, found.name, int(found.listed)))

    def _told(self, passage: Passage) -> tuple[str, Llm]:
        """Return the name a connection is counted under: if any that the client gave is an LLM host, that one."""
        names = ((passage.host, passage.port), *passage.also)
        found = [(name, self._llm(name, port)) for name, port in names]
        return max(found, key=lambda one: (one[1].listed, bool(one[1].name)))  # the first of equals

    def _admits(self, hour: int, host: str, *, llm: bool) -> bool:
        if self._db.execute("SELECT 1 FROM hosts WHERE hour = ? AND host = ?", (hour, host)).fetchone():
            return True
        counted = "SELECT count(DISTINCT host) FROM hosts WHERE hour = ? AND (llm != '') = ?"
        return bool(self._db.execute(counted, (hour, llm)).fetchone()[0] < MAX_HOSTS)

    def _door(self, door: str) -> str:
        """Doors are named by our own configuration; the cap only keeps a mistaken one from growing the tables."""
        if door not in self._doors and len(self._doors) >= MAX_DOORS:
            return OTHER
        self._doors.add(door)
        return door

    def waiting(self, limit: int) -> Batch:
        """Return at most limit rows of each kind that analytics has not acknowledged, oldest change first."""
        acked = int(self.meta("acknowledged") or 0)
        hosts = [_host(row) for row in self._changed("hosts", acked, limit)]
        counts = [CountHour(*row) for row in self._changed("counts", acked, limit)]
        revisions = [row.revision for row in hosts], [row.revision for row in counts]
        cut = [found[-1] for found in revisions if len(found) == limit]  # beyond it may be rows that were left out
        upto = min(cut, default=max((found[-1] for found in revisions if found), default=acked))
        return Batch(
            tuple(row for row in hosts if row.revision <= upto),
            tuple(row for row in counts if row.revision <= upto),
            upto,
        )

    def _changed(self, table: str, after: int, limit: int) -> list[tuple[Any, ...]]:
        statement = f"SELECT * FROM {table} WHERE revision > ? ORDER BY revision LIMIT ?"  # noqa: S608 - our own two names
        return self._db.execute(statement, (after, limit)).fetchall()

    def acknowledge(self, batch: Batch) -> None:
        """Remember that analytics has committed a batch; what changed meanwhile has a later revision and waits on."""
        self.keep(acknowledged=str(batch.revision))

    def since(self, hour: int) -> tuple[list[HostHour], list[CountHour]]:
        """Return all rows from an hour on."""
        hosts = self._db.execute("SELECT * FROM hosts WHERE hour >= ? ORDER BY hour, host, door", (hour,)).fetchall()
        counts = self._db.execute("SELECT * FROM counts WHERE hour >= ? ORDER BY hour, door, kind", (hour,)).fetchall()
        return [_host(row) for row in hosts], [CountHour(*row) for row in counts]

    def prune(self, now_us: int) -> None:
        """Forget hours beyond KEPT_HOURS, and connections that a killed Envoy never ended."""
        oldest = hour_of(now_us) - KEPT_HOURS * 3600
        self._db.execute("DELETE FROM hosts WHERE hour < ?", (oldest,))
        self._db.execute("DELETE FROM counts WHERE hour < ?", (oldest,))
        self._db.execute("DELETE FROM open WHERE written_us < ?", (now_us - _FORGET_OPEN_US,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def hour_of(unix_us: int) -> int:
    """Return the begin of the hour of a moment, in seconds."""
    return unix_us // _HOUR_US * 3600


def _host(row: tuple[Any, ...]) -> HostHour:
    hour, door, host, llm, listed, *rest = row
    return HostHour(hour, door, host, llm, bool(listed), *rest)
