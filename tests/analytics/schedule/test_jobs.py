from sqlalchemy import Engine

from analytics.schedule.jobs import LEDGER_DAYS, jobs
from analytics.schedule.plan import Turn
from analytics.store import database, job_runs, sidecars
from analytics.store.job_runs import Run
from analytics.types import DAY_S
from analytics.types.control import SidecarState


def test_names_differ_and_the_ledger_forgets_what_is_old(engine: Engine) -> None:
    listed = {job.name: job for job in jobs(engine)}
    assert len(listed) == len(jobs(engine))
    now = 1_000 * DAY_S
    with database.writing(engine) as connection:
        for slot in (now - (LEDGER_DAYS + 1) * DAY_S, now - LEDGER_DAYS * DAY_S, now):
            job_runs.begin(connection, Run("report", slot, 1, 1, "a", slot * 1_000_000))
    guarded: list[object] = []
    listed["ledger.prune"].run(Turn(now, 1, guarded.append, lambda: False))
    with engine.connect() as connection:
        assert [run.slot_unix_s for run in job_runs.page(connection, 9)] == [now, now - LEDGER_DAYS * DAY_S]
    assert len(guarded) == 1


def test_the_control_channel_is_swept(engine: Engine) -> None:
    listed = {job.name: job for job in jobs(engine)}
    guarded: list[object] = []
    with database.writing(engine) as connection:
        sidecars.tell(connection, [SidecarState("gone", "", 1, 0, ())])
    listed["control.sweep"].run(Turn(1_000 * DAY_S, 1, guarded.append, lambda: False))
    with engine.connect() as connection:
        assert (sidecars.read(connection, None, -1, 9), len(guarded)) == ([], 1)
