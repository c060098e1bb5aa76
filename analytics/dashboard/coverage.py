"""The coverage section of the dashboard as values: sums, bars, hosts, what cannot be said.

In: the store, a window of the page. Out: what templates/coverage.html shows. Never: markup; text of strangers as anything but text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from analytics.insight import coverage as insight
from analytics.store import coverage
from analytics.types import DAY_S, HOUR_S, Window

SHOWN_HOSTS = 10
WIDTH, HEIGHT = 380.0, 120.0
_GAP_SHARE = 0.25
_LABELS = 4


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: inspected calls (passed), connections passed by (aside), those to LLM hosts (blocked)."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One bucket of time; y grows downwards."""

    x: float
    width: float
    parts: tuple[Part, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars, the highest sum, and the labels below as (x, text)."""

    bars: tuple[Bar, ...]
    top: int
    labels: tuple[tuple[float, str], ...]
    width: float = WIDTH
    height: float = HEIGHT


def numbers(connection: Connection, window: Window, now_unix_s: float) -> dict[str, Any]:
    """Return the section's values for a window, widened to whole hours."""
    grain_s = max(HOUR_S, window.grain_s)
    start, end = window.start_unix_s // HOUR_S * HOUR_S, -(-window.end_unix_s // HOUR_S) * HOUR_S
    view = coverage.read(connection, Window(start, end, grain_s))
    hosts = [(one.workload, host) for one in view.workloads for host in one.hosts]
    hosts.sort(key=lambda pair: (not (pair[1].llm and pair[1].reached), not pair[1].llm, -pair[1].connections))
    sights = insight.sights_of(view)
    return {
        "summary": insight.summarise(view),
        "reporting": any(one.last_seen_unix_s for one in view.workloads),
        "chart": chart(view.timeline, grain_s),
        "hosts": hosts[:SHOWN_HOSTS],
        "hosts_left_out": max(0, len(hosts) - SHOWN_HOSTS),
        "losses": _losses(sights),
        "blind_spots": insight.blind_spots(view, now_unix_s),
    }


def _losses(sights: Any) -> list[tuple[str, int, str]]:
    """Return (kind, count, meaning) of losses that happened; fail-opens have a line of their own."""
    kinds = sorted(kind for kind in sights if kind not in insight.SEEN | insight.FAIL_OPEN)
    found = [(kind, sights[kind], insight.MEANINGS.get(kind, kind.replace("_", " "))) for kind in kinds if sights[kind]]
    return [(kind, count, meaning[:1].upper() + meaning[1:]) for kind, count, meaning in found]


def chart(buckets: Sequence[tuple[int, int, int, int]], grain_s: int) -> Chart:
    """Return the bars of a timeline of (start, calls, connections passed by, of these to LLM hosts)."""
    top = max((calls + passed for _, calls, passed, _ in buckets), default=0)
    step = WIDTH / max(1, len(buckets))
    bars = tuple(_bar(place * step, step, bucket, top, grain_s) for place, bucket in enumerate(buckets))
    every = max(1, len(buckets) // _LABELS)
    labels = tuple(
        (round(place * step, 2), _clock(buckets[place][0], grain_s, len(buckets)))
        for place in range(0, len(buckets), every)
        if place * step < WIDTH - 40
    )
    return Chart(bars, top, labels)


def _bar(x: float, step: float, bucket: tuple[int, int, int, int], top: int, grain_s: int) -> Bar:
    start, calls, passed, llm = bucket
    parts: list[Part] = []
    y = HEIGHT
    # LLM hosts stand at the foot: a few among many others would be a hair on top of a long bar, so they get 3 units at least.
    for kind, count in (("blocked", llm), ("aside", passed - llm), ("passed", calls)):
        if count <= 0 or not top:
            continue
        height = max(HEIGHT * count / top, 3.0 if kind == "blocked" else 0.0)
        y -= height
        parts.append(Part(kind, round(max(0.0, y), 2), round(height, 2)))
    label = f"{_clock(start, grain_s, 0)} UTC: {calls} calls inspected, {passed} connections passed by, {llm} of them to LLM hosts"
    return Bar(round(x + step * _GAP_SHARE / 2, 2), round(step * (1 - _GAP_SHARE), 2), tuple(parts), label)


def _clock(unix_s: int, grain_s: int, buckets: int) -> str:
    moment = datetime.fromtimestamp(unix_s, UTC)
    if grain_s >= DAY_S or buckets > DAY_S // HOUR_S * 2:
        return moment.strftime("%d %b")
    return moment.strftime("%H:%M" if buckets else "%d %b %H:%M")
