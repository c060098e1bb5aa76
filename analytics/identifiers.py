"""Ids that sort by time: UUIDs of version 7 as 32 hex digits.

In: a time, a source of randomness. Out: ids. Source: RFC 9562, 5.7.
"""

import os
from collections.abc import Callable


def time_id(unix_us: int, entropy: Callable[[int], bytes] = os.urandom) -> str:
    """Return a new id of a moment; two of the same millisecond differ by 74 random bits."""
    bits = (unix_us // 1_000 & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(entropy(10))
    bits = bits & ~(0xF << 76) | 7 << 76
    return f"{bits & ~(0b11 << 62) | 0b10 << 62:032x}"
