"""What the formats have in common whose messages are made of blocks: one walk over a body that loses no string.

In: a value out of JSON, the Rules of a format. Out: segments with their surfaces and places, and how much was media.
Never: recursion over the value; a string that is neither a segment nor counted, unless a rule names its key to be skipped.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.protocols.json_body import leaves, step
from sidecar.types import LlmReply, Segment, Surface, Unscanned, UnscannedReason

# Media are base64, standard or for URLs (RFC 4648). Words with spaces are not, wherever they stand: they are scanned.
_BASE64 = re.compile(r"[A-Za-z0-9+/_\r\n-]*={0,2}[\r\n]*")
_DATA_URL = re.compile(r"data:[^,]{0,100};base64,")

# In these a model reads everything as text: what looks like a block of another kind is an argument.
FIXED = frozenset((Surface.TOOL_CALL, Surface.TOOL_DEFINITION))


@dataclass(frozen=True, slots=True)
class Holder:
    """Where a value stands: the object around it, the key of that object, and the key of the value (of the list it is in)."""

    item: Mapping[str, Any] = field(default_factory=dict)
    outer: str = ""
    key: str = ""


def _never(at: Holder) -> bool:  # noqa: ARG001 - the shape of every rule
    return False


@dataclass(frozen=True, slots=True)
class Rules:
    """How a format's blocks are told apart.

    Shape: surface takes an object with its key and the surface around it; texts are keys of the conversation's own words,
    scanned however short they are; media tells whether a string is bytes for eyes and ears; skip are keys of no text,
    quiet are the format's own words among keys: they are not scanned, what stands under them is.
    """

    surface: Callable[[str, Mapping[str, Any], Surface], Surface]
    texts: frozenset[str]
    media: Callable[[Holder], bool] = _never
    skip: frozenset[str] = frozenset()
    quiet: frozenset[str] = frozenset()


@dataclass(slots=True)
class Found:
    """What a walk has found so far."""

    segments: list[Segment] = field(default_factory=list)
    unscanned: list[Unscanned] = field(default_factory=list)

    def walk(self, value: Any, at: Segment, rules: Rules, holder: Holder = Holder()) -> None:
        """Add every string of a value that stands at a place, in document order.

        Bounds: linear, no recursion.
        """
        stack: list[tuple[Any, str, Surface, Holder]] = [(value, at.path, at.surface, holder)]
        while stack:
            item, path, surface, held = stack.pop()
            if isinstance(item, str):
                self._text(item, Segment(item, surface, at.message_index, path), held, rules)
            elif isinstance(item, dict):
                surface = surface if surface in FIXED else rules.surface(held.key, item, surface)
                kept = {key: inner for key, inner in item.items() if key not in rules.skip}
                self.leaves(
                    dict.fromkeys(key for key in kept if key not in rules.quiet),
                    Segment("", surface, at.message_index, path),
                )
                stack.extend(
                    (kept[key], step(path, key), surface, Holder(item, held.key, key)) for key in reversed(kept)
                )
            elif isinstance(item, list):
                stack.extend((item[n], step(path, str(n)), surface, held) for n in range(len(item) - 1, -1, -1))

    def _text(self, text: str, segment: Segment, held: Holder, rules: Rules) -> None:
        if segment.surface not in FIXED and rules.media(held) and is_media(text):
            self.unscanned.append(Unscanned(UnscannedReason.BINARY, len(text)))
        elif held.key in rules.texts and text:
            self.segments.append(segment)
        else:
            self.leaves(text, segment)

    def leaves(self, value: Any, at: Segment) -> None:
        """Add the strings of a value that are worth scanning, all of one surface."""
        self.segments.extend(Segment(text, at.surface, at.message_index, path) for path, text in leaves(value, at.path))


def is_media(text: str) -> bool:
    """Return True for base64, bare or in a data URL. Bounds: linear."""
    mark = _DATA_URL.match(text)
    return _BASE64.fullmatch(text, mark.end() if mark else 0) is not None


def walked(value: Any, rules: Rules, surface: Surface = Surface.OUTPUT, key: str = "") -> Found:
    """Return what a walk over a value finds; key is the one that it stands under."""
    found = Found()
    found.walk(value, Segment("", surface), rules, Holder(key=key))
    return found


def read_error(body: Any) -> LlmReply:
    """Return an answer of no known shape, such as an error: every string in it."""
    return LlmReply(segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body)))
