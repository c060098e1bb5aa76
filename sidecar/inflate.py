"""Bodies as they were before their content-encoding: a request's whole, an answer's piece by piece.

In: the bytes that came, the content-encoding header, a limit. Out: the plain bytes, or NotInflated with the kind of failure.
Why here and not in Envoy's decompressor filter: that one (1.40, tried) passes on what it could read of a broken, cut or
too-large body as if it were whole, with status 200; and it takes the codings of "gzip, br" off in the wrong order.
Never: more plain bytes in memory than the limit (and one step of the library beyond it), a body of which a part was not read,
bytes behind the end, more than one coding.
Source: RFC 9110 8.4 (codings), RFC 1952 (gzip), RFC 7932 (brotli), RFC 8878 (zstd), RFC 9659 (a window of at most 8 MiB).
"""

import sys
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import brotli

from sidecar.types import FailureKind

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Envoy's own default for gzip and brotli. Text is seldom beyond 20; what is beyond 100 is looked at up to the floor.
MAX_RATIO = 100
# Up to here a body is read whatever its ratio: a megabyte harms nobody, and small repetitive bodies are ordinary.
FLOOR_BYTES = 1024 * 1024
_ZSTD_WINDOW_LOG = 23  # RFC 9659: 8 MiB

IDENTITY = ("", "identity")


class NotInflated(ValueError):  # noqa: N818 - says what did not happen
    """A body that cannot be made plain. The text never holds content."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def inflated(data: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Return the plain body; data itself when it has no coding.

    Bounds: linear in the smaller of the plain size and the limit; one coding, one member.
    Raises: NotInflated: unsupported_encoding, too_large, or malformed_body for what is broken or cut.
    """
    name = encoding.strip().lower()
    if name in IDENTITY:
        return data
    if name not in CODINGS:
        raise NotInflated(FailureKind.UNSUPPORTED_ENCODING, "content-encoding is none of gzip, br, zstd, identity")
    bound = min(limit_bytes, max(FLOOR_BYTES, MAX_RATIO * len(data)))
    reader = CODINGS[name]()
    plain = _read(reader, name, data, bound)
    if not reader.ended:
        raise NotInflated(FailureKind.MALFORMED_BODY, f"the {name} body is cut short")
    return plain


class Inflater:
    """Takes the coding off an answer that comes in pieces.

    Bounds: all pieces together grow to MAX_RATIO times what has come, or to FLOOR_BYTES.
    """

    __slots__ = ("_came", "_gave", "_name", "_reader")

    def __init__(self, encoding: str) -> None:
        """Raises: KeyError for a coding that is not one of CODINGS."""
        self._name = encoding.strip().lower()
        self._reader = CODINGS[self._name]()
        self._came = self._gave = 0

    def feed(self, data: bytes, *, end: bool) -> bytes:
        """Return the plain bytes of a piece; end says that none follows.

        Raises: NotInflated, as inflated does.
        """
        self._came += len(data)
        bound = max(FLOOR_BYTES, MAX_RATIO * self._came) - self._gave
        plain = _read(self._reader, self._name, data, bound) if data else b""
        self._gave += len(plain)
        if end and self._came and not self._reader.ended:
            raise NotInflated(FailureKind.MALFORMED_BODY, f"the {self._name} body is cut short")
        return plain


class _Reader(Protocol):
    """A library's reader. read gives all that data holds, but not much more than most bytes."""

    @property
    def ended(self) -> bool: ...

    @property
    def behind(self) -> bool: ...

    def read(self, data: bytes, most: int) -> bytes: ...


def _read(reader: _Reader, name: str, data: bytes, bound: int) -> bytes:
    try:
        plain = reader.read(data, bound + 1)  # one byte more tells that there are more
    except (zlib.error, brotli.error, zstd.ZstdError, EOFError):
        raise NotInflated(FailureKind.MALFORMED_BODY, f"the body is not valid {name}") from None
    if len(plain) > bound:
        raise NotInflated(FailureKind.TOO_LARGE, f"the body grows beyond {bound} bytes, {name} taken off")
    if reader.behind:
        raise NotInflated(FailureKind.MALFORMED_BODY, f"bytes stand behind the end of the {name} body")
    return plain


class _Standard:
    """What zlib and zstd have in common."""

    __slots__ = ("_reader",)

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    @property
    def ended(self) -> bool:
        return bool(self._reader.eof)

    @property
    def behind(self) -> bool:
        return bool(self._reader.unused_data)

    def read(self, data: bytes, most: int) -> bytes:
        plain: bytes = self._reader.decompress(data, most)
        return plain


def _gzip() -> _Reader:
    return _Standard(zlib.decompressobj(wbits=zlib.MAX_WBITS | 16))


def _zstd() -> _Reader:
    return _Standard(zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}))


class _Brotli:
    """The library gives what it has by and by, and raises for bytes behind the end."""

    __slots__ = ("_reader",)

    behind = False

    def __init__(self) -> None:
        self._reader: Any = brotli.Decompressor()

    @property
    def ended(self) -> bool:
        return bool(self._reader.is_finished())

    def read(self, data: bytes, most: int) -> bytes:
        pieces = [self._reader.process(data, output_buffer_limit=most)]
        size = len(pieces[0])
        while pieces[-1] and size < most and not self.ended:
            pieces.append(self._reader.process(b"", output_buffer_limit=most - size))
            size += len(pieces[-1])
        return b"".join(pieces)


CODINGS: dict[str, Callable[[], _Reader]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,  # RFC 9110 8.4.1.3: the same
    "br": _Brotli,
    "zstd": _zstd,
}
