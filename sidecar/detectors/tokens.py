"""A text as numbers: its sentences, its words as rows of a vocabulary, what they speak of.

In: folded text. Out: Tokens: arrays that the learned tier sums up.
A word is looked at once: its row (concepts, hash, and the vector that a model gives it) is kept. Runs of scripts without blanks
count as the pairs of their characters.
Never: growth without bounds (a full vocabulary is begun anew; of one text only so many new words are taken in), more than linear
work.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sidecar.detectors.concepts import ALONE, Lexicon

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
# Sentences: shorter ones join the next, longer ones are cut; code points. A sentence of the dev attacks has 79 (median).
SENTENCE_MIN, SENTENCE_MAX = 32, 300
# A pair of characters of a script without blanks stands for this many words. Source: Chinese words have 1.5 to 1.7 characters.
ALONE_WORDS = 0.6
WORDS_HELD = 40_000
# A page of prose has 250 different words, a novel 10,000. A text with more new ones is no language: its other words are unknown.
NEW_WORDS_MAX = 6_000
# A sentence of so many words, each said so often on average, is repetition.
REPEATED_MIN, REPEATED_TIMES = 6, 3
WORD_MAX = 40  # longer words are unknown: no language writes them
UNKNOWN = 0
_INDIC = "\u0900-\u0dff"  # their marks are no letters to `re`
_LATIN_WORD = re.compile(r"[^\W_]+")
_WORD = re.compile(rf"[{ALONE}]+|[{_INDIC}]+|[^\W_{ALONE}{_INDIC}]+")
_ALONE = re.compile(f"[{ALONE}]")
_BLANKLESS = re.compile(f"[{ALONE}{_INDIC}]")
# Each begins with one set of characters: `re` then skips what is none of them.
_STOP = re.compile(r"[.!?;\n](?:(?<=\n)|\s)\s*")
_ANY_STOP = re.compile(rf"[.!?;\n。！？；।؟](?:(?<=[\n。！？；।؟])|\s|(?<=[!?;])(?=[{ALONE}]))\s*")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words of a text.

    Shape: starts, ends (sentences,) in code points; first (sentences + 1,) the number of each sentence's first word, at last the
    number of words; ids, combinations, places (words,). Every sentence has a word.
    Units: ids are rows of the Table; combinations are numbers of Lexicon.combination; places count words from the text's begin.
    """

    starts: IntArray
    ends: IntArray
    first: IntArray
    ids: IntArray
    combinations: IntArray
    places: NDArray[np.float64]


class Table:
    """Words met, by row. Row UNKNOWN stands for all words that are not kept."""

    def __init__(self, lexicon: Lexicon, vector: Callable[[str], FloatArray], width: int) -> None:
        """vector gives a word's vector, shape (width,)."""
        self.rows: dict[str, int] = {"": UNKNOWN}
        self.words = [""]
        self.hashes = np.zeros(1024, np.uint64)
        self.combinations = np.zeros(1024, np.int64)
        self.vectors = np.zeros((1024, width), np.float32)
        self.opens = np.zeros(1024, np.bool_)  # whether a word is the first of a phrase
        self._lexicon, self._vector = lexicon, vector
        self._lock = Lock()

    def _grow(self) -> None:
        def twice(array: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([array, np.zeros_like(array)])

        self.hashes, self.combinations = twice(self.hashes), twice(self.combinations)
        self.vectors, self.opens = twice(self.vectors), twice(self.opens)

    def add(self, word: str) -> int:
        """Return the row of a word, made if need be."""
        with self._lock:
            row = self.rows.get(word)
            if row is not None:
                return row
            row = len(self.words)
            if row == len(self.hashes):
                self._grow()
            plain = self._lexicon.unscramble(word)
            self.hashes[row] = crc32(plain.encode("utf-8", "surrogatepass"))
            self.combinations[row] = self._lexicon.combination(self._lexicon.look_up(plain))
            self.vectors[row] = self._vector(plain)
            self.opens[row] = bool(self._lexicon.seconds(word))
            self.words.append(word)
            self.rows[word] = row  # last: another thread reads without the lock
            return row


class Vocabulary:
    """Reads texts into Tokens. Safe to call from several threads."""

    def __init__(self, lexicon: Lexicon, vector: Callable[[str], FloatArray], width: int) -> None:
        """See Table."""
        self._lexicon, self._vector, self._width = lexicon, vector, width
        self._table = self._new()
        self.held, self.new_max, self.collapse = WORDS_HELD, NEW_WORDS_MAX, True

    def _new(self) -> Table:
        return Table(self._lexicon, self._vector, self._width)

    def read(self, text: str) -> tuple[Tokens, Table]:
        """Return a folded text as tokens, and the table whose rows they name.

        Bounds: linear; 20 µs per KB of words met before, 15 µs per new word, of which at most NEW_WORDS_MAX.
        """
        if len(self._table.words) > self.held:
            self._table = self._new()
        table = self._table
        reader = _Reader(self._lexicon, table, self.new_max, self.collapse)
        plain = text.isascii() or _BLANKLESS.search(text) is None
        for start, end in cut(text):
            if plain:
                reader.add(start, end, _LATIN_WORD.findall(text, start, end))
            else:
                reader.add_runs(start, end, _WORD.findall(text, start, end))
        return reader.done(), table


class _Reader:
    """Tokens while they are collected."""

    def __init__(self, lexicon: Lexicon, table: Table, new_max: int, collapse: bool) -> None:
        self.lexicon, self.table, self.new_left, self.collapse = lexicon, table, new_max, collapse
        self.spans: list[tuple[int, int]] = []
        self.first = [0]
        self.ids: list[int] = []
        self.alone: dict[int, int] = {}  # number of a token of a script without blanks -> its combination

    def add(self, start: int, end: int, words: Sequence[str]) -> None:
        if self.collapse:
            words = _collapsed(words)
        self._take(start, end, words)

    def _take(self, start: int, end: int, words: Sequence[str]) -> None:
        if words:
            get = self.table.rows.get
            ids = [get(word, -1) for word in words]
            if -1 in ids:
                ids = [self._row(word) if row < 0 else row for word, row in zip(words, ids, strict=True)]
            self.ids += ids
            self.spans.append((start, end))
            self.first.append(len(self.ids))

    def add_runs(self, start: int, end: int, runs: Sequence[str]) -> None:
        """Take in runs of any script: those without blanks as pairs of characters."""
        words: list[str] = []
        for run in _collapsed(runs) if self.collapse else runs:
            if _ALONE.match(run):
                words += self._pairs(run, len(self.ids) + len(words))
            else:
                words.append(run)
        self._take(start, end, words)

    def _pairs(self, run: str, begin: int) -> Sequence[str]:
        """Return the pairs of a run without blanks, and note what they speak of; begin is the number of the first."""
        pairs: Sequence[str] = [run[place : place + 2] for place in range(max(1, len(run) - 1))]
        said = _collapsed(pairs) if self.collapse else pairs
        numbers = range(len(pairs)) if said is pairs else [said.index(pair) for pair in pairs]
        self.alone.update((begin + number, 0) for number in range(len(said)))
        for place, bits in self.lexicon.look_into(run):
            at = begin + numbers[min(place, len(pairs) - 1)]
            self.alone[at] = self.lexicon.combination(self.lexicon.combinations[self.alone[at]] | bits)
        return said

    def _row(self, word: str) -> int:
        if len(word) > WORD_MAX or self.new_left <= 0:
            return UNKNOWN
        self.new_left -= 1
        return self.table.add(word)

    def done(self) -> Tokens:
        ids = np.array(self.ids, np.int64)
        combinations = self.table.combinations[ids]
        places = np.arange(len(ids), dtype=np.float64)
        if self.alone:
            at = np.fromiter(self.alone, np.int64, len(self.alone))
            combinations[at] = np.fromiter(self.alone.values(), np.int64, len(self.alone))
            steps = np.ones(len(ids))
            steps[at] = ALONE_WORDS
            places = np.cumsum(steps) - steps
        self._phrases(ids, combinations)
        spans = np.array(self.spans, np.int64).reshape(-1, 2)
        return Tokens(spans[:, 0], spans[:, 1], np.array(self.first), ids, combinations, places)

    def _phrases(self, ids: IntArray, combinations: IntArray) -> None:
        """Add the concepts of phrases of two words to their second word."""
        words = self.table.words
        for number in np.flatnonzero(self.table.opens[ids[:-1]]).tolist():
            more = self.lexicon.seconds(words[int(ids[number])]).get(words[int(ids[number + 1])], 0)
            if more:
                known = self.lexicon.combinations[int(combinations[number + 1])]
                combinations[number + 1] = self.lexicon.combination(known | more)


def _collapsed(words: Sequence[str]) -> Sequence[str]:
    """Return words that are said over and over once each: sums of weights would take repetition for zeal."""
    if len(words) < REPEATED_MIN or len(set(words)) * REPEATED_TIMES > len(words):
        return words
    return tuple(dict.fromkeys(words))


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield pieces of at most SENTENCE_MAX, parted at a blank where there is one."""
    while end - start > SENTENCE_MAX:
        blank = text.rfind(" ", start + SENTENCE_MAX // 2, start + SENTENCE_MAX)
        part_end = blank + 1 if blank >= 0 else start + SENTENCE_MAX
        yield start, part_end
        start = part_end
    if end > start:
        yield start, end


def cut(text: str) -> tuple[tuple[int, int], ...]:
    """Return where sentences begin and end: none shorter than SENTENCE_MIN beside another, none longer than SENTENCE_MAX.

    Shape: [start, end) in code points, ascending; blanks between sentences belong to none.
    """
    found: list[tuple[int, int]] = []
    position = 0
    stops = (_STOP if text.isascii() else _ANY_STOP).finditer(text)
    for end, following in (*((m.start() + 1, m.end()) for m in stops), (len(text), len(text))):
        for start, part_end in _parts(text, position, end):
            if found and (found[-1][1] - found[-1][0] < SENTENCE_MIN) and start - found[-1][1] < SENTENCE_MIN:
                found[-1] = (found[-1][0], part_end)
            else:
                found.append((start, part_end))
        position = following
    return tuple(found)
