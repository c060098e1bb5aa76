"""calibrate: knots come from ordinary texts of the same kind; pages about models are left out."""

import numpy as np
import pytest

from sidecar.detectors.learned import KINDS, kind_of
from sidecar.types import Surface
from tests.train import calibrate, corpus
from tests.train.corpus import Row


def row(text: str, surface: str = "user", file: str = "benign", attack: bool = False) -> Row:
    return Row("id", text, attack, file, "", "s", "en", surface, True)


def test_knots_lie_on_the_line_of_the_tail() -> None:
    margins = -np.log10(1 - np.linspace(0, 1, 20_000, endpoint=False))  # a tenth of the texts per unit
    knots = calibrate.knots(margins)
    assert [weight for _, weight in knots] == [weight for _, weight in calibrate.SHARES]
    assert [margin for margin, _ in knots] == pytest.approx(
        [-np.log10(share) for share, _ in calibrate.SHARES], abs=0.05
    )


def test_only_ordinary_rows_count() -> None:
    assert calibrate._ordinary(row("a"))
    assert not calibrate._ordinary(row("a", surface="system"))
    assert not calibrate._ordinary(row("a", attack=True))
    assert not calibrate._ordinary(row("a", file="contested"))


def test_every_kind_is_reached() -> None:
    said = {kind_of(Surface.USER, sentences) for sentences in range(1, 30)}
    data = {kind_of(Surface.DOCUMENT, sentences) for sentences in range(1, 30)}
    assert said | data == set(KINDS)
    assert corpus.FOLDS == 8
