import time

from sqlalchemy import Engine

from analytics import config
from analytics.alerts import service
from analytics.ingest.decode import decode
from analytics.schedule.jobs import LEDGER_DAYS, jobs
from analytics.schedule.plan import Job, Turn
from analytics.store import alerts, database, job_runs, records, sidecars
from analytics.store.job_runs import Run
from analytics.types import DAY_S
from analytics.types.control import SidecarState
from tests.analytics.control.steering import activate, books, row
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record


def made(engine: Engine) -> tuple[Job, ...]:
    settings = config.load()
    return jobs(engine, service.build(settings, engine, lambda: 1_000.0 * DAY_S), settings)


def test_names_differ_and_the_ledger_forgets_what_is_old(engine: Engine) -> None:
    listed = {job.name: job for job in made(engine)}
    assert len(listed) == len(made(engine))
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
    listed = {job.name: job for job in made(engine)}
    guarded: list[object] = []
    with database.writing(engine) as connection:
        sidecars.tell(connection, [SidecarState("gone", "", 1, 0, ())])
    listed["control.sweep"].run(Turn(1_000 * DAY_S, 1, guarded.append, lambda: False))
    with engine.connect() as connection:
        assert (sidecars.read(connection, None, -1, 9), len(guarded)) == ([], 1)


def test_rollups_are_looked_at_for_alerts(engine: Engine) -> None:
    activate(engine, "budgets: [{name: calls, unit: requests, window: day, limit: 1}]")
    books(engine, time.time).store([row(1, at_us=time.time_ns() // 1_000 - BEGAN_UNIX_US)])
    alerting = service.build(config.load(), engine, time.time)
    listed = {job.name: job for job in jobs(engine, alerting, config.load())}
    listed["alerts.look"].run(Turn(0, 1, lambda _connection: None, lambda: False))
    with engine.connect() as connection:
        assert [one.rule for one in alerts.page(connection, alerts.Filter(), None, 9)] == ["budget"]
    listed["alerts.prune"].run(Turn(0, 1, lambda _connection: None, lambda: False))
    alerting.client.close()


def test_old_records_go(engine: Engine) -> None:
    listed = {job.name: job for job in made(engine)}
    started = 1_600_000_000_000_000
    old = decode(record(1, decision_id=decision_id(1, started), timings={"started_unix_us": started}))
    books(engine, time.time).store([old])
    guarded: list[object] = []
    listed["records.retention"].run(Turn(int(time.time()), 1, guarded.append, lambda: False))
    with engine.connect() as connection:
        assert records.read(connection, [old.decision_id]) == {}
    assert guarded
