"""Fit the learned tier: `make train`.

In: the trainable development rows, the phrase banks, the lexicon of concepts. Out: sidecar/detectors/packs/learned.json.
How: windows of every text as the sidecar cuts them; logistic regression over concepts and pairs; of a long attack the window that a
first fit finds most telling; then the margins of benign texts, each seen by a model that never saw its source, say what weight a
margin deserves. The same seed and data give the same file.
Never: rows that are not trainable, text in the output.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from sidecar.detectors import LEXICON
from sidecar.detectors.learned import LearnedDetector, Model, Window, feature_count, features, kind_of, windows
from sidecar.normalise import fold
from sidecar.types import Surface
from tests.train.corpus import FOLDS, Row, folds, load_rows
from tests.train.generate import generate

OUT = Path(__file__).parents[2] / "sidecar" / "detectors" / "packs" / "learned.json"
SEED = 1
# Chosen by leave-source-out (README.md): inverse strength of the penalty, weight of generated attacks, of their benign texts.
STRENGTH, GENERATED_ATTACK, GENERATED_BENIGN = 0.1, 0.1, 1.0
BENIGN_PER_ATTACK = 2.0
# What a text pays per doubling of its sentences: the most telling of many windows is telling by chance.
WINDOW_PENALTY = 0.4
WINDOWS_MAX, TEXT_MAX, ATTACK_WHOLE = 60, 60_000, 400
# Sources that are not learned from: their attacks are made of others' (needles, wrappers) or hold no word of one.
SKIPPED = frozenset({"needle_dev", "asb_tools"})
# The share of benign texts that may reach a weight. 5 alerts, 15 denies (the mission).
SHARES = ((0.03, 2.0), (0.004, 5.0), (0.001, 9.0), (0.0001, 15.0))


@dataclass(frozen=True, slots=True)
class Examples:
    """Windows to learn from.

    Shape: matrix (n, features); the rest (n,); bag counts long attacks of which one window will do, -1 for all others;
    fold is -1 for generated texts.
    """

    matrix: csr_matrix
    attack: np.ndarray
    weight: np.ndarray
    fold: np.ndarray
    bag: np.ndarray
    language: np.ndarray


@dataclass(slots=True)
class _Lists:
    """Examples while they are collected."""

    windows: list[Window]
    rest: list[tuple[bool, float, int, int, str]]

    def add(self, window: Window, attack: bool, weight: float, place: tuple[int, int, str]) -> None:
        self.windows.append(window)
        self.rest.append((attack, weight, *place))

    def done(self) -> Examples:
        attack, weight, fold_of, bag, language = (np.array(column) for column in zip(*self.rest, strict=True))
        return Examples(matrix(self.windows), attack, weight, fold_of, bag, language)


def windows_of(text: str) -> list[Window]:
    """Return the windows of a text as the detector sees its folded reading."""
    return list(windows(tuple(LEXICON.sentences(fold(text[:TEXT_MAX])))))


def matrix(found: Sequence[Window]) -> csr_matrix:
    """Return how often each feature is in each window, shape (windows, features)."""
    rows = [np.array(features(window, LEXICON)) for window in found]
    ends = np.cumsum([0, *map(len, rows)])
    ones = np.ones(ends[-1], np.float32)
    made = csr_matrix((ones, np.concatenate(rows), ends), shape=(len(rows), feature_count(LEXICON.size)))
    made.sum_duplicates()
    return made


def collect(rows: Iterable[Row], fold_of: dict[str, int], seed: int = SEED) -> Examples:
    """Return the examples of the trainable rows and of the banks."""
    chance = random.Random(seed)
    lists = _Lists([], [])
    for number, row in enumerate(rows):
        if not row.trainable or row.surface == "system" or row.source in SKIPPED:
            continue
        found = windows_of(row.text)
        if not found or (row.source == "slabs_train" and chance.random() < 0.5):  # a third of all rows, one style
            continue
        bag = number if row.attack and len(row.text) > ATTACK_WHOLE else -1
        if row.attack and bag < 0:
            lists.add(_whole(found), True, 1.0, (fold_of[row.source], -1, row.lang))
            continue
        sample = chance.sample(found, min(len(found), WINDOWS_MAX))
        for window in sample:
            lists.add(
                window, row.attack, 1.0 if bag >= 0 else len(sample) ** -0.5, (fold_of[row.source], bag, row.lang)
            )
    _add_generated(lists, seed)
    return lists.done()


def _add_generated(lists: _Lists, seed: int) -> None:
    for sample in generate(seed):
        if sample.family == "system" or (sample.attack and sample.planted) or len(sample.text) > 4000:
            continue
        found = windows_of(sample.text)
        if sample.attack and found:
            lists.add(_whole(found), True, GENERATED_ATTACK, (-1, -1, sample.language))
        else:
            for window in found:
                lists.add(window, False, GENERATED_BENIGN * len(found) ** -0.5, (-1, -1, sample.language))


def _whole(found: Sequence[Window]) -> Window:
    return max(found, key=lambda window: (window.end - window.start, -window.start))


def fit(examples: Examples, chosen: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights and bias from the chosen examples (a mask)."""
    weight = _balanced(examples, chosen)
    single = np.flatnonzero(chosen & (examples.bag < 0))
    weights, _ = _regress(examples, single, weight)
    best: dict[int, tuple[float, int]] = {}
    long = np.flatnonzero(chosen & (examples.bag >= 0))
    for place, margin in zip(long, examples.matrix[long] @ weights, strict=True):
        best[examples.bag[place]] = max(best.get(examples.bag[place], (-np.inf, -1)), (margin, place))
    return _regress(examples, np.concatenate([single, sorted(place for _, place in best.values())]).astype(int), weight)


def _regress(examples: Examples, places: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    model = LogisticRegression(C=STRENGTH, max_iter=300)
    model.fit(examples.matrix[places], examples.attack[places], sample_weight=weight[places])
    return model.coef_[0], float(model.intercept_[0])


def _balanced(examples: Examples, chosen: np.ndarray) -> np.ndarray:
    """Return weights under which no language speaks for attacks: its benign texts count BENIGN_PER_ATTACK times as much."""
    weight = examples.weight.copy()
    for language in sorted(set(examples.language[chosen])):
        here = chosen & (examples.language == language)
        attacks, benign = here & examples.attack, here & ~examples.attack
        wanted, have = BENIGN_PER_ATTACK * weight[attacks].sum(), weight[benign].sum()
        if have and have < wanted:
            weight[benign] *= min(8.0, (wanted / have) ** 0.5)
            weight[attacks] *= weight[benign].sum() / wanted
    return weight


def held_out(examples: Examples) -> list[tuple[np.ndarray, float]]:
    """Return one fit per fold that has not seen the fold's sources."""
    return [fit(examples, examples.fold != number) for number in range(FOLDS)]


def detector(weights: np.ndarray, bias: float, knots: dict[str, tuple[tuple[float, float], ...]]) -> LearnedDetector:
    """Return the detector of a fit. Weights are rounded to three decimals, as they are shipped."""
    rounded = tuple(round(float(weight), 3) for weight in weights)
    return LearnedDetector("learned", LEXICON, Model(LEXICON.names, rounded, round(bias, 3), WINDOW_PENALTY, knots))


def margins(
    rows: Sequence[Row], fold_of: dict[str, int], fits: Sequence[tuple[np.ndarray, float]]
) -> list[tuple[float, str]]:
    """Return each row's margin by the model that has not seen its source, and what it is measured against."""
    nothing = {"user": ((0.0, 0.0),), "data": ((0.0, 0.0),)}
    models = [detector(weights, bias, nothing) for weights, bias in fits]
    found = []
    for row in rows:
        margin, place = models[fold_of[row.source]].margin(fold(row.text[:TEXT_MAX]))
        found.append((margin, kind_of(Surface(row.surface), place.sentences)))
    return found


def calibrate(found: Sequence[tuple[float, str]]) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return the knots from the margins of benign texts: the margin that a share of them reaches, by kind, and its weight."""
    knots = {}
    for kind in ("user", "data"):
        here = [margin for margin, its in found if its == kind and np.isfinite(margin)]
        levels = [float(np.quantile(here, 1 - share)) for share, _ in SHARES]
        rising = np.maximum.accumulate([level + 0.001 * place for place, level in enumerate(levels)])
        knots[kind] = tuple((round(float(level), 3), weight) for level, (_, weight) in zip(rising, SHARES, strict=True))
    return knots


def main() -> None:
    """Fit, calibrate and write the model."""
    rows = load_rows("attacks_core", "attacks_extended", "benign")
    fold_of = folds(rows)
    print(f"reading {len(rows)} rows and the banks ...", flush=True)
    examples = collect(rows, fold_of)
    print(
        f"{examples.matrix.shape[0]} windows, {int(examples.attack.sum())} of attacks; fitting {FOLDS} + 1 models ...",
        flush=True,
    )
    benign = [row for row in rows if row.file == "benign" and not row.attack and row.surface != "system"]
    knots = calibrate(margins(benign, fold_of, held_out(examples)))
    final = detector(*fit(examples, np.ones(len(examples.fold), bool)), knots)
    OUT.write_text(
        json.dumps({name: getattr(final.model, name) for name in final.model.__struct_fields__}, separators=(",", ":"))
        + "\n"
    )
    print(f"{OUT.relative_to(Path.cwd())}: {OUT.stat().st_size} bytes; knots {knots}")


if __name__ == "__main__":
    main()
