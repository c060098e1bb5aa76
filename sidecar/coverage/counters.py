"""Envoy's own counters: the only trace of calls that the sidecar was to see and did not.

In: the admin page's /stats as JSON. Out: Count values, and what they grew by since the last look.
A counter begins at 0 with each Envoy process. Growth counts a new process from 0, and what the old one counted after the last look
died with it; that it did is counted too (`envoy_restarts`).
Never: a sum of ours as a counter of Envoy's.
Source: Envoy 1.40, ext_proc filter statistics and tcp_proxy statistics; ENVOY.md 17. Names tried on a real one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

# What the ext_proc filter counts -> what it means for whoever asks what was not seen.
MEANINGS = {
    "failure_mode_allowed": "calls that Envoy let pass because the sidecar did not answer (observe mode)",
    "message_timeouts": "messages that the sidecar did not answer in time",
    "streams_failed": "exchanges whose stream to the sidecar failed: refused in enforce mode, passed in observe mode",
    "spurious_msgs_received": "answers of the sidecar that Envoy did not expect; the rest of such an exchange goes unseen",
    "server_half_closed": "streams that the sidecar's side ended first: Envoy carries on without it",
    "rejected_header_mutations": "changes to headers that Envoy refused to make",
    "streams_started": "exchanges that Envoy began to show to the sidecar",
    "starts": "times Douane began",
    "clean_stops": "times Douane ended as it was told to",
    "watched_s": "seconds that Envoy was looked at",
    "pass_through_connections": "connections that Envoy counted on pass-through; more than are written down means lost lines",
    "log_write_failed": "writes to a log file that failed: connections passed without a line",
    "lines_unreadable": "lines of the pass-through log, or halves of them, that could not be read",
    "log_shed": "times the pass-through log was emptied unread: the tally could not be written, and the disk would have filled",
    "records_lost": "records that a worker could not write down: what they said is gone (spool full, or its disk failed)",
    "records_rejected": "records that analytics refused for good; they are kept aside in the spool",
    "envoy_restarts": "times Envoy ended unasked: what it counted since the last look, and lines in its memory, are not known",
    "unclean_stops": "times Douane itself was killed: as above, and nothing was looked at until the next start",
}
# Kinds that are no loss: what the others are held against.
SEEN = frozenset({"streams_started", "watched_s", "pass_through_connections", "starts", "clean_stops"})
FILTER = r"ext_proc\.|^tcp\.passed_.*\.downstream_cx_total$|^filesystem\.write_failed$"

_EXT_PROC = re.compile(
    r"http\.([^.]+)\.ext_proc\.(?:.+\.)?(failure_mode_allowed|message_timeouts|streams_failed|spurious_msgs_received"
    r"|server_half_closed|rejected_header_mutations|streams_started)"
)
_TCP = re.compile(r"tcp\.passed_([^.]+)\.downstream_cx_total")


@dataclass(frozen=True, slots=True)
class Count:
    """A counter of one door (empty: of no door in particular) at one moment, or its growth."""

    door: str
    kind: str
    value: int


class _Stat(msgspec.Struct):
    name: str = ""
    value: int = 0


class _Stats(msgspec.Struct):
    stats: list[_Stat]


def read_counters(body: bytes) -> tuple[Count, ...]:
    """Return the counters in an answer of /stats?format=json&type=Counters.

    Raises: msgspec.DecodeError for what is no such answer.
    """
    sums: dict[tuple[str, str], int] = {}
    for stat in msgspec.json.decode(body, type=_Stats).stats:
        if key := _key(stat.name):
            sums[key] = sums.get(key, 0) + stat.value
    return tuple(Count(*key, value) for key, value in sorted(sums.items()))


def _key(name: str) -> tuple[str, str] | None:
    if match := _EXT_PROC.fullmatch(name):
        return match[1].removesuffix("_opened")[:32], match[2]  # a door's plain and its opened connections are one door
    if match := _TCP.fullmatch(name):
        return match[1][:32], "pass_through_connections"
    return ("", "log_write_failed") if name == "filesystem.write_failed" else None


class Growth:
    """What counters grew by between two looks at the same process."""

    def __init__(self) -> None:
        self._process = 0
        self._held: dict[tuple[str, str], int] = {}

    def since(self, process: int, counts: Iterable[Count]) -> tuple[Count, ...]:
        """Return the growth since the last look; process is the id of Envoy's, another one began at 0."""
        found = list(counts)
        restarted = self._process not in (0, process)
        if process != self._process:
            self._process, self._held = process, {}
        grown = [Count(one.door, one.kind, self._grown(one)) for one in found]
        self._held = {(one.door, one.kind): one.value for one in found}
        if restarted:
            grown.append(Count("", "envoy_restarts", 1))
        return tuple(one for one in grown if one.value)

    def _grown(self, count: Count) -> int:
        """A counter that shrank was reset (/reset_counters): all it holds is new."""
        held = self._held.get((count.door, count.kind), 0)
        return count.value - held if count.value >= held else count.value
