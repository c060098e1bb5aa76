"""Detectors of one exchange: what in a text is a threat only because of what else was said, or because policy planted it.

In: the request of the exchange, the policy's canaries; then Views, as every detector. Out: Findings.
* canaries: a planted text shows where it must not be.
* system_prompt: an answer says what this exchange's system prompt says.
* carried: an answer's link or image carries the conversation away.
Never: reads more of a conversation than its caps say (it would hold up other exchanges); looks at a model's reasoning
for the system prompt (models quote it there to follow it).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_plus

from sidecar.decode import readings
from sidecar.detectors.words import places, runs, shingles, words
from sidecar.types import Finding, LlmMessage, Segment, Span, Surface, ThreatType, View

AS_SENT = "as_sent"
# Where a canary may stand: it was planted there. Everywhere else somebody has carried it.
_PLANTED = (Surface.SYSTEM, Surface.TOOL_DEFINITION)
_SAID = (Surface.OUTPUT, Surface.TOOL_CALL)


@dataclass(frozen=True, slots=True)
class ContextRule:
    """What one of these detectors reports, for the reference."""

    id: str
    type: ThreatType
    weight: float
    why: str
    source: str


CANARY = ContextRule(
    "canary.seen",
    ThreatType.SYSTEM_PROMPT_LEAK,
    12.0,
    "A text that policy's `canaries` plants stands in an answer, or in a request beyond system prompt and tool definitions.",
    "OWASP LLM07:2025; rebuff's canary words",
)
VERBATIM = ContextRule(
    "system_prompt_leak.verbatim",
    ThreatType.SYSTEM_PROMPT_LEAK,
    6.0,
    "An answer repeats 30 or more words in a row of this exchange's system prompt.",
    "OWASP LLM07:2025; measured 2026-11, see contextual.py",
)
MOST = ContextRule(
    "system_prompt_leak.most",
    ThreatType.SYSTEM_PROMPT_LEAK,
    9.0,
    "An answer repeats half or more of this exchange's system prompt (of at least 20 words).",
    "OWASP LLM07:2025; measured 2026-11, see contextual.py",
)
IMAGE = ContextRule(
    "exfiltration.image_carries",
    ThreatType.EXFILTRATION,
    7.0,
    "An image in an answer has words of the conversation in its address; it is fetched without a click.",
    "OWASP LLM02/LLM05:2025; Rehberger 2023",
)
LINK = ContextRule(
    "exfiltration.link_carries",
    ThreatType.EXFILTRATION,
    7.0,
    "A link in an answer has a long run of the conversation's words in its address.",
    "OWASP LLM02/LLM05:2025; Rehberger 2023",
)
HIDDEN = ContextRule(
    "exfiltration.carries_hidden",
    ThreatType.EXFILTRATION,
    12.0,
    "A link or an image in an answer carries words of the conversation in base64 or hexadecimal, or words of the system prompt.",
    "OWASP LLM02/LLM05:2025; Rehberger 2023",
)


def _finding(rule: ContextRule, detector: str, span: Span, view: str) -> Finding:
    return Finding(rule.type, detector, rule.id, span, rule.weight, 1.0, view)


@lru_cache(maxsize=8)
def canaries(texts: tuple[str, ...]) -> "tuple[Canaries, ...]":
    """Return the detector of a policy's canaries, none where there are none."""
    return (Canaries(texts),) if texts else ()


class Canaries:
    """Finds planted texts as they are and in lower case, in the readings that hide them too."""

    name = "canaries"
    RULES = (CANARY,)

    def __init__(self, texts: tuple[str, ...]) -> None:
        read = [view.text for text in texts for view in readings(Segment(text, Surface.USER))]
        self._texts = tuple(dict.fromkeys((*read, *(text.lower() for text in read))))

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return where each canary first stands. Bounds: one search per canary."""
        if view.surface in _PLANTED:
            return ()
        places = ((view.text.find(text), len(text)) for text in self._texts)
        return tuple(_finding(CANARY, self.name, view.span(at, at + size), view.kind) for at, size in places if at >= 0)


def for_reply(message: LlmMessage | None, texts: tuple[str, ...]) -> "tuple[Canaries | SystemPrompt | Carried, ...]":
    """Return the detectors of the answer to a request."""
    if message is None or not message.segments:
        return canaries(texts)
    return (*canaries(texts), SystemPrompt(message), Carried(message))


# 30 words in a row are two sentences: more than a quotation needs. Measured 2026-11 on 5,975 pairs of development texts, two thirds
# of them from one source: 78 share 10 to 29 words in a row, 58 share 30 or half of a text, all of them within one source (forms).
_RUN = 8
_VERBATIM_WORDS = 30
_MOST_SHARE = 0.5
_STEP = 4  # every fourth run is looked up first: a passage of 11 words cannot pass between, and most answers end here
_SYSTEM_WORDS = 20  # a shorter system prompt says what everybody's says
_SYSTEM_CHARS = 128 * 1024
_USER_CHARS = 256 * 1024


class SystemPrompt:
    """Finds this exchange's system prompt in its answer. What the user has said too is no leak."""

    name = "system_prompt"
    RULES = (VERBATIM, MOST)

    def __init__(self, message: LlmMessage) -> None:
        self._message = message

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return the longest passage that stands in the system prompt, when it is long or most of the prompt."""
        if view.surface not in _SAID:
            return ()
        system = _system_shingles(tuple(s.text for s in self._message.segments if s.surface is Surface.SYSTEM))
        if not system or system.isdisjoint(runs(words(view.text), _RUN, _STEP)):
            return ()
        listed, spans = places(view.text)
        hashes = tuple(runs(listed, _RUN))
        start, length = _longest([number in system for number in hashes])
        share = len(system.intersection(hashes)) / len(system)
        if (length + _RUN - 1 < _VERBATIM_WORDS and share < _MOST_SHARE) or self._said_by_user(
            hashes[start : start + length]
        ):
            return ()
        rule = MOST if share >= _MOST_SHARE else VERBATIM
        span = view.span(spans[start][0], spans[start + length + _RUN - 2][1])
        return (_finding(rule, self.name, span, view.kind),)

    def _said_by_user(self, passage: tuple[int, ...]) -> bool:
        said = (s.text for s in self._message.segments if s.surface not in (Surface.SYSTEM, Surface.ASSISTANT))
        known = shingles(said, _RUN, _USER_CHARS)
        return sum(number in known for number in passage) * 2 > len(passage)


@lru_cache(maxsize=32)
def _system_shingles(texts: tuple[str, ...]) -> frozenset[int]:
    """Return a system prompt's runs; the same few prompts come with every call of an application."""
    found = shingles(texts, _RUN, _SYSTEM_CHARS)
    return found if len(found) > _SYSTEM_WORDS - _RUN else frozenset()


def _longest(hits: list[bool]) -> tuple[int, int]:
    """Return start and length of the longest row of hits."""
    best = (0, 0)
    length = 0
    for number, hit in enumerate(hits):
        length = length + 1 if hit else 0
        if length > best[1]:
            best = (number + 1 - length, length)
    return best


# Four words in a row are a phrase of the conversation and not a topic; a link to a search says as much, so links need twelve.
_FEW, _MANY, _OF_SYSTEM = 4, 12, 6
_CARRIED_CHARS = 64 * 1024
_URLS, _SEGMENTS = 64, 256
_URL = re.compile(r"https?://[^\s<>\"'`)\]]{8,4096}", re.IGNORECASE)
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{24,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){12,}")
_SOURCE = re.compile(r"\bsrc\s{0,3}=\s{0,3}[\"']?\Z", re.IGNORECASE)
_ALT_REACH = 320


class Carried:
    """Finds links and images of an answer whose addresses carry this exchange's conversation."""

    name = "carried"
    RULES = (IMAGE, LINK, HIDDEN)

    def __init__(self, message: LlmMessage) -> None:
        self._message = message
        self._known: dict[tuple[int, bool], frozenset[int]] = {}

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return one finding per address that carries something; only the first addresses are looked at."""
        if view.surface not in _SAID or view.kind != AS_SENT or "://" not in view.text:
            return ()
        found: list[Finding] = []
        for match, _ in zip(_URL.finditer(view.text), range(_URLS), strict=False):
            rule = self._judged(match[0], _is_image(view.text, match.start()))
            if rule is not None:
                found.append(_finding(rule, self.name, view.span(*match.span()), view.kind))
        return tuple(found)

    def _judged(self, url: str, image: bool) -> ContextRule | None:
        data = unquote_plus(url.partition("://")[2].partition("/")[2] or url.partition("?")[2])
        plain = words(data)
        if any(self._shares(words(text), _FEW, system=False) for text in _decoded(data)):
            return HIDDEN
        if len(plain) >= _OF_SYSTEM and self._shares(plain, _OF_SYSTEM, system=True):
            return HIDDEN
        if image and self._shares(plain, _FEW, system=False):
            return IMAGE
        return LINK if self._shares(plain, _MANY, system=False) else None

    def _shares(self, listed: list[str], length: int, *, system: bool) -> bool:
        """Tell whether words and the conversation (its system prompt alone, or all of it) have so many in a row in common."""
        if len(listed) < length:
            return False
        if (length, system) not in self._known:
            self._known[length, system] = self._shingles(length, system)
        return not self._known[length, system].isdisjoint(runs(listed, length))

    def _shingles(self, length: int, system: bool) -> frozenset[int]:
        """Return what was said: the last messages first, for they are what an attack wants. Addresses in them are no loss."""
        segments = self._message.segments[-_SEGMENTS:]
        told = (s.text[:_CARRIED_CHARS] for s in reversed(segments) if not system or s.surface is Surface.SYSTEM)
        return shingles((_URL.sub(" ", text) for text in told), length, _CARRIED_CHARS)


def _is_image(text: str, start: int) -> bool:
    """Tell whether an address is an image's: ![...]( before it, or src=."""
    before = text[max(0, start - _ALT_REACH) : start]
    if _SOURCE.search(before[-16:]):
        return True
    marked = before.removesuffix("<")
    opening = marked.rfind("[", 0, -2) if marked.endswith("](") else -1
    return opening > 0 and marked[opening - 1] == "!"


def _decoded(data: str) -> Iterator[str]:
    """Yield what the base64 or the hexadecimal in an address says, where it is text."""
    for match, _ in zip(_HEX.finditer(data), range(8), strict=False):
        yield bytes.fromhex(match[0]).decode("utf-8", "replace")
    for match, _ in zip(_ENCODED.finditer(data), range(8), strict=False):
        run = match[0].replace("-", "+").replace("_", "/")
        try:
            yield base64.b64decode(run[: len(run) // 4 * 4]).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue


CONTEXTUAL = (
    Canaries(()),
    SystemPrompt(LlmMessage("none", ())),
    Carried(LlmMessage("none", ())),
)  # for their names and RULES
