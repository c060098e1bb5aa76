"""What a margin means: how many ordinary texts of the same kind and length reach it.

In: benign development rows and, per fold, the model that has not seen the fold's sources. Out: knots: (margin, weight) by kind.
Pages about language models are left out: they speak like orders to one. sidecar/context.py lowers what is found in them instead.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sidecar import context
from sidecar.detectors import LEXICON
from sidecar.detectors.learned import KINDS, LearnedDetector, Model, kind_of
from sidecar.normalise import fold
from sidecar.types import Segment, Surface
from tests.train import features
from tests.train.corpus import Row

# The share of benign texts that may reach a weight. 5 alerts, 15 denies (the mission).
SHARES = ((0.03, 2.0), (0.004, 5.0), (0.0008, 10.0), (0.0002, 15.0))
# Beyond what can be counted a tail is drawn out: margins of benign texts fall off exponentially (README.md).
TAIL = (0.05, 0.03, 0.02, 0.01, 0.005)


def calibrated(model: Model, knots: Mapping[str, Sequence[tuple[float, float]]]) -> LearnedDetector:
    """Return the detector of a model with these knots."""
    return LearnedDetector("learned", LEXICON, replace(model, knots=knots))


def knots_of(
    rows: Iterable[Row], fold_of: Mapping[str, int], fits: Sequence[Model]
) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return the knots from the ordinary ones among rows, each measured by the model that has not seen its source."""
    nothing = dict.fromkeys(KINDS, ((0.0, 0.0),))
    detectors = [calibrated(model, nothing) for model in fits]
    margins: dict[str, list[float]] = defaultdict(list)
    for row in filter(_ordinary, rows):
        margin, place = detectors[fold_of[row.source]].margin(fold(row.text[: features.TEXT_MAX]))
        about_models = context.about_models(Segment(row.text, Surface(row.surface)), place.start)
        if place.sentences and not about_models:
            margins[kind_of(Surface(row.surface), place.sentences)].append(margin)
    return {kind: knots(margins[kind]) for kind in KINDS}


def knots(margins: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Return (margin, weight) where a line through the tail's logarithm says that a share of the texts is reached."""
    slope, level = np.polyfit(np.log10(TAIL), np.quantile(margins, 1 - np.array(TAIL)), 1)
    return tuple((round(float(level + slope * np.log10(share)), 3), weight) for share, weight in SHARES)


def _ordinary(row: Row) -> bool:
    """Tell whether a row is what the learned tier is measured against: benign, and no system prompt."""
    return row.file == "benign" and not row.attack and row.surface != "system"
