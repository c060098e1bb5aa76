"""Every development text through the whole pipeline, judged by a learned tier that has not seen its source.

In: rows. Out: Judged, in the order of the rows.
Never: the shipped model on a text whose source it was trained on.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar import scoring
from sidecar.decode import readings
from sidecar.detectors import DETECTORS
from sidecar.detectors.learned import LearnedDetector
from sidecar.types import Finding, Segment, Surface
from tests.train import calibrate, fit
from tests.train.corpus import FOLDS, Row, folds
from tests.train.generate import generate


@dataclass(frozen=True, slots=True)
class Judged:
    """What the pipeline made of a row. Units: micros of the whole pipeline after the body was read."""

    row: Row
    score: float
    threats: tuple[tuple[str, str, float], ...]  # type, rule, share of the score
    micros: float


def judge(row: Row, learned: LearnedDetector) -> Judged:
    """Return what the pipeline makes of a row with this learned tier in the place of the shipped one."""
    begin = time.perf_counter()
    segment = Segment(row.text, Surface(row.surface))
    found: list[tuple[Segment, Finding]] = []
    for view in readings(segment):
        for detector in DETECTORS:
            used = learned if detector.name == learned.name else detector
            found += [(segment, finding) for finding in used.detect(view)]
    assessment = scoring.assess(found)
    micros = (time.perf_counter() - begin) * 1e6
    threats = tuple((str(t.finding.type), t.finding.rule_id, t.score) for t in assessment.threats)
    return Judged(row, assessment.score, threats, micros)


def detectors(fitted: Iterable[Row]) -> tuple[dict[str, int], list[LearnedDetector]]:
    """Return the fold of every source and, per fold, the learned tier that has not seen its sources.

    The knots (what a margin weighs) are those of `make train`: seven lines of four numbers, fitted on margins that were all found
    this way.
    """
    rows = tuple(fitted)
    fold_of = folds(rows)
    print(f"fitting {FOLDS} models, each without an eighth of the sources ...", flush=True)
    fits = fit.held_out(fit.collect(rows, fold_of, generate(fit.SEED)))
    knots = calibrate.knots_of(rows, fold_of, fits)
    return fold_of, [calibrate.calibrated(model, knots) for model in fits]


def judge_all(rows: Sequence[Row], fold_of: Mapping[str, int], models: Sequence[LearnedDetector]) -> Sequence[Judged]:
    """Return rows judged, each by the model that has not seen its source."""
    return [judge(row, models[fold_of.get(row.source, FOLDS - 1)]) for row in rows]
