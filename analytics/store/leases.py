"""Leases: who may act alone, for how long, and the fence that refuses who acts too late.

In: names, holders, times. Out: fences. A fence is a number that grows with each new holder; a write that asks `guard` in its
own transaction is refused once a later holder exists. So safety never rests on clocks: they decide only how soon somebody
takes over. Source: M. Kleppmann, "How to do distributed locking" (2016), fencing tokens.
Never: a commit; the caller's transaction decides.
"""

from typing import Any

from sqlalchemy import Connection, Update, select, update

from analytics.store import database
from analytics.store.tables import LEASES


class StaleFence(Exception):  # noqa: N818 - named for what it is, STYLE 6
    """A later holder exists; what was about to be written must not be."""


def acquire(connection: Connection, name: str, holder: str, now_unix_us: int, until_unix_us: int) -> int | None:
    """Take a lease that is free, has run out, or is the holder's own; return its new fence, None when it is another's."""
    _ensure(connection, name)
    row = connection.execute(select(LEASES).where(LEASES.c.name == name).with_for_update()).one()
    if row.holder not in ("", holder) and row.until_unix_us > now_unix_us:
        return None
    fence: int = row.fence + 1
    values = {"holder": holder, "fence": fence, "until_unix_us": until_unix_us}
    connection.execute(update(LEASES).where(LEASES.c.name == name).values(values))
    return fence


def renew(connection: Connection, name: str, fence: int, until_unix_us: int) -> bool:
    """Prolong a lease; False when a later holder has it, or it was given back."""
    changed = connection.execute(_mine(name, fence).values(until_unix_us=until_unix_us).where(LEASES.c.holder != ""))
    return changed.rowcount == 1


def release(connection: Connection, name: str, fence: int) -> None:
    """Give a lease back, if it is still held under this fence."""
    connection.execute(_mine(name, fence).values(holder="", until_unix_us=0))


def held_fence(connection: Connection, name: str) -> int:
    """Return the newest fence of a name, 0 before the first."""
    return connection.execute(select(LEASES.c.fence).where(LEASES.c.name == name)).scalar() or 0


def register(connection: Connection, name: str, holder: str, fence: int) -> bool:
    """Make known here a fence that another lock gave out; False when it is no newer than the one known."""
    _ensure(connection, name)
    newer = update(LEASES).where(LEASES.c.name == name, LEASES.c.fence < fence)
    return connection.execute(newer.values(holder=holder, fence=fence, until_unix_us=0)).rowcount == 1


def guard(connection: Connection, name: str, fence: int) -> None:
    """Hold off every later holder until this transaction ends. Raises: StaleFence when there is one already."""
    if connection.execute(_mine(name, fence).values(fence=fence)).rowcount != 1:
        raise StaleFence(f"{name}: fence {fence} is not the newest")


def _mine(name: str, fence: int) -> Update:
    return update(LEASES).where(LEASES.c.name == name, LEASES.c.fence == fence)


def _ensure(connection: Connection, name: str) -> None:
    empty: dict[str, Any] = {"name": name, "holder": "", "fence": 0, "until_unix_us": 0}
    connection.execute(database.insert(connection.dialect, LEASES).values(empty).on_conflict_do_nothing())
