"""The learned tier: how much sentences sound like an attack, learned from texts that were told apart by people.

In: a View. Out: at most one Finding, on the window that sounds most like an attack.
A window is one to three sentences. Its margin is the sum of what two models say of it: a linear one over concepts (single,
together, near each other), words, pairs of words and pieces of words; and a small net with one hidden layer over concepts and
words. The weights, and what a margin means (how many ordinary texts of the same length reach it), are fitted by `make train`
and shipped in packs/learned.npz; tests/train/README.md says how, and what else was compared.
Never: training, a weight that was guessed, text beyond the view.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sidecar.detectors.concepts import Lexicon
from sidecar.detectors.patterns import source_span
from sidecar.detectors.tokens import FloatArray, IntArray, Table, Tokens, Vocabulary
from sidecar.types import Finding, Surface, ThreatType, View

WINDOW_SENTENCES = 3
WINDOW_MAX = 640  # code points: what one order with its frame takes
SURFACES = frozenset(
    {Surface.USER, Surface.TOOL_RESULT, Surface.DOCUMENT, Surface.TOOL_CALL}
)  # system prompts and tool definitions hold orders by nature, answers are ours
DATA_SURFACES = frozenset({Surface.TOOL_RESULT, Surface.DOCUMENT})
# Texts are measured against ordinary ones of their length: up to so many sentences are said, more are pasted.
# What people say, by most sentences, and documents and data; what is pasted is a document whoever sends it.
SAID = {"one": 1, "two": 2, "few": 5, "page": 24}
DATA = {"data": 5, "data_page": 24, "data_long": 1 << 40}
KINDS = (*SAID, *DATA)
# How near two concepts stand to be a pair in order: words, and how many hits further.
NEAR_WORDS, NEAR_HITS = 5, 4
# Words, pairs and pieces share rows of one table by their hash: 2^17 rows of bytes are 2 MB.
ROWS = 1 << 17
PIECES = (4, 5)  # characters, a word's edges included (fastText, Bojanowski et al. 2017)
PIECES_WEIGHT = (
    0.5  # of all pieces of a word together, beside 1 of the word itself; chosen like the next by leave-source-out
)
# A window of n words weighs its words (n / 12)^-0.25 each: twelve words are a sentence.
SENTENCE_WORDS, FADE = 12.0, 0.25
_SALT_FIRST, _SALT_SECOND, _BEGIN = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B1)
_SHIFT = np.uint64(64 - ROWS.bit_length() + 1)
_DIGIT = re.compile(r"\d")
_FURTHER = np.arange(1, NEAR_HITS + 1)
_LENGTHS, _COUNTS, _DENSITIES = 8, 16, 8


@dataclass(frozen=True, slots=True)
class Model:
    """What `make train` writes.

    Shape: hashed (ROWS, 1 + hidden) whole numbers, times scales (1 + hidden,); single (concepts, 1 + hidden); together and near
    (concepts, concepts); buckets (BUCKETS,); the first column is the linear model's. knots by kind_of: (margin, weight of the
    finding), ascending.
    """

    concepts: tuple[str, ...]
    hashed: NDArray[np.int8]
    scales: FloatArray
    single: FloatArray
    together: FloatArray
    near: FloatArray
    buckets: FloatArray
    hidden_bias: FloatArray
    out: FloatArray
    bias: float
    knots: Mapping[str, Sequence[tuple[float, float]]]


_ARRAYS = ("hashed", "scales", "single", "together", "near", "buckets", "hidden_bias", "out")


def dump(model: Model) -> bytes:
    """Return a model as the bytes of an .npz file, always the same for the same model."""
    held = io.BytesIO()
    head = json.dumps({"concepts": model.concepts, "bias": model.bias, "knots": model.knots})
    np.savez_compressed(
        held, head=np.frombuffer(head.encode(), np.uint8), **{name: getattr(model, name) for name in _ARRAYS}
    )
    return held.getvalue()


def load(data: bytes) -> Model:
    """Return the model in the bytes of an .npz file.

    Raises: ValueError or KeyError for anything else.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as held:
        head = json.loads(held["head"].tobytes())
        arrays = {name: held[name] for name in _ARRAYS}
    knots = {kind: tuple(map(tuple, its)) for kind, its in head["knots"].items()}
    return Model(concepts=tuple(head["concepts"]), bias=head["bias"], knots=knots, **arrays)


def word_rows(word: str) -> tuple[list[int], list[float]]:
    """Return the rows of a word and of its pieces, and their weights. Digits count as 0."""
    plain = _DIGIT.sub("0", word)
    rows = [_row(f"w{plain}")]
    if len(plain) < PIECES[0]:
        return rows, [1.0]
    edged = f"<{plain}>"
    pieces = [_row(edged[start : start + length]) for length in PIECES for start in range(len(edged) - length + 1)]
    return rows + pieces, [1.0] + [PIECES_WEIGHT / len(pieces)] * len(pieces)


def _row(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass")) % ROWS


def pair_rows(tokens: Tokens, hashes: NDArray[np.uint64]) -> IntArray:
    """Return the row of each word with the one before it in its sentence, shape (words,); hashes are the table's."""
    second = hashes[tokens.ids]
    first = np.concatenate([second[:1], second[:-1]])
    first[tokens.first[:-1]] = _BEGIN
    return (((first * _SALT_FIRST) ^ (second * _SALT_SECOND)) * _SALT_FIRST >> _SHIFT).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Near:
    """Concepts near each other, in order. Shape: sentence, first, second (pairs,); the last two are numbers of combinations."""

    sentence: IntArray
    first: IntArray
    second: IntArray


def near_pairs(tokens: Tokens, sentence: IntArray) -> tuple[IntArray, Near]:
    """Return which words speak of a concept, and the pairs of those that stand near each other in one sentence."""
    hits = np.flatnonzero(tokens.combinations)
    at, place = sentence[hits], tokens.places[hits]
    second = np.arange(len(hits))[:, None] + _FURTHER
    there = second < len(hits)
    second[~there] = 0
    close = there & (place[second] - place[:, None] <= NEAR_WORDS) & (at[second] == at[:, None])
    first, further = np.nonzero(close)
    spoken = tokens.combinations[hits]
    return hits, Near(at[first], spoken[first], spoken[second[first, further]])


def runs(tokens: Tokens) -> tuple[IntArray, IntArray]:
    """Return the windows by first and last sentence: runs of up to WINDOW_SENTENCES, none longer than WINDOW_MAX but one alone."""
    count = len(tokens.starts)
    first = np.tile(np.arange(count), WINDOW_SENTENCES)
    last = first + np.repeat(np.arange(WINDOW_SENTENCES), count)
    there = np.minimum(last, count - 1)
    kept = (last == first) | ((last == there) & (tokens.ends[there] - tokens.starts[first] <= WINDOW_MAX))
    return first[kept], last[kept]


def buckets(length: ArrayLike, concepts: ArrayLike, hits: ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """Return three bucket numbers a window: of its length, of how many concepts it has, of how dense they stand."""
    words = 1 + np.asarray(length) // 6
    lengths = np.minimum(_LENGTHS - 1, np.log2(np.maximum(length, 8) / 8).astype(np.int64))
    density = np.minimum(_DENSITIES - 1, _DENSITIES * np.asarray(hits) // words)
    return lengths, _LENGTHS + np.minimum(_COUNTS - 1, concepts), _LENGTHS + _COUNTS + density


BUCKETS = _LENGTHS + _COUNTS + _DENSITIES


@dataclass(frozen=True, slots=True)
class Place:
    """The window that decided. Units: code points; concepts is a bit set; sentences counts those of the whole text."""

    start: int
    end: int
    concepts: int
    sentences: int


class LearnedDetector:
    """The model as a detector. Safe to call from several threads."""

    def __init__(self, name: str, lexicon: Lexicon, model: Model) -> None:
        """Take lexicon and model.

        Raises: ValueError when the two do not belong together.
        """
        if lexicon.names != model.concepts or model.single.shape[0] != lexicon.size:
            raise ValueError("learned: the model was trained on another lexicon; run `make train`")
        self.name = name
        self.RULES = tuple(Described(f"learned.{kind}", kind) for kind in _KINDS)
        self.lexicon, self.model = lexicon, model
        self._vocabulary = Vocabulary(lexicon, self._vector, 1 + len(model.out))
        self._concepts = np.zeros((0, lexicon.size), np.float32)

    def _vector(self, word: str) -> FloatArray:
        rows, weights = word_rows(word)
        found: FloatArray = np.array(weights, np.float32) @ self.model.hashed[rows] * self.model.scales
        return found

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return what sounds like an attack in a view. A view whose folded reading follows is left to that reading.

        Bounds: linear.
        """
        if view.surface not in SURFACES or view.folded_follows or not view.text:
            return ()
        margin, window = self.margin(view.text)
        weight = between(self.model.knots[kind_of(view.surface, window.sentences)], margin) if window.sentences else 0.0
        if weight <= 0:
            return ()
        kind = _kind(window.concepts, view.surface, self.lexicon)
        span = source_span(view, window.start, min(window.end, len(view.text)))
        return (Finding(kind, self.name, f"learned.{kind}", span, round(weight, 1), 1.0, view.kind),)

    def margin(self, text: str) -> tuple[float, Place]:
        """Return how far a text lies on the side of attacks, and the window that decides. Higher is worse; 0 is undecided."""
        tokens, table = self._vocabulary.read(text.lower())
        if not len(tokens.ids):
            return -np.inf, Place(0, 0, 0, 0)
        first, last = runs(tokens)
        margins, present = self._margins(tokens, table, first, last)
        best = int(margins.argmax())
        concepts = sum(1 << int(number) for number in np.flatnonzero(present[best]))
        place = Place(int(tokens.starts[first[best]]), int(tokens.ends[last[best]]), concepts, len(tokens.starts))
        return float(margins[best]), place

    def _margins(
        self, tokens: Tokens, table: Table, first: IntArray, last: IntArray
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the margin of every window, and which concepts it has, shape (windows, concepts)."""
        model = self.model
        sentences = len(tokens.starts)
        counts = np.diff(tokens.first)
        sentence = np.repeat(np.arange(sentences), counts)
        hits, near = near_pairs(tokens, sentence)
        spoken = self._spoken(int(tokens.combinations.max(initial=0)))
        concepts = _sums(spoken[tokens.combinations[hits]], sentence[hits], sentences)
        near_weight = np.einsum("ij,ij->i", spoken[near.first] @ model.near, spoken[near.second])
        plain = np.bincount(near.sentence, near_weight, sentences)
        vectors = table.vectors[tokens.ids]
        words = np.add.reduceat(vectors, tokens.first[:-1], axis=0)
        pairs = np.add.reduceat(
            model.hashed[pair_rows(tokens, table.hashes)], tokens.first[:-1], axis=0, dtype=np.int32
        )
        words += pairs * model.scales
        hit_counts = np.bincount(sentence[hits], minlength=sentences)
        numbers = np.column_stack([counts, plain, hit_counts]).astype(np.float32)
        over = _over(np.concatenate([numbers, words, concepts], axis=1), first, last)
        word_count, near_sum, hit_count = over[:, :3].T
        words, present = over[:, 3 : 3 + words.shape[1]], over[:, 3 + words.shape[1] :] > 0
        shown = present.astype(np.float32)
        fading = (np.maximum(1, word_count) / np.float32(SENTENCE_WORDS)) ** np.float32(-FADE)
        sums = words * fading[:, None] + shown @ model.single
        total = model.bias + sums[:, 0] + near_sum + np.einsum("ij,ij->i", shown @ model.together, shown)
        total += np.maximum(sums[:, 1:] + model.hidden_bias, 0) @ model.out
        length = tokens.ends[last] - tokens.starts[first]
        for bucket in buckets(length, present.sum(1), hit_count.astype(np.int64)):
            total += model.buckets[bucket]
        return total, present

    def _spoken(self, highest: int) -> FloatArray:
        """Return which concepts each combination has, shape (combinations, concepts), up to the highest that is asked for."""
        if highest >= len(self._concepts):  # combinations are only ever added
            bits = np.array(self.lexicon.combinations, np.int64)
            self._concepts = (bits[:, None] >> np.arange(self.lexicon.size) & 1).astype(np.float32)
        return self._concepts


def _sums(rows: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """Return the sums of rows by group; groups ascend."""
    total = np.zeros((groups, rows.shape[1]), rows.dtype)
    if len(group):
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        total[group[starts]] = np.add.reduceat(rows, starts, axis=0)
    return total


def _over(rows: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    """Return the sums of rows (a row a sentence) over windows of at most WINDOW_SENTENCES."""
    total = rows[first]
    for further in range(1, WINDOW_SENTENCES):
        longer = last - first >= further
        total[longer] += rows[first[longer] + further]
    return total


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
    """Return which ordinary texts a text is measured against: of its length, for the worst of many windows is bad by chance."""
    kinds = DATA if surface in DATA_SURFACES or sentences > SAID["page"] else SAID
    return next(kind for kind, most in kinds.items() if sentences <= most)


def between(knots: Sequence[tuple[float, float]], margin: float) -> float:
    """Return the weight of a margin: straight lines between the knots, 0 below the first, the last one's above it."""
    if margin < knots[0][0]:
        return 0.0
    for (low, weight), (high, further) in pairwise(knots):
        if margin < high:
            return weight + (further - weight) * (margin - low) / (high - low)
    return knots[-1][1]
