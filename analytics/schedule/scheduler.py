"""The scheduler: while this process leads, it runs what is due, each job in a thread of its own and never twice at once.

In: jobs, a leader, the database for the ledger. Out: runs, in the ledger, the log and the metrics.
A loop of our own rather than APScheduler 3: what matters here (one leader, a fence in every write, a ledger, once and
not fifty times after a downtime) would all stand beside it, its job store pickles functions, and what remained is `plan`.
Never: a run without its row; a raise out of a job.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Thread

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from analytics.schedule.leader import NAME, Leader
from analytics.schedule.plan import Job, Turn, due
from analytics.store import database, job_runs, leases
from analytics.store.job_runs import FAILED, OK, Run
from analytics.store.leases import StaleFence

LOOK_EVERY_S = 1.0
# From a sweep of alerts to a night's fit of models.
RUN_EDGES_S = (0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0)
_LOG = logging.getLogger("analytics.schedule")


class ScheduleMetrics:
    """What the scheduler counts. Labels: the jobs' names, a literal list; results are a closed set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leads = Gauge("douane_scheduler_leads", "1 while this process leads.", registry=registry)
        self.runs = Counter("douane_job_runs", "Runs that ended, by how.", ("job", "result"), registry=registry)
        self.seconds = Histogram(
            "douane_job_seconds", "Time a run took.", ("job",), buckets=RUN_EDGES_S, registry=registry
        )
        self.last_ok = Gauge(
            "douane_job_last_success_timestamp_seconds", "When a job last went well.", ("job",), registry=registry
        )


@dataclass(frozen=True, slots=True)
class Office:
    """Where the scheduler works. clock: seconds since 1970 UTC; holder: this process's name, never used by another."""

    engine: Engine
    clock: Callable[[], float]
    holder: str
    metrics: ScheduleMetrics


class Scheduler:
    """Runs jobs. Raises ValueError when two have one name."""

    def __init__(self, jobs: Sequence[Job], leader: Leader, office: Office) -> None:
        self._jobs = {job.name: job for job in jobs}
        if len(self._jobs) < len(jobs):
            raise ValueError("two jobs have the same name")
        self._leader = leader
        self._office = office
        self._stopping = Event()
        self._running: dict[str, Thread] = {}
        self._last: dict[str, Run] = {}
        self._led: int | None = None
        self._thread = Thread(target=self._loop, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Start nothing more, tell the runs to end, wait for them; then let another lead, unless a run did not end."""
        self._stopping.set()
        self._thread.join(grace_s)
        for thread in self._running.values():
            thread.join(grace_s)
        if any(thread.is_alive() for thread in (self._thread, *self._running.values())):
            _LOG.warning("scheduler.still_running", extra={"jobs": sorted(self._running)})
        else:
            self._leader.resign()
        self._office.metrics.leads.set(0)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except SQLAlchemyError as error:
                _LOG.warning("scheduler.failed", extra={"error": type(error).__name__})
            except Exception:  # noqa: BLE001 - the rim: whatever it is, the next look may go well
                _LOG.exception("scheduler.failed")
            self._stopping.wait(LOOK_EVERY_S)

    def look(self) -> None:
        """Keep the lead, and begin what is due. Raises: SQLAlchemyError."""
        fence = self._leader.tick()
        self._office.metrics.leads.set(0 if fence is None else 1)
        if fence is None:
            return
        if fence != self._led:
            self._take_over(fence)
        self._running = {name: thread for name, thread in self._running.items() if thread.is_alive()}
        for job in self._jobs.values():
            found = due(job, self._last.get(job.name), self._office.clock(), self._office.holder)
            if found is not None and job.name not in self._running:
                self._begin(job, fence, *found)

    def _take_over(self, fence: int) -> None:
        """Read what earlier leaders ran, and give up for them what they left in the middle."""
        with database.writing(self._office.engine) as connection:
            leases.guard(connection, NAME, fence)
            left = job_runs.abandon(connection, fence, int(self._office.clock() * 1e6))
            self._last = job_runs.newest(connection, tuple(self._jobs))
        self._led = fence
        _LOG.info("scheduler.leads", extra={"fence": fence, "abandoned": left})

    def _begin(self, job: Job, fence: int, slot: int, attempt: int) -> None:
        run = Run(job.name, slot, attempt, fence, self._office.holder, int(self._office.clock() * 1e6))
        with database.writing(self._office.engine) as connection:
            leases.guard(connection, NAME, fence)
            job_runs.begin(connection, run)
        self._last[job.name] = run
        thread = Thread(target=self._run, args=(job, run), name=f"job-{job.name}", daemon=True)
        self._running[job.name] = thread
        thread.start()

    def _run(self, job: Job, run: Run) -> None:
        guard = partial(_guard, fence=run.fence)
        turn = Turn(
            run.slot_unix_s, run.fence, guard, lambda: self._stopping.is_set() or self._leader.fence != run.fence
        )
        result, detail = OK, ""
        try:
            job.run(turn)
        except Exception as error:  # noqa: BLE001 - the rim: a job's fault is written down, and the job runs again
            result, detail = FAILED, type(error).__name__
            _LOG.exception("job.failed", extra={"job": job.name, "slot_unix_s": run.slot_unix_s})
        ended = replace(run, finished_unix_us=int(self._office.clock() * 1e6), result=result, detail=detail)
        self._ended(ended)

    def _ended(self, run: Run) -> None:
        seconds = ((run.finished_unix_us or run.started_unix_us) - run.started_unix_us) / 1e6
        metrics = self._office.metrics
        metrics.runs.labels(run.job, run.result).inc()
        metrics.seconds.labels(run.job).observe(seconds)
        if run.result == OK:
            metrics.last_ok.labels(run.job).set(self._office.clock())
        _LOG.info("job.ended", extra={"job": run.job, "result": run.result, "seconds": round(seconds, 3)})
        try:
            with database.writing(self._office.engine) as connection:
                leases.guard(connection, NAME, run.fence)
                job_runs.finish(connection, run)
        except (SQLAlchemyError, StaleFence) as error:  # it stays "running" there, and the next leader gives it up
            _LOG.warning("job.unwritten", extra={"job": run.job, "error": type(error).__name__})
        if self._led == run.fence:
            self._last[run.job] = run


def _guard(connection: Connection, fence: int) -> None:
    leases.guard(connection, NAME, fence)
