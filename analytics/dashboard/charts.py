"""Charts as values that a template turns into SVG: places and sizes, no markup.

In: numbers. Out: bars with coordinates in a fixed view box. Never: text of records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from analytics.types import Totals

WIDTH, HEIGHT = 960.0, 200.0
GAP_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Bar:
    """One bucket of time: requests, and the blocked and failed ones within; y grows downwards."""

    x: float
    width: float
    y: float
    height: float
    blocked_y: float
    blocked_height: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The bars, the highest number, and the labels below as (x, text)."""

    bars: tuple[Bar, ...]
    top: int
    labels: tuple[tuple[float, str], ...]
    width: float = WIDTH
    height: float = HEIGHT


def timeline(buckets: Sequence[tuple[int, Totals]], grain_s: int) -> Timeline:
    """Return the bars of a timeline, in the order of its buckets."""
    top = max((totals.requests for _, totals in buckets), default=0)
    step = WIDTH / max(1, len(buckets))
    bars = tuple(
        _bar(place * step, step, totals, top, _clock(start, grain_s)) for place, (start, totals) in enumerate(buckets)
    )
    every = max(1, len(buckets) // 8)
    labels = tuple(
        (place * step, _clock(buckets[place][0], grain_s))
        for place in range(0, len(buckets), every)
        if place * step < WIDTH - 40
    )
    return Timeline(bars, top, labels)


def _bar(x: float, step: float, totals: Totals, top: int, when: str) -> Bar:
    height = HEIGHT * totals.requests / top if top else 0.0
    blocked = HEIGHT * totals.outcome_denied / top if top else 0.0
    return Bar(
        x=round(x + step * GAP_SHARE / 2, 2),
        width=round(step * (1 - GAP_SHARE), 2),
        y=round(HEIGHT - height, 2),
        height=round(height, 2),
        blocked_y=round(HEIGHT - blocked, 2),
        blocked_height=round(blocked, 2),
        label=f"{when} UTC: {totals.requests} requests, {totals.outcome_denied} blocked, {totals.errors} failed",
    )


def _clock(unix_s: int, grain_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%d %b" if grain_s >= 86_400 else "%H:%M")
