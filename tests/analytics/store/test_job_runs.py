from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from analytics.store import database, job_runs
from analytics.store.job_runs import ABANDONED, OK, Run

RUN = Run("report", 86_400, 1, 3, "host-1", 86_400_000_000)


def test_the_ledger_keeps_how_each_run_began_and_ended(engine: Engine) -> None:
    done = replace(RUN, finished_unix_us=86_401_000_000, result=OK)
    later = replace(RUN, slot_unix_s=172_800, started_unix_us=172_800_000_000)
    other = replace(RUN, job="sweep", attempt=2)
    with database.writing(engine) as connection:
        for run in (RUN, later, replace(other, attempt=1), other):
            job_runs.begin(connection, run)
        job_runs.finish(connection, done)
        assert job_runs.newest(connection, ("report", "sweep", "never")) == {"report": later, "sweep": other}
        assert job_runs.page(connection, 3)[::2] == [later, done]
        assert job_runs.abandon(connection, 3, 9) == 0
        assert job_runs.abandon(connection, 4, 9) == 3
        given_up = replace(later, result=ABANDONED, finished_unix_us=9)
        assert job_runs.page(connection, 3)[::2] == [given_up, done]
        assert job_runs.prune(connection, 999_999) == 1  # the last attempts stay, however old
        assert job_runs.newest(connection, ("report",)) == {"report": given_up}


def test_an_attempt_is_made_once(engine: Engine) -> None:
    with database.writing(engine) as connection:
        job_runs.begin(connection, RUN)
    with pytest.raises(IntegrityError), database.writing(engine) as connection:
        job_runs.begin(connection, RUN)
