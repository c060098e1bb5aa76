"""What is due: jobs, their slots, and when an attempt may be made. No clock, no I/O.

A job is due once in each slot of `every_s` seconds (counted from 1970 UTC, moved by offset_s). After a downtime, however
long, it is due once and not once for each slot missed. An attempt that failed, or whose leader ended in the middle, is
made again in the same slot, MAX_ATTEMPTS times at most, a little later each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sqlalchemy import Connection

from analytics.store.job_runs import ABANDONED, FAILED, Run

MAX_ATTEMPTS = 3
RETRY_AFTER_S = 60.0  # doubled each time: a database or a provider that restarts is back by then


@dataclass(frozen=True, slots=True)
class Turn:
    """What a job is given for one run.

    guard: call it first in each transaction that writes; it raises StaleFence once another leader exists.
    stopping: True when the run should end early, because we stop or no longer lead.
    """

    slot_unix_s: int
    fence: int
    guard: Callable[[Connection], None]
    stopping: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is done again and again. jitter_s spreads its start, so that not everything happens on the minute."""

    name: str
    every_s: int
    run: Callable[[Turn], None]
    offset_s: int = 0
    jitter_s: float = 0.0


def slot_of(job: Job, now_unix_s: float) -> int:
    """Return the slot that a moment lies in: when it began."""
    return int((now_unix_s - job.offset_s) // job.every_s) * job.every_s + job.offset_s


def due(job: Job, last: Run | None, now_unix_s: float, salt: str) -> tuple[int, int] | None:
    """Return slot and attempt (from 1) of the run that should begin now, None when none should."""
    slot = slot_of(job, now_unix_s)
    if last is None or last.slot_unix_s < slot:
        late = now_unix_s - slot
        return (slot, 1) if late >= _jitter(job, slot, salt) else None
    if last.result not in (FAILED, ABANDONED) or last.attempt >= MAX_ATTEMPTS or last.finished_unix_us is None:
        return None
    wait_s = RETRY_AFTER_S * 2 ** (last.attempt - 1) if last.result == FAILED else 0.0
    return (last.slot_unix_s, last.attempt + 1) if now_unix_s >= last.finished_unix_us / 1e6 + wait_s else None


def _jitter(job: Job, slot: int, salt: str) -> float:
    """Return seconds after the slot's beginning; the same for one slot however often it is asked."""
    return Random(f"{salt}:{job.name}:{slot}").uniform(0.0, min(job.jitter_s, job.every_s / 2))
