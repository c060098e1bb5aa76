"""Windows of texts as rows of features, as the learned tier sums them up.

In: texts. Out: Windows. The columns: concepts, pairs of them together, ordered pairs near each other, buckets, then hashed rows.
tests/train/test_features.py holds the rows to the detector: weights times a row is the detector's margin.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags, hstack

from sidecar.detectors import LEXICON
from sidecar.detectors.concepts import numbers
from sidecar.detectors.learned import (
    BUCKETS,
    FADE,
    ROWS,
    SENTENCE_WORDS,
    buckets,
    near_pairs,
    pair_rows,
    runs,
    word_rows,
)
from sidecar.detectors.tokens import Tokens, Vocabulary
from sidecar.normalise import fold

TEXT_MAX = 60_000
SIZE = LEXICON.size
TOGETHER, NEAR, BUCKET = SIZE, SIZE + SIZE**2, SIZE + 2 * SIZE**2
HASHED = BUCKET + BUCKETS
FEATURES = HASHED + ROWS


@dataclass(frozen=True, slots=True)
class Windows:
    """Shape: matrix (windows, FEATURES); first (texts + 1,) the number of each text's first window, last the number of windows."""

    matrix: csr_matrix
    first: np.ndarray


class _Rows:
    """A sparse matrix while it is collected."""

    def __init__(self) -> None:
        self.columns: list[np.ndarray] = []
        self.counts: list[np.ndarray] = []
        self.ends = [0]

    def add(self, columns: object) -> None:
        found, counts = np.unique(np.asarray(columns, np.int64), return_counts=True)
        self.columns.append(found)
        self.counts.append(counts.astype(np.float32))
        self.ends.append(self.ends[-1] + len(found))

    def done(self, width: int) -> csr_matrix:
        parts = np.concatenate(self.counts), np.concatenate(self.columns), self.ends
        return csr_matrix(parts, shape=(len(self.ends) - 1, width))


def read(texts: Iterable[str]) -> Windows:
    """Return the windows of texts, folded as the detector sees them."""
    vocabulary = Vocabulary(LEXICON, lambda _: np.zeros(1, np.float32), 1)
    vocabulary.held = vocabulary.new_max = 1 << 40  # one table for all texts
    vocabulary.collapse = False
    concepts, words, pairs = _Rows(), _Rows(), _Rows()
    fading: list[float] = []
    first = [0]
    for text in texts:
        tokens, table = vocabulary.read(fold(text[:TEXT_MAX]).lower())
        if len(tokens.ids):
            rows = pair_rows(tokens, table.hashes)
            for begin, end, spoken in _windows(tokens):
                concepts.add(spoken)
                words.add(tokens.ids[begin:end])
                pairs.add(rows[begin:end])
                fading.append((max(1, end - begin) / SENTENCE_WORDS) ** -FADE)
        first.append(len(fading))
    hashed = words.done(len(table.words)) @ _word_matrix(table.words) + pairs.done(ROWS)
    matrix = hstack([concepts.done(HASHED), diags(np.array(fading)) @ hashed], format="csr", dtype=np.float32)
    return Windows(matrix, np.array(first))


def _word_matrix(words: list[str]) -> csr_matrix:
    found = [word_rows(word) if word else ([], []) for word in words]
    ends = np.cumsum([0, *(len(rows) for rows, _ in found)])
    weights = np.concatenate([weights for _, weights in found])
    return csr_matrix(
        (weights, np.concatenate([rows for rows, _ in found]).astype(np.int64), ends), shape=(len(words), ROWS)
    )


def _windows(tokens: Tokens) -> Iterator[tuple[int, int, list[int]]]:
    """Yield the first word, the end and the concept features of every window; what is there twice counts twice."""
    sentence = np.repeat(np.arange(len(tokens.starts)), np.diff(tokens.first))
    hits, near = near_pairs(tokens, sentence)
    present = [0] * len(tokens.starts)
    near_of: list[list[int]] = [[] for _ in present]
    combinations = LEXICON.combinations
    for at, number in zip(sentence[hits].tolist(), tokens.combinations[hits].tolist(), strict=True):
        present[at] |= combinations[number]
    for at, a, b in zip(near.sentence.tolist(), near.first.tolist(), near.second.tolist(), strict=True):
        near_of[at] += [NEAR + x * SIZE + y for x in numbers(combinations[a]) for y in numbers(combinations[b])]
    hit_counts = np.bincount(sentence[hits], minlength=len(present))
    for a, b in zip(*(ends.tolist() for ends in runs(tokens)), strict=True):
        bits = 0
        for at in range(a, b + 1):
            bits |= present[at]
        found = numbers(bits)
        spoken = [*found, *(TOGETHER + x * SIZE + y for n, x in enumerate(found) for y in found[n + 1 :])]
        spoken += [feature for at in range(a, b + 1) for feature in near_of[at]]
        length = tokens.ends[b] - tokens.starts[a]
        spoken += [BUCKET + int(number) for number in buckets(length, len(found), hit_counts[a : b + 1].sum())]
        yield int(tokens.first[a]), int(tokens.first[b + 1]), spoken
