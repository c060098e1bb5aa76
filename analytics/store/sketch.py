"""A mergeable sketch of latencies: a histogram whose buckets grow by a fixed factor.

In: microseconds. Out: bucket indexes, quantiles in seconds, and the JSON text that a rollup's column holds.
A value v > 0 falls into bucket ceil(log_g(v)) with g = (1 + a) / (1 - a), a = 0.02; a quantile is answered by the
middle of its bucket, so that it is off by at most 2 % of the exact one. Merging adds counts, correcting subtracts them.
Bounds: values from 1 us to an hour fall into at most 552 buckets; only those met are kept.
Source: Masson, Rim, Lee, "DDSketch", PVLDB 12(12), 2019, section 2.1. The PyPI package `ddsketch` 3.0.1 (2024-04) was
looked at and left: it cannot subtract, and an INCOMPLETE record's share must be taken back when its COMPLETE arrives.
"""

import math
from collections.abc import Iterable, Mapping

import msgspec

RELATIVE_ERROR = 0.02
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)

_DECODER = msgspec.json.Decoder(dict[int, int])
_ENCODER = msgspec.json.Encoder()


def index(value_us: int) -> int:
    """Return the bucket of a latency (values below 1 us count as 1 us)."""
    return math.ceil(math.log(value_us) / _LOG_GAMMA) if value_us > 1 else 0


def merge(into: dict[int, int], counts: Mapping[int, int]) -> None:
    """Add counts to `into`, in place; buckets that come to nothing are dropped."""
    for bucket, count in counts.items():
        total = into.get(bucket, 0) + count
        if total:
            into[bucket] = total
        else:
            into.pop(bucket, None)


def quantiles(counts: Mapping[int, int], shares: Iterable[float]) -> list[float | None]:
    """Return the quantiles at the given shares (0..1, ascending) in seconds; None where nothing was counted.

    Bounds: each is within RELATIVE_ERROR of the value of that rank.
    """
    ordered = sorted(counts.items())
    total = sum(count for _, count in ordered)
    return [_quantile(ordered, share * (total - 1)) if total > 0 else None for share in shares]


def _quantile(ordered: list[tuple[int, int]], rank: float) -> float:
    seen = 0
    for bucket, count in ordered:
        seen += count
        if seen > rank:
            return _middle_us(bucket) / 1e6
    return _middle_us(ordered[-1][0]) / 1e6


def _middle_us(bucket: int) -> float:
    return float(2 * _GAMMA**bucket / (_GAMMA + 1))


def encode(counts: Mapping[int, int]) -> str:
    """Return the JSON text of a sketch: bucket -> count, in no order (sorting would cost more than the rest)."""
    return _ENCODER.encode(counts).decode()


def decode(text: str) -> dict[int, int]:
    """Return the sketch that `encode` wrote. Raises: msgspec.DecodeError when it did not."""
    return _DECODER.decode(text)
