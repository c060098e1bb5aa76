import math
import statistics

import numpy as np
import pytest

from analytics.generate.chance import MILLION, Chance, exponential, log_normal, mixed, weibull


def test_a_name_draws_the_same_numbers_and_another_name_others() -> None:
    assert Chance(7, 1).below(1_000, 5).tolist() == [770, 111, 189, 159, 431]
    assert Chance(7, 2).below(1_000, 5).tolist() != Chance(7, 1).below(1_000, 5).tolist()


def test_below_stays_below_and_reaches_everything() -> None:
    assert set(Chance(1).below(6, 2_000).tolist()) == {0, 1, 2, 3, 4, 5}
    assert Chance(1).below(2**32 - 1, 1_000).max() < 2**32 - 1


def test_weights_are_kept() -> None:
    picked = np.bincount(Chance(3).choose((5, 0, 15, 80), 20_000), minlength=4) / 20_000
    assert picked.tolist() == pytest.approx([0.05, 0.0, 0.15, 0.80], abs=0.01)
    assert Chance(3).happens(250_000, 20_000).mean() == pytest.approx(0.25, abs=0.01)


def test_a_log_normal_law_has_its_median_its_spread_and_its_tail() -> None:
    drawn = Chance(5).draw(log_normal(1_000_000, 0.5), 100_000)
    assert np.median(drawn) == pytest.approx(1_000_000, rel=0.01)
    assert statistics.pstdev(math.log(one) for one in drawn.tolist()) == pytest.approx(0.5, rel=0.02)
    assert drawn.max() > 1_000_000 * math.exp(3.5 * 0.5)


def test_laws_are_cut_where_they_are_told_to() -> None:
    drawn = Chance(5).draw(log_normal(100, 3.0, 50, 200), 10_000)
    assert (drawn.min(), drawn.max()) == (50, 200)


@pytest.mark.parametrize("law", [exponential(500_000), weibull(500_000, 2.5)])
def test_a_law_has_its_mean(law: np.ndarray) -> None:
    assert Chance(6).draw(law, 100_000).mean() == pytest.approx(500_000, rel=0.02)


def test_each_place_draws_from_its_own_law() -> None:
    laws = np.stack([log_normal(10, 0.01), log_normal(1_000_000, 0.01)])
    small, large, again = Chance(9).draw_each(laws, np.array([0, 1, 0])).tolist()
    assert (small, again) == (10, 10)
    assert 950_000 < large < 1_050_000


def test_mixed_is_splitmix64() -> None:
    """Source: the first output of SplitMix64 seeded with 0 is the finaliser of its first increment."""
    golden = np.array([0x9E3779B97F4A7C15], dtype=np.uint64)
    assert int(mixed(golden)[0]) == 0xE220A8397B1DCDAF
    assert MILLION == 10**6
