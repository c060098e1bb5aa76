"""What is due, as a table: no clock, no database."""

import pytest

from analytics.schedule.plan import Job, due, slot_of
from analytics.store.job_runs import ABANDONED, FAILED, OK, RUNNING, Run

HOUR = 3_600
JOB = Job("hourly", HOUR, lambda turn: None)


def run(slot: int, result: str = OK, attempt: int = 1, finished_s: float | None = 0.0) -> Run:
    finished = None if finished_s is None else int(finished_s * 1e6)
    return Run("hourly", slot, attempt, 1, "a", 0, finished, result)


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        (None, 100, (0, 1)),
        (run(0), HOUR - 1, None),
        (run(0), HOUR, (HOUR, 1)),
        (run(0), 50 * HOUR + 7, (50 * HOUR, 1)),
        (run(0, RUNNING, finished_s=None), HOUR - 1, None),
        (run(0, RUNNING, finished_s=None), HOUR, (HOUR, 1)),
        (run(0, FAILED, finished_s=10), 69, None),
        (run(0, FAILED, finished_s=10), 70, (0, 2)),
        (run(0, FAILED, attempt=2, finished_s=70), 189, None),
        (run(0, FAILED, attempt=2, finished_s=70), 190, (0, 3)),
        (run(0, FAILED, attempt=3, finished_s=190), HOUR - 1, None),
        (run(0, FAILED, attempt=3, finished_s=190), HOUR, (HOUR, 1)),
        (run(0, ABANDONED, finished_s=10), 10, (0, 2)),
        (run(2 * HOUR), HOUR, None),
    ],
    ids=[
        "never ran: at once",
        "ran in this slot",
        "the next slot begins",
        "after a long downtime once",
        "still running",
        "still running in the next slot: the scheduler holds it back",
        "failed a moment ago",
        "failed a minute ago",
        "failed twice, a little later",
        "failed twice, later still",
        "failed three times",
        "a new slot is a new chance",
        "its leader ended: at once",
        "a clock that went back",
    ],
)
def test_a_run_begins_when_it_is_due(last: Run | None, now: int, expected: tuple[int, int] | None) -> None:
    assert due(JOB, last, now, "salt") == expected


def test_slots_are_moved_by_their_offset() -> None:
    daily = Job("daily", 86_400, lambda turn: None, offset_s=6 * HOUR)
    assert slot_of(daily, 86_400 + 6 * HOUR - 1) == 6 * HOUR
    assert slot_of(daily, 86_400 + 6 * HOUR) == 86_400 + 6 * HOUR


def test_jitter_is_bounded_stands_still_and_differs_by_installation_and_slot() -> None:
    job = Job("hourly", HOUR, lambda turn: None, jitter_s=600)

    def start(slot: int, salt: str) -> int:
        return next(second for second in range(HOUR) if due(job, run(slot - HOUR), slot + second, salt))

    starts = [start(slot * HOUR, salt) for slot in range(1, 6) for salt in ("a", "b")]
    assert starts == [start(slot * HOUR, salt) for slot in range(1, 6) for salt in ("a", "b")]
    assert (max(starts) <= 600, len(set(starts)) > 5) == (True, True)
