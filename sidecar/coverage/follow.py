"""Following a file that somebody else appends to and that is moved away now and then.

In: a path, a Position. Out: whole lines, and the Position behind them.
A line is handed out once it has its line end; the caller keeps the position in the same transaction as what the lines meant, so a
kill at any moment loses and repeats nothing. The file is held open, so that what is written to it after it was moved is still read.
Rotation: `rotate` moves a file that has grown and its writer is told to open a new one; never before the one moved last was read to
its end. On disk are at most the file, the one being finished and the one finished last, each about as large as the limit.
Never: deletes what was not read, unless `shed` is called because the disk would fill; writes to the file.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1024 * 1024
_MAX_LINE_BYTES = 64 * 1024  # Envoy's lines are below 2 KB; what is longer has no line end that we could wait for


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read. inode says which file; 0 is none yet."""

    inode: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """What one look brought. broken counts pieces of lines that never got their end."""

    lines: tuple[bytes, ...]
    position: Position
    broken: int = 0
    more: bool = False


def log_path(folder: Path) -> Path:
    """Return where Envoy writes down what passes through an installation's doors without inspection."""
    return folder / "coverage" / "pass-through.log"


class Follower:
    """Reads one path on. Used from one thread."""

    def __init__(self, path: Path, position: Position) -> None:
        self._path = path
        self._moved = path.with_name(path.name + ".1")
        self._finished = path.with_name(path.name + ".2")
        self._file = -1
        self._position = position
        self._resume(position)

    def _resume(self, position: Position) -> None:
        """Open the file that was being read, wherever it is now; the path itself when it is gone."""
        for candidate in (self._path, *sorted(self._path.parent.glob(f"{self._path.name}.*"))):
            if position.inode and self._open(candidate, position):
                return
        self._open_next()

    def _open(self, path: Path, position: Position) -> bool:
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        status = os.fstat(file)
        if position.inode and status.st_ino != position.inode:
            os.close(file)
            return False
        self._file = file
        self._position = Position(status.st_ino, position.offset if position.offset <= status.st_size else 0)
        return True

    def _open_next(self) -> bool:
        """Open a file that was moved and never read, else the path."""
        return self._open(self._moved, Position()) or self._open(self._path, Position())

    def read(self) -> Piece:
        """Return the lines that have come since; take them, keep the position, then call `passed`.

        Raises: OSError when the disk cannot be read.
        """
        if self._file < 0 and not self._open_next():
            return Piece((), self._position)
        at = self._position
        if os.fstat(self._file).st_size < at.offset:  # emptied in place by somebody: what was not read is gone
            return Piece((), Position(at.inode, 0), broken=1, more=True)
        data = os.pread(self._file, _CHUNK_BYTES, at.offset)
        end = data.rfind(b"\n") + 1
        if end:
            lines = tuple(line for line in data[:end].split(b"\n") if line)
            return Piece(lines, Position(at.inode, at.offset + end), more=True)
        if len(data) > _MAX_LINE_BYTES:
            return Piece((), Position(at.inode, at.offset + len(data)), broken=1, more=True)
        return self._at_the_end(data)

    def _at_the_end(self, rest: bytes) -> Piece:
        """Go over to the next file when there is one: its writer has let go of this one."""
        try:
            current = self._path.stat().st_ino
        except FileNotFoundError:  # moved, and its writer has not opened the next one yet
            return Piece((), self._position)
        if current == self._position.inode:
            return Piece((), self._position)
        left = os.pread(self._file, _CHUNK_BYTES, self._position.offset)
        if left != rest:  # it grew between the look and the stat
            return Piece((), self._position, more=True)
        return Piece((), Position(current, 0), broken=int(bool(rest)), more=True)

    def passed(self, position: Position) -> None:
        """Go on from a position that is kept now; a file that is done with is put aside under one name."""
        before, self._position = self._position.inode, position
        if position.inode == before or self._file < 0:
            return
        os.close(self._file)
        self._file = -1
        if self._inode(self._moved) == before:
            self._moved.replace(self._finished)
        self._open(self._path, position)

    def rotate(self, limit_bytes: int) -> bool:
        """Move the file away when it is larger than the limit; True when its writer must now be told to open a new one.

        Bounds: False while a file moved before is still being read, so that at most one is.
        """
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return self._moved.exists()  # moved, and the writer was not told, or did not hear
        if size <= limit_bytes or self._moved.exists():
            self._forget_read()
            return False
        self._path.replace(self._moved)
        return True

    def _forget_read(self) -> None:
        """A kill between the kept position and the move leaves a file that was read to its end: put it aside now."""
        if self._moved.exists() and self._inode(self._path) == self._position.inode:
            self._moved.replace(self._finished)

    def shed(self, limit_bytes: int) -> bool:
        """Empty the file when its lines cannot be taken and it is beyond a limit; True when lines were lost by that.

        Its writer appends, so it goes on at the new end.
        """
        if self._inode(self._path) == 0 or self._path.stat().st_size <= limit_bytes:
            return False
        os.truncate(self._path, 0)
        return True

    @staticmethod
    def _inode(path: Path) -> int:
        try:
            return path.stat().st_ino
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
