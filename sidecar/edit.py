"""Applies edits: to one text, and to the JSON body that the text stands in.

In: a text and Edits or Findings; a body and the new texts by JSON pointer. Out: the changed text or body.
A body is spliced: only the string literals at the pointers are written anew, every other byte stays as it was sent.
Never: changes outside the spans, decides what to edit, repairs a body that is not JSON.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sidecar.types import Edit, Finding, Segment, Span

REDACTED = "[REDACTED:{}]"
_BACKSLASH = 0x5C
# A body is walked on the event loop, at about 1 us a mark. Real requests have some thousands.
_MAX_MARKS = 500_000
_MARK = re.compile(rb'[{}\[\],"]')
# No pointer begins like this: RFC 6901 pointers are empty or begin with a slash.
_NOWHERE = "-"


def merge(changes: Iterable[tuple[Span, str]]) -> tuple[tuple[Span, str], ...]:
    """Return the changes in order with overlapping spans made one; the text of the first to start (then longest) wins.

    Shape: disjoint, ascending; empty spans are dropped.
    """
    merged: list[tuple[Span, str]] = []
    for span, text in sorted(changes, key=lambda change: (change[0].start, -change[0].end, change[1])):
        if span.start >= span.end:
            continue
        if merged and span.start < merged[-1][0].end:
            last, first_text = merged[-1]
            merged[-1] = (Span(last.start, max(last.end, span.end)), first_text)
        else:
            merged.append((span, text))
    return tuple(merged)


def apply(text: str, changes: Iterable[tuple[Span, str]]) -> str:
    """Return the text with each span replaced; spans beyond its end are cut to it. Nothing else changes."""
    pieces: list[str] = []
    position = 0
    for span, replacement in merge(changes):
        start, end = min(span.start, len(text)), min(span.end, len(text))
        if start >= end:
            continue
        pieces += (text[position:start], replacement)
        position = end
    return "".join(pieces) + text[position:]


def redactions(segment: Segment, findings: Iterable[Finding]) -> tuple[Edit, ...]:
    """Return the edits that replace each finding in a segment by [REDACTED:type]."""
    changes = merge((finding.span, REDACTED.format(finding.type)) for finding in findings)
    return tuple(Edit(segment, span, text) for span, text in changes)


def redact(text: str, findings: Iterable[Finding]) -> str:
    """Return a text with each finding replaced by [REDACTED:type]; for content capture."""
    return apply(text, ((finding.span, REDACTED.format(finding.type)) for finding in findings))


def edited_texts(edits: Iterable[Edit]) -> dict[str, str]:
    """Return the new text per JSON pointer that a set of edits asks for. Segments without a path are left out."""
    changes = _by_segment(edits)
    return {segment.path: apply(segment.text, listed) for segment, listed in changes.items() if segment.path}


def edited(segments: Iterable[Segment], edits: Iterable[Edit]) -> tuple[Segment, ...]:
    """Return the segments with their edits made."""
    changes = _by_segment(edits)
    return tuple(replace(s, text=apply(s.text, changes[s])) if s in changes else s for s in segments)


def _by_segment(edits: Iterable[Edit]) -> dict[Segment, list[tuple[Span, str]]]:
    changes: dict[Segment, list[tuple[Span, str]]] = {}
    for edit in edits:
        changes.setdefault(edit.segment, []).append((edit.span, edit.text))
    return changes


def edited_body(body: bytes, edits: Iterable[Edit]) -> bytes:
    """Return a JSON body with its edits made, and every byte outside their strings as it was.

    Raises: ValueError for a body that is not one JSON value; KeyError for an edit whose segment is no string of the body.
    """
    wanted = tuple(edits)
    try:
        value = json.loads(body)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    for segment in {edit.segment for edit in wanted}:
        if not segment.path or _value_at(value, segment.path) != segment.text:
            raise KeyError(segment.path)
    return splice(body, edited_texts(wanted))


def _value_at(value: object, pointer: str) -> object:
    """Return the value a JSON pointer leads to, None where it leads nowhere."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def splice(body: bytes, texts: Mapping[str, str]) -> bytes:
    """Return a JSON body with the strings at the given pointers replaced and every other byte kept.

    Where a key stands twice the last one is edited, as parsers read it.
    Bounds: one pass over the body; no recursion, so depth does not matter; at most 500,000 braces, commas and strings.
    Raises: ValueError for a body that is not JSON or beyond that; KeyError for a pointer that leads to no string.
    """
    places = _strings(body, frozenset(texts))
    missing = [pointer for pointer in texts if pointer not in places]
    if missing:
        raise KeyError(missing[0])
    pieces: list[bytes] = []
    position = 0
    for pointer, (start, end) in sorted(places.items(), key=lambda place: place[1]):
        pieces += (body[position:start], json.dumps(texts[pointer], ensure_ascii=True).encode())
        position = end
    return b"".join(pieces) + body[position:]


@dataclass(slots=True)
class _Container:
    """An open array or object while the body is walked. pointer is None where no wanted string can be inside."""

    pointer: str | None
    key: str | int


def _strings(body: bytes, wanted: frozenset[str]) -> dict[str, tuple[int, int]]:
    """Return where the string values at the wanted pointers stand in a body, quotes included."""
    above = frozenset(pointer[:cut] for pointer in wanted for cut, char in enumerate(pointer) if char == "/")
    places: dict[str, tuple[int, int]] = {}
    stack: list[_Container] = []
    expects_key = False
    position = marks = 0
    while mark := _MARK.search(body, position):
        marks += 1
        if marks > _MAX_MARKS:
            raise ValueError(f"more than {_MAX_MARKS} marks of JSON")
        position, char = mark.end(), mark[0]
        if char in (b"{", b"["):
            pointer = _pointer(stack)
            stack.append(_Container(pointer if pointer in above else None, "" if char == b"{" else 0))
            expects_key = char == b"{"
        elif char in (b"}", b"]"):
            if not stack:
                raise ValueError(f"unbalanced {char.decode()} at byte {mark.start()}")
            stack.pop()
            expects_key = False
        elif char == b",":
            expects_key = _next(stack)
        else:
            position = _string_end(body, mark.start())
            if expects_key:
                stack[-1].key = str(json.loads(body[mark.start() : position])) if stack[-1].pointer is not None else ""
                expects_key = False
            elif (here := _pointer(stack)) in wanted:
                places[here] = (mark.start(), position)
    if stack:
        raise ValueError("the body ends inside a container")
    return places


def _next(stack: Sequence[_Container]) -> bool:
    """Step to the next element of the innermost container; tell whether a key comes next."""
    if not stack:
        raise ValueError("a comma outside every container")
    if isinstance(stack[-1].key, int):
        stack[-1].key += 1
        return False
    return True


def _pointer(stack: Sequence[_Container]) -> str:
    """Return the JSON pointer (RFC 6901) of the value that comes next; _NOWHERE where nothing is wanted."""
    if not stack or stack[-1].pointer is None:
        return "" if not stack else _NOWHERE
    return f"{stack[-1].pointer}/{str(stack[-1].key).replace('~', '~0').replace('/', '~1')}"


def _string_end(body: bytes, start: int) -> int:
    """Return the index behind the closing quote of the string literal at start."""
    position = start + 1
    while True:
        quote = body.find(b'"', position)
        if quote < 0:
            raise ValueError(f"the string at byte {start} does not end")
        backslashes = 0
        while body[quote - 1 - backslashes] == _BACKSLASH:
            backslashes += 1
        if backslashes % 2 == 0:
            return quote + 1
        position = quote + 1
