import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.store import sketch


def _of(values: list[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        sketch.merge(counts, {sketch.index(value): 1})
    return counts


@given(st.lists(st.integers(1, 3_600_000_000), min_size=1, max_size=300), st.floats(0, 1))
def test_quantile_is_within_the_stated_error(values: list[int], share: float) -> None:
    exact = sorted(values)[int(share * (len(values) - 1))] / 1e6
    (estimate,) = sketch.quantiles(_of(values), [share])
    assert estimate == pytest.approx(exact, rel=sketch.RELATIVE_ERROR * 1.001)


def test_merging_equals_counting_together_and_subtracting_takes_it_back() -> None:
    rng = random.Random(1)
    first, second = ([rng.randrange(1, 10_000_000) for _ in range(500)] for _ in range(2))
    merged = _of(first)
    sketch.merge(merged, _of(second))
    assert merged == _of(first + second)
    sketch.merge(merged, {bucket: -count for bucket, count in _of(second).items()})
    assert merged == _of(first)


def test_text_holds_the_whole_sketch() -> None:
    counts = _of([1, 500, 500, 3_600_000_000])
    assert sketch.decode(sketch.encode(counts)) == counts


def test_nothing_counted_has_no_quantile() -> None:
    assert sketch.quantiles({}, [0.5, 0.95]) == [None, None]


def test_zero_counts_as_the_least() -> None:
    assert sketch.index(0) == sketch.index(1) == 0
