"""Uploads of several parts, as files and batches are sent.

In: a body and its content type. Out: the parts with what their heads say.
Bounds: linear; at most MAX_PARTS parts, then MalformedBody: a browser's form has a few, a hostile one millions.
Never: believes that what is not read is not there: text before, between and after the parts is a part of its own, and a body that
holds no delimiter is left to be read as text.
Source: RFC 7578; RFC 2046, 5.1; read 2026-11.
"""

import re
from dataclasses import dataclass

from sidecar.protocols.json_body import MalformedBody

MAX_PARTS = 1000
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_NAMED = re.compile(r"boundary[\s*0-9]*=", re.IGNORECASE)  # RFC 2231's pieces too
_HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One part. head is its header lines as text (they hold names that users choose), kind its content type."""

    head: str
    kind: str
    data: bytes


def is_multipart(content_type: str) -> bool:
    """Tell whether a content type is one of several parts."""
    return content_type.strip().lower().startswith("multipart/")


def parts(data: bytes, content_type: str) -> tuple[Part, ...]:
    """Return the parts of a body, none where it has no boundary that its content type names.

    Raises: MalformedBody when there are too many, or several boundaries to choose from: hosts choose differently.
    """
    marks = _NAMED.findall(content_type)
    if len(marks) > 1 or any("*" in mark for mark in marks):
        raise MalformedBody("the content type has more than one boundary")
    named = _BOUNDARY.search(content_type)
    mark = b"--" + (named[1] or named[2]).encode("utf-8", "surrogateescape") if named else b""
    pieces = data.split(mark, MAX_PARTS + 1) if mark else []
    if len(pieces) > MAX_PARTS:
        raise MalformedBody(f"more than {MAX_PARTS} parts")
    if len(pieces) < 2:
        return ()
    return tuple(_part(piece) for piece in pieces if piece.strip(b"\r\n- \t"))


def _part(piece: bytes) -> Part:
    end = _HEAD_END.search(piece)
    if end is None:
        return Part("", "", piece)
    head = piece[: end.start()].decode("utf-8", "replace").strip()
    kind = re.search(r"^content-type:\s*([^\r\n]+)", head, re.IGNORECASE | re.MULTILINE)
    return Part(head, kind[1].lower() if kind else "", piece[end.end() :].removesuffix(b"\n").removesuffix(b"\r"))
