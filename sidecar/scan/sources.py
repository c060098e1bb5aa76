"""What the arguments of `douane scan` stand for: texts, files, the files of folders.

In: arguments. Out: Documents, read one at a time.
Never: a symbolic link inside a folder followed; a binary file passed off as looked at; a mistyped file name taken for a text.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sidecar.scan.scanner import TEXT_BYTES_MAX

_SUFFIX = re.compile(r"[A-Za-z][A-Za-z0-9]{0,4}")
_HEAD = 8192  # where git looks for NUL to tell binary files (buffer_is_binary in xdiff-interface.c)
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its name. left_bytes were not read; why says binary, or what hindered reading."""

    name: str
    text: str = ""
    left_bytes: int = 0
    why: str = ""


def documents(arguments: Sequence[str], stdin: IO[bytes], *, as_text: bool = False) -> Iterator[Document]:
    """Yield what arguments stand for: - is standard input, what exists is read, everything else is a text itself."""
    for number, argument in enumerate(arguments, 1):
        path = Path(argument)
        if as_text:
            yield Document(f"text {number}", argument)
        elif argument == "-":
            yield _decoded("stdin", stdin.read(TEXT_BYTES_MAX), _rest(stdin))
        elif _exists(path):
            yield from (_read(one) for one in ([path] if not path.is_dir() else _files(path)))
        elif _names_a_file(argument):
            yield Document(argument, why="no such file (with --text it is a text)")
        else:
            yield Document(f"text {number}", argument)


def _names_a_file(argument: str) -> bool:
    """Tell whether an argument looks like a path: no blanks, and a slash or a suffix."""
    if len(argument.split()) != 1:
        return False
    _, dot, suffix = argument.rpartition(".")
    return "/" in argument or bool(dot and _SUFFIX.fullmatch(suffix))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text may be too long for a name, or hold NUL
        return False


def _files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder in order of their names; links are not followed."""
    for name, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = Path(name) / file
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _read(path: Path) -> Document:
    try:
        with path.open("rb") as file:
            data = file.read(TEXT_BYTES_MAX)
            left = max(0, os.fstat(file.fileno()).st_size - len(data))
    except OSError as error:
        return Document(str(path), why=error.strerror or type(error).__name__)
    return _decoded(str(path), data, left)


def _rest(stream: IO[bytes]) -> int:
    """Read a stream to its end and return how long that was."""
    size = 0
    while part := stream.read(1 << 20):
        size += len(part)
    return size


def _decoded(name: str, data: bytes, left: int) -> Document:
    """Return the text of bytes: UTF-8 or what its byte order mark says; broken characters are replaced, not left out."""
    encoding = next((encoding for bom, encoding in _BOMS if data.startswith(bom)), "utf-8")
    if encoding != "utf-16" and b"\0" in data[:_HEAD]:
        return Document(name, "", len(data) + left, "binary")
    text = data.decode(encoding, "replace")
    if encoding == "utf-16" and b"\0" not in data:
        # A mark that lies would hide the text, and no UTF-16 of Latin text is without a zero byte: both readings count.
        text += "\n" + data[2:].decode("utf-8", "replace")
    return Document(name, text, left)
