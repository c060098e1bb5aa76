"""Rewrites the texts of an answer on its way to the client, whatever pieces it comes in.

In: the frames of a body as reading.Reader splits it; a maker of editors, one per text. Out: the bytes to send instead. What an
editor leaves alone passes byte for byte.

Three shapes of answers:
* streams (SSE, JSON lines, arrays of events, AWS event streams): each frame goes on as it is complete. A text that is spread over
  frames (the deltas of one choice, one tool call) has one editor; what that holds back comes with the text's next frame, or in a
  frame of its own before the one that ends it.
* JSON: strings go on one by one, each when it is complete; everything between them at once.
* other text: goes on but for what the editor holds back.

Never: holds back an event in which nothing is held; interprets JSON that it does not have to change.
Source: the streamed fields are those of the providers' API references named in protocols/, read 2026-11.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from sidecar.edit import splice
from sidecar.protocols.frames import Frame, Framing
from sidecar.protocols.json_body import escape

_IN_STRING = re.compile(rb'["\\]')
_MAX_STRING_BYTES = 8 * 1024 * 1024

# Fields of a delta that continue in the next event.
_CONTINUED = frozenset(
    (
        "delta",
        "content",
        "text",
        "refusal",
        "reasoning",
        "reasoning_content",
        "thinking",
        "arguments",
        "partial_json",
        "input",  # Bedrock's toolUse
        "tool_plan",
        "transcript",  # of OpenAI's sounds
        "summary",  # OpenRouter's reasoning_details
    )
)
# What continues in the next event where a format has no deltas: completions, Gemini, Ollama's two, and models on Bedrock.
_CONTINUED_PATHS = frozenset(
    (
        ("choices", "text"),
        ("candidates", "content", "parts", "text"),
        ("message", "content"),
        ("message", "thinking"),
        ("response",),
        ("thinking",),
        ("outputText",),
        ("generation",),
        ("outputs", "text"),
    )
)
# In these nothing continues, wherever they stand: each comes whole.
_COMPLETE = frozenset(("citation", "citations"))
# Events that come between the pieces of a text and end none.
_ASIDE = frozenset(("ping", "citation-start", "citation-end", "citations_delta"))
# Texts that are JSON themselves: what is put into them is escaped once more.
_NESTED = frozenset(("arguments", "partial_json"))
_INDEXES = ("index", "output_index", "content_index", "summary_index", "command_index", "contentBlockIndex")
_RESPONSES = "response."  # how the types of the Responses API's events begin


class Editor(Protocol):
    """Changes one text that comes in pieces; final says that nothing will follow."""

    def push(self, text: str, *, final: bool) -> str: ...


MakeEditor = Callable[[bool], Editor]  # True for a text that is JSON itself


class Rewriter:
    """Rewrites one answer."""

    __slots__ = ("_make", "_shape")

    def __init__(self, make: MakeEditor) -> None:
        self._make = make
        self._shape: _Events | _Strings | _Text | None = None

    def feed(self, frames: Iterable[Frame], framing: Framing | None, *, end: bool) -> bytes:
        """Return what to send in place of frames that framing (None: the answer comes whole) split; with end, all that was held
        back comes.
        """
        frames = tuple(frames)
        if framing is not None:
            if not isinstance(self._shape, _Events):
                self._shape = _Events(self._make, framing)
            return self._shape.feed(frames, end)
        data = b"".join(frame.raw for frame in frames)
        if self._shape is None:
            start = data.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
            self._shape = _Strings(self._make) if start in (b"{", b"[", b'"') else _Text(self._make)
        assert not isinstance(self._shape, _Events)  # noqa: S101 - an answer is framed from its first frame on, or never
        return self._shape.feed(data, end)


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
_THOUGHT = -1  # stands where an index would, and is none


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
    """A text spread over frames: its editor, and the last frame that held a piece of it."""

    editor: Editor
    leaf: _Leaf
    value: dict[str, Any]
    frame: Frame


class _Events:
    """The frames of a stream."""

    __slots__ = ("_framing", "_make", "_spread")

    def __init__(self, make: MakeEditor, framing: Framing) -> None:
        self._make = make
        self._framing = framing
        self._spread: dict[_Key, _Spread] = {}

    def feed(self, frames: Iterable[Frame], end: bool) -> bytes:
        pieces = [self._event(frame) for frame in frames]
        return b"".join((*pieces, self._flush() if end else b""))

    def _event(self, frame: Frame) -> bytes:
        """Return what goes on in place of a frame."""
        if not frame.data:  # an array's end ends everything; comments and blank lines end nothing
            return (self._flush() if frame.raw.strip() == b"]" else b"") + frame.raw
        try:
            value = msgspec.json.decode(frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            value = None
        if not isinstance(value, dict):  # [DONE], or words of a proxy's
            return self._flush() + frame.raw
        leaves = tuple(_leaves(value))
        ended = _ended(value, leaves)
        changes = {
            leaf.pointer: new
            for leaf in leaves
            if (new := self._push(leaf, value, frame, _is_over(leaf.key, ended))) != leaf.text
        }
        before = self._flush(ended, frozenset(leaf.key for leaf in leaves))
        return before + (self._framing.with_data(frame, splice(frame.data, changes)) if changes else frame.raw)

    def _push(self, leaf: _Leaf, value: dict[str, Any], frame: Frame, over: bool) -> str:
        if leaf.key is None:
            return self._make(leaf.nested).push(leaf.text, final=True)
        spread = self._spread.get(leaf.key)
        if spread is None:
            spread = self._spread[leaf.key] = _Spread(self._make(leaf.nested), leaf, value, frame)
        spread.leaf, spread.value, spread.frame = leaf, value, frame
        return spread.editor.push(leaf.text, final=over)

    def _flush(self, ended: "_Ended" = _ALL, present: frozenset[_Key | None] = frozenset()) -> bytes:
        """Return what is held back of texts that are over and not present, each in a frame like its last one."""
        pieces: list[bytes] = []
        for key, spread in self._spread.items():
            over = _is_over(key, ended) and key not in present
            held = spread.editor.push("", final=True) if over else ""
            if held:
                body = msgspec.json.encode(_skeleton(spread.value, spread.leaf.names, held))
                pieces.append(self._framing.like(spread.frame, body))
        return b"".join(pieces)


_Ended = frozenset[int] | None  # the choices that an event ends, _ALL for everything


def _ended(value: Mapping[str, Any], leaves: tuple[_Leaf, ...]) -> _Ended:
    """Return which choices an event finishes; one that holds no piece of any text, and is no sign of life, ends everything."""
    if value.get("done") is True or value.get("is_finished") is True:  # Ollama's last line, Cohere's last chunk
        return _ALL
    kind = value.get("type")
    if isinstance(kind, str) and kind.startswith(_RESPONSES) and isinstance(value.get("output_index"), int):
        return frozenset((value["output_index"],) if kind.endswith(".done") else ())
    if not _is_aside(value) and not any(leaf.key for leaf in leaves):
        choices = value.get("choices")
        return _finished(value) if isinstance(choices, list) and choices else _ALL
    return _finished(value)


def _is_aside(value: Mapping[str, Any]) -> bool:
    delta = value.get("delta")
    kinds = (value.get("type"), delta.get("type") if isinstance(delta, dict) else None)
    return any(isinstance(kind, str) and kind in _ASIDE for kind in kinds)


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
    return ended is _ALL or (key is not None and (max(0, key[1][0]) if key[1] else 0) in ended)


def _leaves(value: dict[str, Any]) -> Iterator[_Leaf]:
    """Yield the strings of an event in order.

    Bounds: linear, no recursion.
    """
    kind = str(value.get("type", ""))
    stack: list[tuple[Any, str, tuple[str | int, ...], tuple[int, ...]]] = [(value, "", (), ())]
    while stack:
        item, pointer, names, indexes = stack.pop()
        if isinstance(item, str):
            continued = _continued(names) or (names == ("text",) and "is_finished" in value)
            path = "/".join(n for n in names if isinstance(n, str))
            key = (kind if names == ("delta",) else path, indexes) if continued else None
            nested = bool(_NESTED.intersection(names[-1:])) or (
                continued and ("arguments" in kind or "toolUse" in names)
            )
            yield _Leaf(pointer, names, item, key, nested)
        elif isinstance(item, dict):
            here = (*indexes, *(item[name] for name in _INDEXES if isinstance(item.get(name), int)))
            here = (
                (*here, _THOUGHT) if item.get("thought") is True else here
            )  # Gemini's thoughts are parts among others
            stack.extend((item[k], f"{pointer}/{escape(k)}", (*names, k), here) for k in reversed(item))
        elif isinstance(item, list):
            stack.extend((item[n], f"{pointer}/{n}", (*names, n), indexes) for n in range(len(item) - 1, -1, -1))


def _continued(names: tuple[str | int, ...]) -> bool:
    """Tell whether a string continues in the next event: in deltas, and where whole APIs have none."""
    words = tuple(name for name in names if isinstance(name, str))
    if "delta" in words:
        return words[-1] in _CONTINUED and _COMPLETE.isdisjoint(words)
    return words in _CONTINUED_PATHS


def _skeleton(value: Any, names: tuple[str | int, ...], held: str) -> Any:
    """Return an event that says held and nothing else: what tells which text it belongs to is kept, other texts are not.

    Names and ids of tool calls are left away: clients add the pieces of a call up.
    """
    if not names:
        return held
    name, rest = names[0], names[1:]
    if isinstance(value, list):
        return [_skeleton(value[int(name)], rest, held)]
    inside_call = "arguments" in names and not {"tool_calls", "function_call", "custom"}.intersection(names)
    kept = {
        key: item
        for key, item in value.items()
        if not isinstance(item, dict | list) and key not in _CONTINUED and not (inside_call and isinstance(item, str))
    }
    return {**kept, str(name): _skeleton(value[name], rest, held)}
