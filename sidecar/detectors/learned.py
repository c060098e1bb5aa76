"""The learned tier: how much sentences sound like an attack, learned from texts that were told apart by people.

In: a View. Out: at most one Finding, on the window that sounds most like an attack.
A window is one to three sentences; it is a set of features (concepts, pairs of concepts, ordered near pairs, length), its margin is
the sum of their weights. The weights and the margins' meaning (how many ordinary texts reach them) are fitted by `make train`
and shipped in packs/learned.json; tests/train/README.md says how, and what else was compared.
Never: training, a weight that was guessed, text beyond the view.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sidecar.detectors.concepts import Lexicon, Sentence, numbers
from sidecar.detectors.patterns import source_span
from sidecar.types import Finding, Surface, ThreatType, View

WINDOW_SENTENCES = 3
WINDOW_MAX = 640  # code points: what one order with its frame takes
SURFACES = frozenset(
    {Surface.USER, Surface.TOOL_RESULT, Surface.DOCUMENT, Surface.TOOL_CALL}
)  # system prompts and tool definitions hold orders by nature, answers are ours
DATA_SURFACES = frozenset({Surface.TOOL_RESULT, Surface.DOCUMENT})
# A user's text of more sentences is pasted rather than said: it is measured against documents.
SAID_MAX = 4
PAIRS_HELD = 200_000
# Beyond this many sentences a text pays no more: else an attack could hide in a document by its length alone.
SENTENCES_PAID = 32
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
_LENGTHS, _COUNTS, _DENSITIES = 8, 16, 8


class Model(msgspec.Struct, frozen=True):
    """What `make train` writes.

    Shape: weights by feature number (see `features`); knots of user text and of data: (margin, weight of the finding), ascending.
    """

    concepts: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float
    window_penalty: float
    knots: dict[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True, slots=True)
class Window:
    """One to three sentences, taken together."""

    start: int
    end: int
    concepts: int
    near: tuple[int, ...]
    hits: int


def windows(sentences: Sequence[Sentence]) -> Iterator[Window]:
    """Yield the runs of one to WINDOW_SENTENCES sentences, none longer than WINDOW_MAX (a single one apart)."""
    for first, sentence in enumerate(sentences):
        concepts, near, hits = sentence.concepts, sentence.near, sentence.hits
        yield Window(sentence.start, sentence.end, concepts, near, hits)
        for further in sentences[first + 1 : first + WINDOW_SENTENCES]:
            if further.end - sentence.start > WINDOW_MAX:
                break
            concepts, near, hits = concepts | further.concepts, near + further.near, hits + further.hits
            yield Window(sentence.start, further.end, concepts, near, hits)


def features(window: Window, lexicon: Lexicon) -> list[int]:
    """Return the features of a window; one that is there twice counts twice.

    Shape: numbers below feature_count(lexicon.size): concepts, pairs of them anywhere in the window, ordered near pairs, and one
    bucket each of length, number of concepts and density.
    """
    size = lexicon.size
    present = numbers(window.concepts)
    found = list(present)
    for place, first in enumerate(present):
        found += [size + first * size + second for second in present[place + 1 :]]
    for key in window.near:
        first_words, second_words = map(numbers, lexicon.pair(key))
        found += [size + size * size + a * size + b for a in first_words for b in second_words]
    return found + [int(number) for number in _buckets(window.end - window.start, len(present), window.hits, size)]


def _buckets(length: ArrayLike, concepts: ArrayLike, hits: ArrayLike, size: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return the three bucket features of windows, of one or of many."""
    base = size + 2 * size * size
    words = 1 + np.asarray(length) // 6
    lengths = np.minimum(_LENGTHS - 1, np.log2(np.maximum(length, 8) / 8).astype(np.int64))
    density = np.minimum(_DENSITIES - 1, _DENSITIES * np.asarray(hits) // words)
    return (
        base + lengths,
        base + _LENGTHS + np.minimum(_COUNTS - 1, concepts),
        base + _LENGTHS + _COUNTS + density,
    )


def feature_count(size: int) -> int:
    """Return how many features there are for a number of concepts."""
    return size + 2 * size * size + _LENGTHS + _COUNTS + _DENSITIES


@dataclass(frozen=True, slots=True)
class Place:
    """The window that decided. Units: code points; concepts is a bit set; sentences counts those of the whole text."""

    start: int
    end: int
    concepts: int
    sentences: int


class _Near(dict[int, float]):
    """The weight of two words near each other, by the lexicon's key; kept once worked out."""

    def __init__(self, lexicon: Lexicon, weights: FloatArray) -> None:
        super().__init__()
        self._lexicon, self._weights = lexicon, weights

    def __missing__(self, key: int) -> float:
        first, second = map(numbers, self._lexicon.pair(key))
        size = self._lexicon.size
        found = float(sum(self._weights[a * size + b] for a in first for b in second))
        if len(self) < PAIRS_HELD:
            self[key] = found
        return found


class LearnedDetector:
    """The model as a detector. Safe to call from several threads."""

    def __init__(self, name: str, lexicon: Lexicon, model: Model) -> None:
        """Take lexicon and model.

        Raises: ValueError when the two do not belong together.
        """
        if lexicon.names != model.concepts or len(model.weights) != feature_count(lexicon.size):
            raise ValueError("learned: the model was trained on another lexicon; run `make train`")
        self.name = name
        self.RULES = tuple(Described(f"learned.{kind}", kind) for kind in _KINDS)
        self.lexicon, self.model = lexicon, model
        size = lexicon.size
        self._weights = np.array(model.weights)
        self._bits = np.arange(size)
        self._single = self._weights[:size]
        self._together = self._weights[size : size + size * size].reshape(size, size)
        self._near = _Near(lexicon, self._weights[size + size * size : size + 2 * size * size])

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return what sounds like an attack in a view. A view whose folded reading follows is left to that reading.

        Bounds: linear.
        """
        if view.surface not in SURFACES or view.folded_follows or not view.text:
            return ()
        margin, window = self.margin(view.text)
        weight = _between(self.model.knots[kind_of(view.surface, window.sentences)], margin)
        if weight <= 0:
            return ()
        kind = _kind(window.concepts, view.surface, self.lexicon)
        span = source_span(view, window.start, min(window.end, len(view.text)))
        return (Finding(kind, self.name, f"learned.{kind}", span, round(weight, 1), 1.0, view.kind),)

    def margin(self, text: str) -> tuple[float, Place]:
        """Return how far a text lies on the side of attacks, and the window that decides. Higher is worse; 0 is undecided."""
        read = tuple(self.lexicon.sentences(text.lower()))
        if not read:
            return -math.inf, Place(0, 0, 0, 0)
        starts, ends, concepts, near, hits = self._runs(read)
        margins = self._margins(ends - starts, concepts, near, hits)
        best = int(margins.argmax())
        margin = float(margins[best]) - self.model.window_penalty * math.log2(min(len(read), SENTENCES_PAID))
        return margin, Place(int(starts[best]), int(ends[best]), int(concepts[best]), len(read))

    def _runs(self, read: Sequence[Sentence]) -> tuple[IntArray, IntArray, IntArray, FloatArray, IntArray]:
        """Return start, end, concepts, weight of the near pairs and hits of all windows (those of `windows`)."""
        starts = np.array([sentence.start for sentence in read])
        ends = np.array([sentence.end for sentence in read])
        concepts = np.array([sentence.concepts for sentence in read], np.int64)
        hits = np.array([sentence.hits for sentence in read])
        weigh = self._near.__getitem__
        near = np.array([sum(map(weigh, sentence.near)) for sentence in read])
        columns = [(starts, ends, concepts, near, hits)]
        for further in range(1, min(WINDOW_SENTENCES, len(read))):
            last = columns[-1]
            long = (
                starts[:-further],
                ends[further:],
                last[2][: len(read) - further] | concepts[further:],
                last[3][: len(read) - further] + near[further:],
                last[4][: len(read) - further] + hits[further:],
            )
            columns.append(long)
        wide = tuple(np.concatenate([column[number] for column in columns]) for number in range(5))
        short = wide[1] - wide[0] <= WINDOW_MAX
        short[: len(read)] = True
        return tuple(column[short] for column in wide)

    def _margins(self, length: IntArray, concepts: IntArray, near: FloatArray, hits: IntArray) -> FloatArray:
        present = (concepts[:, None] >> self._bits & 1).astype(np.float64)
        total = self.model.bias + near + present @ self._single + ((present @ self._together) * present).sum(1)
        for bucket in _buckets(length, present.sum(1).astype(np.int64), hits, self.lexicon.size):
            total = total + self._weights[bucket]
        return np.asarray(total)


@dataclass(frozen=True, slots=True)
class Described:
    """A finding that the model can make, as tables of rules show it."""

    id: str
    type: ThreatType
    source: str = "fitted by `make train`; tests/train/README.md"
    weight: float = 15.0


_KINDS = (
    ThreatType.PROMPT_INJECTION,
    ThreatType.INDIRECT_INJECTION,
    ThreatType.JAILBREAK,
    ThreatType.DATA_EXTRACTION,
    ThreatType.EXFILTRATION,
)


def _kind(concepts: int, surface: Surface, lexicon: Lexicon) -> ThreatType:
    """Return the threat that a set of concepts speaks of; the first that fits, in the order of consequences."""

    def speaks(*names: str) -> int:
        return sum(bool(concepts >> lexicon.names.index(name) & 1) for name in names)

    if speaks("send") and speaks("place", "data", "secretdata") >= 2:
        return ThreatType.EXFILTRATION
    if surface in DATA_SURFACES:
        return ThreatType.INDIRECT_INJECTION
    if speaks("reveal", "asking") and speaks("systemic", "prompting", "hidden", "order") >= 2 and not speaks("drop"):
        return ThreatType.DATA_EXTRACTION
    if speaks("persona", "free", "mode", "fiction", "refusal") >= 2:
        return ThreatType.JAILBREAK
    return ThreatType.PROMPT_INJECTION


def kind_of(surface: Surface, sentences: int) -> str:
    """Return which ordinary texts a text is measured against: what users say, or documents and data."""
    return "data" if surface in DATA_SURFACES or sentences > SAID_MAX else "user"


def _between(knots: Sequence[tuple[float, float]], margin: float) -> float:
    """Return the weight of a margin: straight lines between the knots, 0 below the first, the last one's above it."""
    if margin < knots[0][0]:
        return 0.0
    for (low, weight), (high, further) in pairwise(knots):
        if margin < high:
            return weight + (further - weight) * (margin - low) / (high - low)
    return knots[-1][1]
