"""The scheduler's ledger: which run of which job began, and how it ended.

In: runs. Out: runs as they are held. Never: a commit; the caller's transaction decides.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, func, insert, select, tuple_, update

from analytics.store.tables import JOB_RUNS

RUNNING, OK, FAILED, ABANDONED = "running", "ok", "failed", "abandoned"


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at a job. slot: when it was due; detail: the type of the error, never its words."""

    job: str
    slot_unix_s: int
    attempt: int
    fence: int
    holder: str
    started_unix_us: int
    finished_unix_us: int | None = None
    result: str = RUNNING
    detail: str = ""


def begin(connection: Connection, run: Run) -> None:
    """Write down that a run begins. Raises: IntegrityError when this attempt was made already."""
    connection.execute(insert(JOB_RUNS), asdict(run))


def finish(connection: Connection, run: Run) -> None:
    """Write down how a run ended."""
    ended = {"finished_unix_us": run.finished_unix_us, "result": run.result, "detail": run.detail}
    key = (JOB_RUNS.c.job == run.job, JOB_RUNS.c.slot_unix_s == run.slot_unix_s, JOB_RUNS.c.attempt == run.attempt)
    connection.execute(update(JOB_RUNS).where(*key).values(ended))


def abandon(connection: Connection, fence: int, now_unix_us: int) -> int:
    """Mark what earlier leaders left running; return how much."""
    left = update(JOB_RUNS).where(JOB_RUNS.c.result == RUNNING, JOB_RUNS.c.fence < fence)
    return connection.execute(left.values(result=ABANDONED, finished_unix_us=now_unix_us)).rowcount


def newest(connection: Connection, jobs: Sequence[str]) -> dict[str, Run]:
    """Return the last attempt at each job, by name; jobs that never ran are absent."""
    rank = func.row_number().over(
        partition_by=JOB_RUNS.c.job, order_by=(JOB_RUNS.c.slot_unix_s.desc(), JOB_RUNS.c.attempt.desc())
    )
    ranked = select(JOB_RUNS, rank.label("rank")).where(JOB_RUNS.c.job.in_(jobs)).subquery()
    columns = [ranked.c[column.name] for column in JOB_RUNS.c]
    found = connection.execute(select(*columns).where(ranked.c.rank == 1))
    return {row.job: Run(*row) for row in found}


def page(connection: Connection, limit: int) -> list[Run]:
    """Return the runs that began last, newest first."""
    newest_first = (JOB_RUNS.c.started_unix_us.desc(), JOB_RUNS.c.attempt.desc(), JOB_RUNS.c.job)
    statement = select(JOB_RUNS).order_by(*newest_first).limit(limit)
    return [Run(*row) for row in connection.execute(statement)]


def prune(connection: Connection, before_unix_s: int) -> int:
    """Forget runs of slots before that time, but never the last attempt at a job; return how many."""
    last = select(JOB_RUNS.c.job, func.max(JOB_RUNS.c.slot_unix_s)).group_by(JOB_RUNS.c.job)
    old = delete(JOB_RUNS).where(
        JOB_RUNS.c.slot_unix_s < before_unix_s, tuple_(JOB_RUNS.c.job, JOB_RUNS.c.slot_unix_s).not_in(last)
    )
    return connection.execute(old).rowcount
