"""The installation's version: one row, which every change that sidecars are told moves on.

In: a writing transaction. Out: the version that the change belongs to; what was forgotten.
The one-writer lock (database.writing) gives every change a version of its own, in the order of the commits, whatever
replica writes.
Never: a version that two changes share; a version that goes back.
"""

from sqlalchemy import Connection, select, update

from analytics.store.tables import CONTROL_STATE
from analytics.types.control import ControlState


def read(connection: Connection) -> ControlState:
    """Return how far the installation is."""
    row = connection.execute(
        select(CONTROL_STATE.c.installation, CONTROL_STATE.c.version, CONTROL_STATE.c.forgotten)
    ).one()
    return ControlState(*row)


def advance(connection: Connection) -> int:
    """Return a new version, for the rows that the caller is about to write."""
    moved = update(CONTROL_STATE).values(version=CONTROL_STATE.c.version + 1).returning(CONTROL_STATE.c.version)
    return int(connection.execute(moved).scalar_one())


def forget(connection: Connection, version: int) -> None:
    """Note that changes up to a version may be gone: a sidecar that resumes before it is told everything anew."""
    later = CONTROL_STATE.c.forgotten < version
    connection.execute(update(CONTROL_STATE).where(later).values(forgotten=version))
