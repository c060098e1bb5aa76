"""memo: each text is looked at once, per surface; bounded; failures are not remembered; no text is kept."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.risk import memo as memo_module
from sidecar.risk.memo import Memo
from sidecar.types import Finding, Segment, Span, Surface, ThreatType

FINDING = Finding(ThreatType.JAILBREAK, "d", "a.b", Span(0, 1), 5.0)


class Looking:
    """Counts how often it looks."""

    def __init__(self, found: tuple[Finding, ...] = (FINDING,)) -> None:
        self.found, self.seen = found, list[str]()

    def __call__(self, segment: Segment) -> tuple[Finding, ...]:
        self.seen.append(segment.text)
        return self.found


def test_a_text_is_looked_at_once() -> None:
    memo, look = Memo(b"k"), Looking()
    answers = [memo.findings(Segment("hello", Surface.USER, index, f"/{index}"), look) for index in range(3)]
    assert (answers, look.seen) == ([(FINDING,)] * 3, ["hello"])


def test_another_surface_is_another_text() -> None:
    memo, look = Memo(b"k"), Looking()
    for surface in Surface:
        memo.findings(Segment("hello", surface), look)
    assert len(look.seen) == len(Surface)


def test_the_oldest_is_forgotten_first() -> None:
    memo, look = Memo(b"k", entries_max=2), Looking()
    for text in ("a", "b", "a", "c", "a", "b"):
        memo.findings(Segment(text, Surface.USER), look)
    assert (len(memo), look.seen) == (2, ["a", "b", "c", "b"])


def test_findings_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo_module, "FINDINGS_MAX", 10)
    memo, look = Memo(b"k"), Looking((FINDING,) * 4)
    for number in range(5):
        memo.findings(Segment(str(number), Surface.USER), look)
    assert len(memo) == 2


def test_what_failed_is_tried_again() -> None:
    memo = Memo(b"k")

    def fails(_segment: Segment) -> tuple[Finding, ...]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        memo.findings(Segment("a", Surface.USER), fails)
    assert (memo.findings(Segment("a", Surface.USER), Looking()), len(memo)) == ((FINDING,), 1)


def test_no_text_is_kept() -> None:
    memo = Memo(b"k")
    memo.findings(Segment("a secret sentence", Surface.USER), Looking())
    assert not [kept for kept in gc.get_referents(memo._known) if "secret" in repr(kept)]


@given(st.text(), st.text())
def test_different_texts_have_different_digests(first: str, second: str) -> None:
    memo = Memo(b"k")
    same = memo._digest(Segment(first, Surface.USER)) == memo._digest(Segment(second, Surface.USER))
    assert same == (first == second)
