"""From the books to the live feed: one notice for each exchange that is decided or has ended.

In: Stored, in the writer's thread. Out: LiveEvents of kind `decision`, with what a list of decisions shows and no content.
Nobody can read more than some lines a second, and a busy installation stores thousands: each tenant gets its notable
exchanges first (refused, edited, high or critical), then ordinary ones, up to a number a second; what was left out is in
the next notice's `left_out`.
Never: a wait, a raise; a prompt, an answer or a match.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from analytics.live.feed import LiveEvent, Publisher
from analytics.types import Change, DecisionRow, Stored

PER_SECOND = 20
NOTABLE_PER_SECOND = 100
MAX_TENANTS = 1_000  # whose left out are remembered; a tenant's name comes with a record
_NOTABLE_ACTIONS = frozenset({"deny", "throttle", "redact"})
_NOTABLE_LEVELS = frozenset({"high", "critical"})


class Notices:
    """A listener of Books. clock returns seconds since 1970 UTC."""

    def __init__(self, feed: Publisher, clock: Callable[[], float]) -> None:
        self._feed = feed
        self._clock = clock
        self._second = 0
        self._sent: Counter[tuple[str, bool]] = Counter()
        self._left_out: Counter[str] = Counter()

    def __call__(self, stored: Stored) -> None:
        """Tell the feed what a batch changed."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._sent.clear()
            if len(self._left_out) > MAX_TENANTS:
                self._left_out.clear()
        events = [event for change in stored.changes if (event := self._notice(change)) is not None]
        if events:
            self._feed.publish(*events)

    def _notice(self, change: Change) -> LiveEvent | None:
        row = change.row
        notable = row.applied in _NOTABLE_ACTIONS or row.level in _NOTABLE_LEVELS
        if self._sent[row.tenant, notable] >= (NOTABLE_PER_SECOND if notable else PER_SECOND):
            self._left_out[row.tenant] += 1
            return None
        self._sent[row.tenant, notable] += 1
        return LiveEvent("decision", row.tenant, _shown(row) | {"left_out": self._left_out.pop(row.tenant, 0)})


def _shown(row: DecisionRow) -> dict[str, Any]:
    """Return what a list of decisions shows of one."""
    names = ("decision_id", "stage", "outcome", "applied", "would_be", "mode", "score", "level", "failure")
    places = ("user", "team", "session", "provider", "model", "endpoint", "door", "http_status", "total_tokens")
    shown = {name: getattr(row, name) for name in (*names, *places, "started_unix_us", "verdict_us", "total_us")}
    return shown | {"threats": sorted({threat.type for threat in row.threats})}
