"""The acceptance of secrets: of 500 in ordinary carriers 97 % are found, of what is reported 98 % are secrets."""

from sidecar.detectors import scan_segment
from sidecar.types import Segment, Surface, ThreatType
from tests.sidecar.detectors.leaks_corpus import look_alikes, secrets

RECALL_MIN, PRECISION_MIN = 0.97, 0.98


def reported(text: str) -> bool:
    return any(one.type is ThreatType.SECRET_LEAK for one in scan_segment(Segment(text, Surface.USER)))


def test_recall_and_precision() -> None:
    missed = [text for text in secrets() if not reported(text)]
    wrong = [text for text in look_alikes() if reported(text)]
    found = 500 - len(missed)
    recall, precision = found / 500, found / (found + len(wrong))
    print(f"secrets: recall {recall:.3f}, precision {precision:.3f} ({len(missed)} missed, {len(wrong)} wrong)")
    assert recall >= RECALL_MIN, missed[:10]
    assert precision >= PRECISION_MIN, wrong[:10]


def test_the_corpus_is_varied_and_the_same_every_time() -> None:
    assert list(secrets()) == list(secrets())
    assert len(set(secrets())) == 500
    assert len(set(look_alikes())) > 450
