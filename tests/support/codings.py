"""Compressed bodies for tests: whole, and in pieces of which each can be read when it has come."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import brotli
from backports import zstd

WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "deflate": zlib.compress,
}


def asked(body: bytes) -> str:
    """Return the coding that a request's text asks its provider for: please-gzip, please-br, please-zstd or please-deflate."""
    return next((name for name in WHOLE if b"please-" + name.encode() in body), "")


def flushed(parts: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the parts compressed as one body, each flushed; the last piece only ends the body."""
    compressor = _compressor(coding)
    for part in parts:
        yield compressor[0](part)
    yield compressor[1]()


def _compressor(coding: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    if coding == "br":
        br: Any = brotli.Compressor()
        return lambda part: br.process(part) + br.flush(), br.finish
    if coding == "zstd":
        z = zstd.ZstdCompressor()
        return lambda part: z.compress(part, z.FLUSH_BLOCK), lambda: z.flush(z.FLUSH_FRAME)
    deflate = zlib.compressobj(wbits=zlib.MAX_WBITS | 16 if coding == "gzip" else zlib.MAX_WBITS)
    return lambda part: deflate.compress(part) + deflate.flush(zlib.Z_SYNC_FLUSH), deflate.flush
