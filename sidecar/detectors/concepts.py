"""Concepts: what a sentence speaks of, in any language: dropping, rules, showing, a system, secrets, personas ...

In: folded text and the lexicon (packs/concepts.yaml). Out: Sentences: which concepts, in which order, how near.
Why concepts and not words: on sources left out, hashed n-grams of characters and words found 23 % of plain attacks at 1 % false
alarms and 4 % outside English; forty concepts found 31 % and as many or more in languages that no training text was in
(tests/train/README.md).
Never: weights (learned.py has them), more than one look at a word: words are kept in a bounded table.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

import msgspec
import yaml

from sidecar.normalise import fold

# Sentences: shorter ones join the next, longer ones are cut; code points. A sentence of the dev attacks has 79 (median).
SENTENCE_MIN, SENTENCE_MAX = 32, 300
# How near two concepts stand to be a pair in order: words, and how many hits further.
NEAR_WORDS, NEAR_HITS = 5, 4
WORDS_HELD = 60_000
WORD_MAX = 40
_KEYS = 4096  # combinations of concepts that words have: some 700 for our lexicon
# A character of a script without blanks stands for this many words. Source: Chinese words have 1.5 to 1.7 characters.
_WORDS_PER_CHARACTER = 0.6
_WORD = re.compile(r"[^\W_]+")
_ANYWHERE = re.compile("[֐-ۿऀ-෿฀-๿぀-ヿ㐀-鿿가-힯]")
_STOP = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；।؟])|\n+")
_NAME = re.compile(r"[a-z_]+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one sentence speaks of.

    Shape: concepts is a bit set by concept number; near holds a key per two words with concepts that stand near each other, in
    order (see Lexicon.pair), as often as they do.
    Units: start and end in code points of the text; hits counts words with a concept.
    """

    start: int
    end: int
    concepts: int
    near: tuple[int, ...]
    hits: int


def _stems(text: str) -> dict[str, str]:
    try:
        return msgspec.convert(yaml.safe_load(text), dict[str, str])
    except msgspec.ValidationError as error:
        raise ValueError(f"concepts: {error}; write each concept as `name: stem stem* ...`") from error


class Lexicon:
    """The stems of all concepts. Safe to call from several threads: a lost update of the word table costs one look-up."""

    def __init__(self, text: str, *further: str) -> None:
        """Read the lexicon; further texts add stems to its concepts, one text a language.

        Raises: ValueError for a text that is not a mapping of lower-case names to stems, or adds to a concept that is not there.
        """
        stems = _stems(text)
        self.names = tuple(stems)
        self.size = len(stems)
        self._whole: dict[str, int] = {}
        self._prefix: dict[str, int] = {}
        self._phrases: dict[str, dict[str, int]] = {}
        anywhere: dict[str, int] = {}
        for name in self.names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"concepts: {name!r}: use lower-case letters and _")
        for mapping in (stems, *map(_stems, further)):
            for name, words in mapping.items():
                if name not in stems:
                    raise ValueError(f"concepts: {name!r} is no concept; use one of {', '.join(stems)}")
                for word in words.split():
                    self._add(word, 1 << self.names.index(name), anywhere)
        self._anywhere = anywhere
        self._search = re.compile("|".join(sorted(map(re.escape, anywhere), key=len, reverse=True)))
        self._prefix_max = max(map(len, self._prefix), default=0)
        self._prefix_min = min(map(len, self._prefix), default=1)
        self._kept: dict[str, int] = {}
        self._combinations = [0]
        self._numbers = {0: 0}
        self._lock = Lock()

    def _add(self, word: str, bit: int, anywhere: dict[str, int]) -> None:
        stem = fold(word.removesuffix("*"))
        if _ANYWHERE.search(stem):
            stem = stem.replace("-", " ")
            anywhere[stem] = anywhere.get(stem, 0) | bit
        elif "-" in stem:
            first, second = stem.split("-")[:2]
            following = self._phrases.setdefault(first, {})
            following[second] = following.get(second, 0) | bit
        else:
            table = self._prefix if word.endswith("*") else self._whole
            table[stem] = table.get(stem, 0) | bit

    def sentences(self, text: str) -> Iterator[Sentence]:
        """Yield the sentences of a folded text.

        Bounds: linear; about 0.1 ms per KB.
        """
        for start, end in cut(text):
            yield self._read(text[start:end], start, end)

    def pair(self, key: int) -> tuple[int, int]:
        """Return the concepts of the two words that a key stands for, as bit sets."""
        return self._combinations[key // _KEYS], self._combinations[key % _KEYS]

    def _read(self, text: str, start: int, end: int) -> Sentence:
        hits = self._hits(text)
        combinations = self._combinations
        concepts = 0
        near: list[int] = []
        for number, (place, first) in enumerate(hits):
            concepts |= combinations[first]
            for other, second in hits[number + 1 : number + 1 + NEAR_HITS]:
                if other - place > NEAR_WORDS:
                    break
                near.append(first * _KEYS + second)
        return Sentence(start, end, concepts, tuple(near), len(hits))

    def _hits(self, text: str) -> list[tuple[float, int]]:
        """Return the words that speak of a concept: (place in words, number of their combination of concepts)."""
        found: list[tuple[float, int]] = []
        kept, phrases = self._kept, self._phrases
        following: dict[str, int] | None = None
        for place, word in enumerate(_WORD.findall(text)):
            number = kept.get(word)
            if number is None:
                number = self._keep(word)
            if following is not None and word in following:
                number = self._combination(self._combinations[number] | following[word])
            following = phrases.get(word)
            if number:
                found.append((place, number))
        if not text.isascii() and _ANYWHERE.search(text):
            for match in self._search.finditer(text):
                number = self._combination(self._anywhere[match[0]])
                found.append((match.start() * _WORDS_PER_CHARACTER, number))
            found.sort()
        return found

    def _keep(self, word: str) -> int:
        number = self._combination(self.look_up(word))
        if len(self._kept) < WORDS_HELD and len(word) <= WORD_MAX:
            self._kept[word] = number
        return number

    def _combination(self, bits: int) -> int:
        """Return the number of a set of concepts; sets that come when all numbers are taken count as none."""
        number = self._numbers.get(bits)
        if number is None:
            with self._lock:
                number = self._numbers.get(bits)
                if number is None and len(self._combinations) < _KEYS:
                    number = len(self._combinations)
                    self._combinations.append(bits)
                    self._numbers[bits] = number
        return number or 0

    def look_up(self, word: str) -> int:
        """Return the concepts of a folded word as a bit set."""
        bits = self._whole.get(word, 0)
        for length in range(self._prefix_min, min(len(word), self._prefix_max) + 1):
            bits |= self._prefix.get(word[:length], 0)
        return bits


def numbers(bits: int) -> tuple[int, ...]:
    """Return the numbers of the bits that are set, ascending."""
    found = []
    while bits:
        lowest = bits & -bits
        found.append(lowest.bit_length() - 1)
        bits ^= lowest
    return tuple(found)


def cut(text: str) -> tuple[tuple[int, int], ...]:
    """Return where sentences begin and end: none shorter than SENTENCE_MIN beside another, none longer than SENTENCE_MAX.

    Shape: [start, end) in code points, ascending; blanks between sentences belong to none.
    """
    found: list[tuple[int, int]] = []
    position = 0
    for end, following in (*((m.start(), m.end()) for m in _STOP.finditer(text)), (len(text), len(text))):
        for start in range(position, end, SENTENCE_MAX):
            part_end = min(end, start + SENTENCE_MAX)
            if found and (found[-1][1] - found[-1][0] < SENTENCE_MIN) and start - found[-1][1] < SENTENCE_MIN:
                found[-1] = (found[-1][0], part_end)
            else:
                found.append((start, part_end))
        position = following
    return tuple(found)
