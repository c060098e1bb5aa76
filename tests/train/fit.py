"""Fit the learned tier: `make train`.

In: the trainable development rows, the phrase banks, the lexicon of concepts. Out: sidecar/detectors/packs/learned.npz.
How: windows of every text as the sidecar cuts them; logistic regression over all features, then again with, of every text, the
window that the first fit finds most telling, for that window decides; small nets beside it; then the margins of benign texts,
each seen by a model that never saw its source, say what weight a margin deserves. The same seed and data give the same file.
Never: rows that are not trainable, text in the output.
"""

import hashlib
import pickle
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from sidecar.detectors import LEXICON
from sidecar.detectors.learned import Model, dump, load
from tests.train import calibrate, features, net
from tests.train.corpus import FOLDS, Row, folds, load_rows
from tests.train.generate import Sample, generate

OUT = Path(__file__).parents[2] / "sidecar" / "detectors" / "packs" / "learned.npz"
KEPT = Path(__file__).parents[2] / "build" / "train"
SEED = 1
# Chosen by leave-source-out (README.md): inverse strength of the penalty; what a generated attack counts beside a real one.
STRENGTH, GENERATED_ATTACK = 0.03, 0.5
BENIGN_PER_ATTACK = 2.0
# Windows drawn from each benign text beside its most telling one, and what they count together.
DRAWN, DRAWN_WEIGHT, TELLING_WEIGHT = 8, 0.5, 2.0
SAID_WHOLE = 400  # characters: a shorter attack is one order, its longest window stands for it at first
NETS, HIDDEN, NET_SHARE = 2, 8, 0.3
# Sources that are not learned from: their attacks are made of others' (needles, wrappers) or hold no word of one.
SKIPPED = frozenset({"needle_dev", "asb_tools"})
GENERATED_MAX = 4000


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts to learn from and their windows.

    Shape: attack, weight, fold, language, said (texts,); windows as features.Windows. fold is -1 for generated texts; said tells
    attacks that are one order.
    """

    windows: features.Windows
    attack: np.ndarray
    weight: np.ndarray
    fold: np.ndarray
    language: np.ndarray
    said: np.ndarray


def collect(rows: Iterable[Row], fold_of: Mapping[str, int], samples: Iterable[Sample]) -> Examples:
    """Return the examples of the trainable rows and of generated samples."""
    chance = random.Random(SEED)
    found: list[tuple[str, bool, float, int, str]] = []
    for row in rows:
        if not row.trainable or row.surface == "system" or row.source in SKIPPED:
            continue
        if row.source == "slabs_train" and chance.random() < 0.5:  # a third of all rows, one style
            continue
        found.append((row.text, row.attack, 1.0, fold_of[row.source], row.lang))
    for sample in samples:
        if sample.family != "system" and not (sample.attack and sample.planted) and len(sample.text) <= GENERATED_MAX:
            weight = GENERATED_ATTACK if sample.attack else 1.0
            found.append((sample.text, sample.attack, weight, -1, sample.language))
    windows = features.read(text for text, *_ in found)
    kept = np.flatnonzero(np.diff(windows.first))  # a text without a word has no window
    texts, *columns = zip(*(found[place] for place in kept), strict=True)
    windows = features.Windows(windows.matrix, np.append(windows.first[kept], windows.first[-1]))
    return Examples(windows, *map(np.array, columns), said=np.array([len(text) <= SAID_WHOLE for text in texts]))


@dataclass(frozen=True, slots=True)
class Places:
    """Windows that are learned from. Shape: window, text, weight (places,)."""

    window: np.ndarray
    text: np.ndarray
    weight: np.ndarray

    def joined(self, other: "Places") -> "Places":
        """Return both."""
        pairs = ((self.window, other.window), (self.text, other.text), (self.weight, other.weight))
        return Places(*map(np.concatenate, pairs))


def fit(examples: Examples, chosen: np.ndarray) -> Model:
    """Return a model without knots from the chosen texts (a mask)."""
    texts = np.flatnonzero(chosen)
    drawn = _drawn(examples, texts[~examples.attack[texts]])
    lengths = np.asarray(examples.windows.matrix[:, features.HASHED :].sum(1)).ravel()
    orders = texts[examples.attack[texts] & examples.said[texts]]

    def telling(weights: np.ndarray) -> Places:
        return _most(examples, texts, examples.windows.matrix @ weights).joined(drawn)

    weights, _ = _regress(examples, _most(examples, orders, lengths).joined(drawn))
    weights, bias = _regress(examples, telling(weights))
    places = telling(weights)
    rows = _net_columns(examples.windows.matrix)[places.window]
    attack, weight = examples.attack[places.text], _balanced(examples, places)
    nets = [net.train(rows, attack, weight, HIDDEN, seed, features.SIZE) for seed in range(NETS)]
    return _model(weights, bias, nets)


def _drawn(examples: Examples, texts: np.ndarray) -> Places:
    """Return up to DRAWN windows of each text, which count the square root of their share."""
    chance = np.random.default_rng(SEED)
    first = examples.windows.first
    windows, owners, weights = [], [], []
    for text in texts:
        here = np.arange(first[text], first[text + 1])
        here = here if len(here) <= DRAWN else np.sort(chance.choice(here, DRAWN, replace=False))
        windows.append(here)
        owners.append(np.full(len(here), text))
        weights.append(np.full(len(here), DRAWN_WEIGHT * examples.weight[text] * len(here) ** -0.5))
    return Places(*map(np.concatenate, (windows, owners, weights)))


def _most(examples: Examples, texts: np.ndarray, value: np.ndarray) -> Places:
    """Return of each text the window with the highest value."""
    first = examples.windows.first
    windows = np.array([first[text] + value[first[text] : first[text + 1]].argmax() for text in texts], np.int64)
    weight = examples.weight[texts] * np.where(examples.attack[texts], 1.0, TELLING_WEIGHT)
    return Places(windows, texts, weight)


def _regress(examples: Examples, places: Places) -> tuple[np.ndarray, float]:
    model = LogisticRegression(C=STRENGTH, max_iter=200)
    rows, attack = examples.windows.matrix[places.window], examples.attack[places.text]
    model.fit(rows, attack, sample_weight=_balanced(examples, places))
    return model.coef_[0], float(model.intercept_[0])


def _balanced(examples: Examples, places: Places) -> np.ndarray:
    """Return weights under which no language speaks for attacks: its benign texts count BENIGN_PER_ATTACK times as much."""
    weight = places.weight.astype(np.float64)
    attack, language = examples.attack[places.text], examples.language[places.text]
    for name in sorted(set(language)):
        attacks, benign = (language == name) & attack, (language == name) & ~attack
        wanted, have = BENIGN_PER_ATTACK * weight[attacks].sum(), weight[benign].sum()
        if have and have < wanted:
            weight[benign] *= min(8.0, (wanted / have) ** 0.5)
            weight[attacks] *= weight[benign].sum() / wanted
    return weight


def _net_columns(matrix: csr_matrix) -> csr_matrix:
    """Return what the nets see: single concepts and words."""
    return hstack([matrix[:, : features.SIZE], matrix[:, features.HASHED :]], format="csr", dtype=np.float32)


def _model(weights: np.ndarray, bias: float, nets: Sequence[net.Net]) -> Model:
    """Return the sum of the linear model and of the nets' mean, in the numbers that are shipped."""
    size, share = features.SIZE, NET_SHARE / len(nets)
    linear = share * sum(one.linear for one in nets)
    inner = np.concatenate([one.inner for one in nets], axis=1)
    single = np.column_stack([weights[:size] + linear[:size], inner[:size]])
    hashed = np.column_stack([weights[features.HASHED :] + linear[size:], inner[size:]])
    scales = np.maximum(np.quantile(np.abs(hashed), 0.9999, axis=0), 1e-6) / 127
    square = (size, size)
    return Model(
        LEXICON.names,
        np.clip(np.rint(hashed / scales), -127, 127).astype(np.int8),
        scales.astype(np.float32),
        _short(single),
        _short(weights[features.TOGETHER : features.NEAR].reshape(square)),
        _short(weights[features.NEAR : features.BUCKET].reshape(square)),
        _short(weights[features.BUCKET : features.HASHED]),
        _short(np.concatenate([one.hidden_bias for one in nets])),
        _short(share * np.concatenate([one.out for one in nets])),
        round(bias + share * sum(one.bias for one in nets), 3),
        {},
    )


def _short(values: np.ndarray) -> np.ndarray:
    return np.round(values, 3).astype(np.float32)


def held_out(examples: Examples, folder: Path = KEPT) -> list[Model]:
    """Return one fit per fold that has not seen the fold's sources; kept in a folder: `make eval` wants those of `make train`."""
    kept = folder / f"{_digest(examples)}.pickle"
    if kept.exists():
        return [load(data) for data in pickle.loads(kept.read_bytes())]
    fits = []
    for number in range(FOLDS):
        fits.append(fit(examples, examples.fold != number))
        print(f"  fold {number + 1} of {FOLDS} left out", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps([dump(one) for one in fits]))
    return fits


def _digest(examples: Examples) -> str:
    """Return a digest of what a fit depends on: the examples and the code."""
    digest = hashlib.sha256()
    matrix = examples.windows.matrix
    for array in (matrix.data, matrix.indices, matrix.indptr, examples.attack, examples.weight, examples.fold):
        digest.update(np.ascontiguousarray(array).data)
    digest.update("\0".join(examples.language).encode())
    for module in (__file__, net.__file__):
        digest.update(Path(module).read_bytes())
    return digest.hexdigest()[:16]


def main() -> None:
    """Fit, calibrate and write the model."""
    rows = load_rows("attacks_core", "attacks_extended", "benign")
    fold_of = folds(rows)
    print(f"reading {len(rows)} rows and the banks ...", flush=True)
    examples = collect(rows, fold_of, generate(SEED))
    count = examples.windows.matrix.shape[0]
    print(f"{count} windows of {len(examples.attack)} texts; fitting {FOLDS} + 1 models ...", flush=True)
    knots = calibrate.knots_of(rows, fold_of, held_out(examples))
    final = replace(fit(examples, np.ones(len(examples.attack), bool)), knots=knots)
    OUT.write_bytes(dump(final))
    print(f"{OUT.relative_to(Path.cwd())}: {OUT.stat().st_size} bytes; knots {knots}")


if __name__ == "__main__":
    main()
