"""The jobs, as one literal tuple: what runs by the clock, and how often.

In: the engine and what else a job works with. Out: Job values for the scheduler. Never: work beyond one call.
"""

from sqlalchemy import Engine

from analytics.alerts.service import Alerting
from analytics.config import Settings
from analytics.control.sweep import sweep
from analytics.schedule.plan import Job, Turn
from analytics.store import database, job_runs, retention
from analytics.types import DAY_S, HOUR_S

# Long enough to see what the last month's reports did; a job a minute leaves 43,200 small rows.
LEDGER_DAYS = 30
SWEEP_S = 600
LOOK_S = 30  # rollups move by the minute; half of one is noticed in time


def jobs(engine: Engine, alerting: Alerting, settings: Settings) -> tuple[Job, ...]:
    """Return every job of the service."""
    risk = settings.risk_rule  # of tenants whose policy has none

    def prune_ledger(turn: Turn) -> None:
        with database.writing(engine) as connection:
            turn.guard(connection)
            job_runs.prune(connection, turn.slot_unix_s - LEDGER_DAYS * DAY_S)

    def sweep_control(turn: Turn) -> None:
        with database.writing(engine) as connection:
            turn.guard(connection)
            sweep(connection, risk, turn.slot_unix_s)

    def tend(turn: Turn) -> None:
        retention.tend(engine, retention.keep_of(settings), turn.slot_unix_s, turn.guard)

    return (
        Job("alerts.look", LOOK_S, lambda _turn: alerting.look()),
        Job("alerts.prune", DAY_S, lambda _turn: alerting.prune(), jitter_s=600),
        Job("ledger.prune", DAY_S, prune_ledger, jitter_s=600),
        Job("records.retention", HOUR_S, tend, jitter_s=300),
        Job("control.sweep", SWEEP_S, sweep_control, jitter_s=60),
    )
