"""Rewrites the texts of an answer on its way to the client, whatever pieces it comes in.

In: chunks of a body; a maker of editors, one per text. Out: the bytes to send instead. What an editor leaves alone passes byte
for byte.

Three shapes of answers, told apart by their first bytes:
* events (SSE): each event goes on when it is complete. A text that is spread over events (the deltas of one choice, one tool call)
  has one editor; what that holds back comes with the text's next event, or in an event of its own before the one that ends it.
* JSON: strings go on one by one, each when it is complete; everything between them at once.
* other text: goes on but for what the editor holds back.

Never: holds back an event in which nothing is held; interprets JSON that it does not have to change.
Not put together: a text spread over the lines of JSON lines (each line is read for itself).
Source: WHATWG HTML 9.2.6; the streamed fields are those of OpenAI's, Anthropic's and Google's API references, read 2026-11.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from sidecar.edit import splice
from sidecar.protocols.json_body import escape
from sidecar.protocols.sse import MAX_EVENT_BYTES

_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_EVENT_END = re.compile(rb"\r?\n\r?\n")
_IN_STRING = re.compile(rb'["\\]')
_MAX_STRING_BYTES = 8 * 1024 * 1024

# Fields of a delta that continue in the next event.
_CONTINUED = frozenset(
    ("delta", "content", "text", "refusal", "reasoning", "reasoning_content", "thinking", "arguments", "partial_json")
)
# Texts that are JSON themselves: what is put into them is escaped once more.
_NESTED = frozenset(("arguments", "partial_json"))
_INDEXES = ("index", "output_index", "content_index")


class Editor(Protocol):
    """Changes one text that comes in pieces; final says that nothing will follow."""

    def push(self, text: str, *, final: bool) -> str: ...


MakeEditor = Callable[[bool], Editor]  # True for a text that is JSON itself


class Rewriter:
    """Rewrites one answer."""

    __slots__ = ("_make", "_shape", "_start")

    def __init__(self, make: MakeEditor) -> None:
        self._make = make
        self._start = b""
        self._shape: _Events | _Strings | _Text | None = None

    def feed(self, chunk: bytes, *, end: bool) -> bytes:
        """Return what to send in place of a chunk; with end, all that was held back comes."""
        if self._shape is None:
            self._start += chunk
            self._shape = self._told(end)
            if self._shape is None:
                return b""
            chunk, self._start = self._start, b""
        return self._shape.feed(chunk, end)

    def _told(self, end: bool) -> "_Events | _Strings | _Text | None":
        """Return the reader for what has begun, None while its first bytes do not tell."""
        start = self._start.removeprefix(codecs.BOM_UTF8).lstrip()
        if start.startswith(_EVENT_FIELDS):
            return _Events(self._make)
        if start[:1] in (b"{", b"[", b'"'):
            return _Strings(self._make)
        known = (*_EVENT_FIELDS, codecs.BOM_UTF8)
        return None if not end and any(field.startswith(start) for field in known) else _Text(self._make)


class _Text:
    """Text that is neither: one editor; bytes that are no UTF-8 pass as they are."""

    __slots__ = ("_decoder", "_editor")

    def __init__(self, make: MakeEditor) -> None:
        self._editor = make(False)
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def feed(self, chunk: bytes, end: bool) -> bytes:
        text = self._decoder.decode(chunk, end)
        return self._editor.push(text, final=end).encode("utf-8", "surrogateescape")


class _Strings:
    """The strings of a JSON body, each rewritten when it is complete."""

    __slots__ = ("_at", "_inside", "_key", "_last", "_make", "_rest")

    def __init__(self, make: MakeEditor) -> None:
        self._make = make
        self._rest = bytearray()
        self._at = 0
        self._inside = False
        self._last = self._key = b""

    def feed(self, chunk: bytes, end: bool) -> bytes:
        self._rest += chunk
        pieces: list[bytes] = []
        while self._rest and (piece := self._literal() if self._inside else self._between()) is not None:
            pieces.append(piece)
        if end or len(self._rest) > _MAX_STRING_BYTES:
            pieces.append(bytes(self._rest))
            self._rest.clear()
            self._at = 0
        return b"".join(pieces)

    def _between(self) -> bytes:
        """Return everything up to the next string."""
        quote = self._rest.find(b'"')
        self._inside = quote >= 0
        cut = quote if self._inside else len(self._rest)
        piece = bytes(self._rest[:cut])
        del self._rest[:cut]
        if piece.lstrip()[:1] == b":":
            self._key = self._last
        self._at = 1
        return piece

    def _literal(self) -> bytes | None:
        """Return the string that has begun, None while its end is missing."""
        while mark := _IN_STRING.search(self._rest, self._at):
            if mark[0] == b'"':
                literal = bytes(self._rest[: mark.end()])
                del self._rest[: mark.end()]
                self._inside, self._last = False, literal
                return self._rewritten(literal)
            self._at = mark.start() + 2
        self._at = max(self._at, len(self._rest))
        return None

    def _rewritten(self, literal: bytes) -> bytes:
        try:
            text = json.loads(literal)
        except ValueError:
            return literal
        new = self._make(self._key.strip(b'"').decode("utf-8", "replace") in _NESTED).push(text, final=True)
        return literal if new == text else json.dumps(new).encode()


# A spread text's path, and which choice, block and call it belongs to, outermost first.
_Key = tuple[str, tuple[int, ...]]
_ALL = None


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A string of an event. key names the text it is a piece of, None for one that is complete in itself."""

    pointer: str
    names: tuple[str | int, ...]
    text: str
    key: "_Key | None"
    nested: bool


@dataclass(slots=True)
class _Spread:
    """A text spread over events: its editor, and the last event that held a piece of it."""

    editor: Editor
    leaf: _Leaf
    value: dict[str, Any]
    event: bytes


class _Events:
    """Server-sent events."""

    __slots__ = ("_at", "_make", "_rest", "_spread")

    def __init__(self, make: MakeEditor) -> None:
        self._make = make
        self._rest = bytearray()
        self._at = 0
        self._spread: dict[_Key, _Spread] = {}

    def feed(self, chunk: bytes, end: bool) -> bytes:
        self._rest += chunk
        pieces: list[bytes] = []
        position = 0
        while mark := _EVENT_END.search(self._rest, max(position, self._at)):
            pieces.append(self._event(bytes(self._rest[position : mark.end()])))
            position = mark.end()
        del self._rest[:position]
        self._at = max(0, len(self._rest) - 3)
        if end:
            pieces += (self._event(bytes(self._rest)), self._flush())
        if end or len(self._rest) > MAX_EVENT_BYTES:
            pieces.append(b"" if end else bytes(self._rest))
            self._rest.clear()
            self._at = 0
        return b"".join(pieces)

    def _event(self, raw: bytes) -> bytes:
        """Return what goes on in place of an event."""
        lines = raw.splitlines(keepends=True)
        data = b"\n".join(_data(line) for line in lines if line.startswith(b"data:"))
        if not data:
            return raw
        try:
            value = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            value = None
        if not isinstance(value, dict):  # [DONE], or words of a proxy's
            return self._flush() + raw
        leaves = tuple(_leaves(value))
        ended = _ended(value, leaves)
        named = next((line for line in lines if line.startswith(b"event:")), b"")
        changes = {
            leaf.pointer: new
            for leaf in leaves
            if (new := self._push(leaf, value, named, _is_over(leaf.key, ended))) != leaf.text
        }
        before = self._flush(ended, frozenset(leaf.key for leaf in leaves))
        return before + (_with_data(lines, splice(data, changes)) if changes else raw)

    def _push(self, leaf: _Leaf, value: dict[str, Any], event: bytes, over: bool) -> str:
        if leaf.key is None:
            return self._make(leaf.nested).push(leaf.text, final=True)
        spread = self._spread.get(leaf.key)
        if spread is None:
            spread = self._spread[leaf.key] = _Spread(self._make(leaf.nested), leaf, value, event)
        spread.leaf, spread.value, spread.event = leaf, value, event
        return spread.editor.push(leaf.text, final=over)

    def _flush(self, ended: "_Ended" = _ALL, present: frozenset[_Key | None] = frozenset()) -> bytes:
        """Return what is held back of texts that are over and not present, each in an event like its last one."""
        pieces: list[bytes] = []
        for key, spread in self._spread.items():
            over = _is_over(key, ended) and key not in present
            held = spread.editor.push("", final=True) if over else ""
            if held:
                body = msgspec.json.encode(_skeleton(spread.value, spread.leaf.names, held))
                pieces.append(spread.event + b"data: " + body + b"\n\n")
        return b"".join(pieces)


def _data(line: bytes) -> bytes:
    data = line.rstrip(b"\r\n")[5:]
    return data[1:] if data[:1] == b" " else data


def _with_data(lines: list[bytes], data: bytes) -> bytes:
    """Return an event's lines with other data, in the place of the first."""
    first = next(number for number, line in enumerate(lines) if line.startswith(b"data:"))
    ending = b"\r\n" if lines[first].endswith(b"\r\n") else b"\n"
    kept = [line for line in lines[first + 1 :] if not line.startswith(b"data:")]
    return b"".join((*lines[:first], b"data: ", b" ".join(data.splitlines()), ending, *kept))


_Ended = frozenset[int] | None  # the choices that an event ends, _ALL for everything


def _ended(value: Mapping[str, Any], leaves: tuple[_Leaf, ...]) -> _Ended:
    """Return which choices an event finishes; one that holds no piece of any text, and is no sign of life, ends everything."""
    if value.get("type") != "ping" and not any(leaf.key for leaf in leaves):
        choices = value.get("choices")
        return _finished(value) if isinstance(choices, list) and choices else _ALL
    return _finished(value)


def _finished(value: Mapping[str, Any]) -> frozenset[int]:
    listed = [value[name] for name in ("choices", "candidates") if isinstance(value.get(name), list)]
    done = [
        c
        for choices in listed
        for c in choices
        if isinstance(c, dict) and (c.get("finish_reason") or c.get("finishReason"))
    ]
    return frozenset(choice["index"] if isinstance(choice.get("index"), int) else 0 for choice in done)


def _is_over(key: _Key | None, ended: _Ended) -> bool:
    return ended is _ALL or (key is not None and (key[1][0] if key[1] else 0) in ended)


def _leaves(value: dict[str, Any]) -> Iterator[_Leaf]:
    """Yield the strings of an event in order.

    Bounds: linear, no recursion.
    """
    kind = str(value.get("type", ""))
    stack: list[tuple[Any, str, tuple[str | int, ...], tuple[int, ...]]] = [(value, "", (), ())]
    while stack:
        item, pointer, names, indexes = stack.pop()
        if isinstance(item, str):
            continued = _continued(names)
            key = ("/".join(n for n in names if isinstance(n, str)), indexes) if continued else None
            nested = bool(_NESTED.intersection(names[-1:])) or (continued and "arguments" in kind)
            yield _Leaf(pointer, names, item, key, nested)
        elif isinstance(item, dict):
            here = (*indexes, *(item[name] for name in _INDEXES if isinstance(item.get(name), int)))
            stack.extend((item[k], f"{pointer}/{escape(k)}", (*names, k), here) for k in reversed(item))
        elif isinstance(item, list):
            stack.extend((item[n], f"{pointer}/{n}", (*names, n), indexes) for n in range(len(item) - 1, -1, -1))


def _continued(names: tuple[str | int, ...]) -> bool:
    """Tell whether a string continues in the next event: in deltas, and where whole APIs have none."""
    words = tuple(name for name in names if isinstance(name, str))
    if "delta" in words:
        return words[-1] in _CONTINUED
    return words in (("choices", "text"), ("candidates", "content", "parts", "text"))


def _skeleton(value: Any, names: tuple[str | int, ...], held: str) -> Any:
    """Return an event that says held and nothing else: what tells which text it belongs to is kept, other texts are not.

    Names and ids of tool calls are left away: clients add the pieces of a call up.
    """
    if not names:
        return held
    name, rest = names[0], names[1:]
    if isinstance(value, list):
        return [_skeleton(value[int(name)], rest, held)]
    inside_call = "arguments" in names and "tool_calls" not in names
    kept = {
        key: item
        for key, item in value.items()
        if not isinstance(item, dict | list) and key not in _CONTINUED and not (inside_call and isinstance(item, str))
    }
    return {**kept, str(name): _skeleton(value[name], rest, held)}
