"""Concepts: what words speak of, in any language: dropping, rules, showing, a system, secrets, personas ...

In: the lexicon (packs/concepts.yaml, then a file a language) and folded words. Out: the concepts of a word as a bit set.
Why concepts beside words: on sources left out, words alone found 23 % of plain attacks at 1 % false alarms and 4 % outside English;
forty concepts found 31 % and as many or more in languages that no training text was in (tests/train/README.md).
Never: weights (learned.py has them), text that is not folded.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from threading import Lock

import msgspec
import yaml

from sidecar.normalise import fold

# Scripts without blanks between words: Han, kana, Thai, Lao, Khmer, Burmese. Their stems match anywhere in a run of them.
ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
# Scripts whose words carry particles in front or behind: Hebrew, Arabic, Indic, Hangul. Their stems match anywhere in a word.
CARRYING = "\u0590-\u06ff\u0900-\u0dff\uac00-\ud7af"
COMBINATIONS_MAX = 4096  # sets of concepts that words have: some 900 for our lexicon
# Words that orders need, as people scramble them: first and last letter stay (Rawlinson 1976). None is another word's scramble.
SCRAMBLED = (
    "ignore",
    "ignoring",
    "disregard",
    "forget",
    "override",
    "bypass",
    "reveal",
    "display",
    "repeat",
    "output",
    "system",
    "prompt",
    "instruction",
    "instructions",
    "previous",
    "prior",
    "directive",
    "directives",
    "guideline",
    "guidelines",
    "restriction",
    "restrictions",
    "developer",
    "password",
    "secret",
    "hidden",
    "pretend",
    "unrestricted",
    "unfiltered",
    "jailbreak",
    "following",
    "everything",
    "without",
    "limits",
    "filters",
    "rules",
    "safety",
    "ignorer",
    "oublie",
    "oubliez",
    "precedentes",
    "consignes",
    "revele",
    "affiche",
    "systeme",
    "regles",
)
SCRAMBLED_MIN = 5
_ALONE = re.compile(f"[{ALONE}]")
_CARRYING = re.compile(f"[{CARRYING}]")
_NAME = re.compile(r"[a-z_]+")
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _stems(text: str) -> dict[str, str]:
    try:
        return msgspec.convert(yaml.load(text, Loader=_YAML), dict[str, str])  # noqa: S506 - both are safe loaders
    except msgspec.ValidationError as error:
        raise ValueError(f"concepts: {error}; write each concept as `name: stem stem* ...`") from error


class Lexicon:
    """The stems of all concepts. Safe to call from several threads."""

    def __init__(self, text: str, *further: str) -> None:
        """Read the lexicon; further texts add stems to its concepts, one text a language.

        Raises: ValueError for a text that is not a mapping of lower-case names to stems, adds to a concept that is not there, or
        has a phrase of more than two words.
        """
        stems = _stems(text)
        self.names = tuple(stems)
        self.size = len(stems)
        self._whole: dict[str, int] = {}
        self._prefix: dict[str, int] = {}
        self._inside: dict[str, int] = {}
        self._alone: dict[str, int] = {}
        self._phrases: dict[str, dict[str, int]] = {}
        for mapping in (stems, *map(_stems, further)):
            self._add_all(mapping)
        self._prefix_lengths = _lengths(self._prefix)
        self._inside_lengths = _lengths(self._inside)
        starts: dict[str, set[int]] = defaultdict(set)
        for stem in self._alone:
            starts[stem[0]].add(len(stem))
        self._alone_starts = {first: tuple(sorted(lengths)) for first, lengths in starts.items()}
        self._scrambled = {_scrambled(word): word for word in SCRAMBLED}
        self.combinations = [0]
        self._numbers = {0: 0}
        self._lock = Lock()

    def _add_all(self, mapping: Mapping[str, str]) -> None:
        for name, words in mapping.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"concepts: {name!r}: use lower-case letters and _")
            if name not in self.names:
                raise ValueError(f"concepts: {name!r} is no concept; use one of {', '.join(self.names)}")
            for word in words.split():
                self._add(word, 1 << self.names.index(name))

    def _add(self, word: str, bit: int) -> None:
        stem = fold(word.removesuffix("*"))
        if _ALONE.search(stem):
            _or(self._alone, stem.replace("-", ""), bit)
        elif "-" in stem.strip("-"):
            first, second, *further = stem.strip("-").split("-")
            if further:
                raise ValueError(f"concepts: {word!r}: write a phrase of two words")
            _or(self._phrases.setdefault(first, {}), second, bit)
        elif _CARRYING.search(stem):  # a dash in front or behind is the word's edge
            _or(self._inside, f"{' ' * stem.startswith('-')}{stem.strip('-')}{' ' * stem.endswith('-')}", bit)
        else:
            _or(self._prefix if word.endswith("*") else self._whole, stem, bit)

    def unscramble(self, word: str) -> str:
        """Return the word of SCRAMBLED whose inner letters a word has in another order, else the word itself."""
        if len(word) < SCRAMBLED_MIN or not word.isascii():
            return word
        return self._scrambled.get(_scrambled(word), word)

    def look_up(self, word: str) -> int:
        """Return the concepts of a folded word as a bit set.

        Bounds: a look-up per length of prefixes; for scripts of CARRYING one per piece of at most the longest stem's length.
        """
        bits = self._whole.get(word, 0)
        if _CARRYING.search(word):
            framed = f" {word} "
            for length in self._inside_lengths:
                for start in range(len(framed) - length + 1):
                    bits |= self._inside.get(framed[start : start + length], 0)
            return bits
        for length in self._prefix_lengths:
            if length > len(word):
                break
            bits |= self._prefix.get(word[:length], 0)
        return bits

    def seconds(self, word: str) -> Mapping[str, int]:
        """Return the words that make a phrase behind this one, with the phrase's concepts."""
        return self._phrases.get(word, {})

    def look_into(self, run: str) -> Iterator[tuple[int, int]]:
        """Yield (place, concepts) where a stem begins in a run of a script without blanks."""
        for place, char in enumerate(run):
            lengths = self._alone_starts.get(char)
            if lengths:
                bits = 0
                for length in lengths:
                    bits |= self._alone.get(run[place : place + length], 0)
                if bits:
                    yield place, bits

    def combination(self, bits: int) -> int:
        """Return the number of a set of concepts; sets that come when all numbers are taken count as none."""
        number = self._numbers.get(bits)
        if number is None:
            with self._lock:
                number = self._numbers.get(bits)
                if number is None and len(self.combinations) < COMBINATIONS_MAX:
                    number = len(self.combinations)
                    self.combinations.append(bits)
                    self._numbers[bits] = number
        return number or 0


def _scrambled(word: str) -> tuple[str, str, str]:
    return word[0], word[-1], "".join(sorted(word[1:-1]))


def _or(table: dict[str, int], key: str, bit: int) -> None:
    table[key] = table.get(key, 0) | bit


def _lengths(table: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sorted({len(stem) for stem in table}))


def numbers(bits: int) -> tuple[int, ...]:
    """Return the numbers of the bits that are set, ascending."""
    found = []
    while bits:
        lowest = bits & -bits
        found.append(lowest.bit_length() - 1)
        bits ^= lowest
    return tuple(found)
