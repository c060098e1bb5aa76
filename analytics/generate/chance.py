"""Chance in whole numbers: the same seed draws the same numbers on every machine.

In: a seed and names of what is drawn. Out: arrays of 64-bit integers. Floating point is used only to fill the tables of
a law, once, and rounded there, so that neither the processor's vector unit nor numpy's version of a distribution can
change a record: PCG64's stream of words is numpy's promise (NEP 19), all that follows is integer arithmetic.
Bounds: a draw costs a few nanoseconds; a law's table is 4,097 numbers, its last step ends at the quantile 1 - 2^-22.
Never: a clock, Python's hash.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Words = NDArray[np.uint64]

MILLION = 1_000_000
_STEPS = 4_096
_STEP_BITS, _PART_BITS = 12, 16
_TAIL = 2.0**-22
_NORMAL = NormalDist()


def log_normal(median: float, sigma: float, least: int = 0, most: int = 2**40) -> Integers:
    """Return the law of median * e^(sigma * normal), cut to least..most. Units: those of the median."""
    return _law([median * math.exp(sigma * _NORMAL.inv_cdf(share)) for share in _shares()], least, most)


def weibull(mean: float, shape: float) -> Integers:
    """Return the law of a Weibull variable with this mean."""
    scale = mean / math.gamma(1 + 1 / shape)
    return _law([scale * (-math.log1p(-share)) ** (1 / shape) for share in _shares()], 0, 2**40)


def exponential(mean: float, least: int = 0, most: int = 2**40) -> Integers:
    """Return the law of an exponential variable with this mean, cut to least..most."""
    return _law([-mean * math.log1p(-share) for share in _shares()], least, most)


def _shares() -> list[float]:
    return [_TAIL, *(step / _STEPS for step in range(1, _STEPS)), 1 - _TAIL]


def _law(quantiles: list[float], least: int, most: int) -> Integers:
    return np.array([min(max(round(one), least), most) for one in quantiles], dtype=np.int64)


class Chance:
    """A stream of random integers, named by the numbers it is made from."""

    def __init__(self, *name: int) -> None:
        self._source = np.random.PCG64(np.random.SeedSequence(name))

    def words(self, count: int) -> Words:
        """Return random words of 64 bits."""
        return np.asarray(self._source.random_raw(count), dtype=np.uint64)

    def below(self, limit: int | Integers, count: int) -> Integers:
        """Return numbers 0 <= n < limit. Bounds: limit < 2^32; a number is favoured by at most limit / 2^32."""
        high = self.words(count) >> np.uint64(32)
        return ((high * np.asarray(limit, dtype=np.uint64)) >> np.uint64(32)).astype(np.int64)

    def one(self, limit: int) -> int:
        """Return one number 0 <= n < limit."""
        return int(self.below(limit, 1)[0])

    def happens(self, ppm: int | Integers, count: int) -> Flags:
        """Return True with a chance of ppm in a million, each."""
        return self.below(MILLION, count) < ppm

    def pick(self, cumulative: Integers, count: int) -> Integers:
        """Return places of a list, weighted: cumulative are the weights' running sums. Bounds: their sum < 2^32."""
        return np.searchsorted(cumulative, self.below(int(cumulative[-1]), count), side="right").astype(np.int64)

    def choose(self, weights: Sequence[int], count: int) -> Integers:
        """Return places of a list by its weights."""
        return self.pick(np.cumsum(np.array(weights, dtype=np.int64)), count)

    def draw(self, law: Integers, count: int) -> Integers:
        """Return numbers of a law, interpolated between the steps of its table."""
        return self.draw_each(law[np.newaxis, :], np.zeros(count, dtype=np.int64))

    def draw_each(self, laws: Integers, which: Integers) -> Integers:
        """Return one number of the law laws[which] for each place of `which`."""
        words = self.words(len(which))
        step = (words >> np.uint64(64 - _STEP_BITS)).astype(np.int64)
        part = ((words >> np.uint64(64 - _STEP_BITS - _PART_BITS)) & np.uint64((1 << _PART_BITS) - 1)).astype(np.int64)
        low, high = laws[which, step], laws[which, step + 1]
        return low + (((high - low) * part) >> _PART_BITS)


def mixed(words: Words) -> Words:
    """Return a number that looks like chance for each word: the same for the same.

    Source: the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
