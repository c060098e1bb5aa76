"""Who leads, and what the scheduler ran.

Shape: fence grows with each new leader and never goes back; a job's run is named by its slot (when it was due) and attempt.
"""

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from analytics.store.tables.metadata import METADATA

LEASES = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("until_unix_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

JOB_RUNS = Table(
    "job_runs",
    METADATA,
    Column("job", Text, primary_key=True),
    Column("slot_unix_s", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("fence", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("started_unix_us", BigInteger, nullable=False),
    Column("finished_unix_us", BigInteger),
    Column("result", Text, nullable=False),  # running, ok, failed, abandoned
    Column("detail", Text, nullable=False),
    sqlite_with_rowid=False,
)
