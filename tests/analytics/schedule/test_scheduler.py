"""The scheduler over a real database: what runs, how often, what the ledger says, and who is refused."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from analytics.schedule.leader import NAME, DatabaseLock, Leader
from analytics.schedule.plan import Job, Turn
from analytics.schedule.scheduler import Office, ScheduleMetrics, Scheduler
from analytics.store import database, job_runs, leases
from analytics.store.job_runs import ABANDONED, FAILED, OK, Run
from analytics.store.leases import StaleFence

MINUTE = 60
BEGAN = 1_795_000_000  # 20 s into a minute


class Replica:
    """One process's scheduler; its clock stands until it is moved. Its lease never runs out by itself."""

    def __init__(self, engine: Engine, name: str, *jobs: Job, now: float = BEGAN) -> None:
        self.now = now
        self.registry = CollectorRegistry()
        self.engine = engine
        office = Office(engine, lambda: self.now, name, ScheduleMetrics(self.registry))
        self.leader = Leader(DatabaseLock(engine, name, lambda: self.now), time.monotonic)
        self.scheduler = Scheduler(jobs, self.leader, office)

    def look(self) -> None:
        """Look once, and wait for what it began."""
        self.scheduler.look()
        for thread in self.scheduler._running.values():
            thread.join(5)

    def runs(self) -> list[tuple[str, int, int, str]]:
        with self.engine.connect() as connection:
            found = job_runs.page(connection, 100)
        return [(run.job, run.slot_unix_s - BEGAN, run.attempt, run.result) for run in reversed(found)]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def counting() -> tuple[list[Turn], Callable[[Turn], None]]:
    turns: list[Turn] = []
    return turns, turns.append


def test_a_job_runs_once_a_slot_and_once_after_a_downtime(engine: Engine) -> None:
    turns, run = counting()
    replica = Replica(engine, "one", Job("sweep", MINUTE, run))
    for move in (0, 10, 30, 1, 600 * MINUTE, 1):
        replica.now += move
        replica.look()
    slots = [turn.slot_unix_s - BEGAN for turn in turns]
    assert slots == [-40, 20, 20 + 600 * MINUTE]
    assert replica.runs() == [("sweep", slot, 1, OK) for slot in slots]
    assert replica.value("douane_job_runs_total", job="sweep", result=OK) == 3
    assert replica.value("douane_job_last_success_timestamp_seconds", job="sweep") == replica.now - 1
    assert replica.value("douane_scheduler_leads") == 1


def test_only_the_leader_runs_and_a_new_one_does_not_repeat(engine: Engine) -> None:
    turns, run = counting()
    one, two = (Replica(engine, name, Job("sweep", MINUTE, run)) for name in ("one", "two"))
    one.look()
    two.look()
    assert (len(turns), two.value("douane_scheduler_leads")) == (1, 0)
    one.scheduler.start()
    one.scheduler.stop(5)
    time.sleep(0)
    two.leader._renew_at = 0
    two.look()
    assert (len(turns), two.value("douane_scheduler_leads")) == (1, 1)
    two.now += MINUTE
    two.look()
    assert [turn.fence for turn in turns] == [1, 2]


def test_a_failure_is_written_down_and_tried_again_later(engine: Engine) -> None:
    def fail(_turn: Turn) -> None:
        raise ValueError("never written down: it may quote content")

    turns, run = counting()
    replica = Replica(engine, "one", Job("fails", 86_400, fail), Job("works", 86_400, run))
    for move in (0, 59, 1, 119, 1, 9_000):
        replica.now += move
        replica.look()
    slot = -(BEGAN % 86_400)
    failed = [("fails", slot, attempt, FAILED) for attempt in (1, 2, 3)]
    assert replica.runs() == [("works", slot, 1, OK), *failed]
    with engine.connect() as connection:
        assert {run.detail for run in job_runs.page(connection, 10)} == {"ValueError", ""}
    assert len(turns) == 1


def test_a_job_that_takes_long_holds_up_itself_only(engine: Engine) -> None:
    go_on = threading.Event()
    turns: list[Turn] = []

    def wait(turn: Turn) -> None:
        turns.append(turn)
        go_on.wait(5)

    quick_turns, quick = counting()
    replica = Replica(engine, "one", Job("long", MINUTE, wait), Job("quick", MINUTE, quick))
    for _ in range(3):
        replica.scheduler.look()
        replica.scheduler._running["quick"].join(5)
        replica.now += MINUTE
    assert (len(turns), len(quick_turns)) == (1, 3)
    go_on.set()
    replica.look()
    replica.look()
    assert len(turns) == 2


def test_what_a_killed_leader_left_is_given_up_and_run_again(engine: Engine) -> None:
    left = Run("sweep", BEGAN - 40, 1, 1, "killed", BEGAN * 1_000_000)
    with database.writing(engine) as connection:
        leases.acquire(connection, NAME, "killed", 0, BEGAN * 1_000_000)
        job_runs.begin(connection, left)
    turns, run = counting()
    replica = Replica(engine, "next", Job("sweep", MINUTE, run))
    replica.look()
    assert replica.runs() == [("sweep", -40, 1, ABANDONED), ("sweep", -40, 2, OK)]
    assert [turn.fence for turn in turns] == [2]


def test_a_leader_that_was_overtaken_writes_nothing_more(engine: Engine) -> None:
    seen: list[object] = []

    def overtaken(turn: Turn) -> None:
        with database.writing(engine) as connection:
            leases.acquire(connection, NAME, "other", (BEGAN + 100) * 1_000_000, (BEGAN + 200) * 1_000_000)
        seen.append(turn.stopping())
        with database.writing(engine) as connection:
            turn.guard(connection)
            seen.append("must not be reached")

    replica = Replica(engine, "one", Job("sweep", MINUTE, overtaken))
    replica.look()
    assert seen == [False]  # it does not know yet; the fence does
    with engine.connect() as connection:
        (run,) = job_runs.page(connection, 10)
    assert run == replace(run, result="running", finished_unix_us=None)
    with pytest.raises(StaleFence), database.writing(engine) as connection:
        leases.guard(connection, NAME, 1)


def test_stopping_tells_the_runs_and_gives_the_lead_back(sqlite_engine: Engine) -> None:
    begun = threading.Event()

    def until_told(turn: Turn) -> None:
        begun.set()
        while not turn.stopping():
            time.sleep(0.01)

    replica = Replica(sqlite_engine, "one", Job("long", MINUTE, until_told))
    replica.scheduler.start()
    assert begun.wait(5)
    replica.scheduler.stop(5)
    assert [result for *_, result in replica.runs()] == [OK]
    assert Replica(sqlite_engine, "two").leader.tick() == 2


def test_two_jobs_of_one_name_are_refused(sqlite_engine: Engine) -> None:
    job = Job("twice", MINUTE, lambda turn: None)
    with pytest.raises(ValueError, match="same name"):
        Replica(sqlite_engine, "one", job, job)
