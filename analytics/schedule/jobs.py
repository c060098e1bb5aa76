"""The jobs, as one literal tuple: what runs by the clock, and how often.

In: the engine and what else a job works with. Out: Job values for the scheduler. Never: work beyond one call.
"""

from sqlalchemy import Engine

from analytics.schedule.plan import Job, Turn
from analytics.store import database, job_runs
from analytics.types import DAY_S

# Long enough to see what the last month's reports did; a job a minute leaves 43,200 small rows.
LEDGER_DAYS = 30


def jobs(engine: Engine) -> tuple[Job, ...]:
    """Return every job of the service."""

    def prune_ledger(turn: Turn) -> None:
        with database.writing(engine) as connection:
            turn.guard(connection)
            job_runs.prune(connection, turn.slot_unix_s - LEDGER_DAYS * DAY_S)

    return (Job("ledger.prune", DAY_S, prune_ledger, jitter_s=600),)
