"""Which sidecars there are, what they hold and which policies are in force in each.

In: what sidecars tell on their watch. Out: the same, by the tenant they serve.
Never: decides anything by it; it is for people to look at, and for the alert on sidecars that are silent.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import database
from analytics.store.tables import SIDECARS
from analytics.types.control import SidecarState

_COLUMNS = tuple(column.name for column in SIDECARS.c)
_VALUES = attrgetter(*(name for name in _COLUMNS if name != "policies"))
_JSON = msgspec.json.Encoder()


def tell(connection: Connection, states: Iterable[SidecarState]) -> None:
    """Hold what sidecars told last."""
    rows = [(*_VALUES(one), _JSON.encode(one.policies).decode()) for one in states]
    database.write_many(connection, _upsert(connection.dialect), _COLUMNS, rows)


@cache
def _upsert(dialect: Dialect) -> Any:
    statement = database.insert(dialect, SIDECARS)
    changed = {name: statement.excluded[name] for name in _COLUMNS if name != "sidecar"}
    return statement.on_conflict_do_update(index_elements=[SIDECARS.c.sidecar], set_=changed)


def touch(connection: Connection, versions: Sequence[tuple[str, int]], now_unix_us: int) -> None:
    """Note that sidecars are still there, each with the version it holds."""
    if versions:
        known = SIDECARS.c.sidecar == bindparam("name")
        statement = update(SIDECARS).where(known).values(version=bindparam("held"), seen_unix_us=now_unix_us)
        connection.execute(statement, [{"name": name, "held": held} for name, held in versions])


def read(connection: Connection, tenant: str | None, seen_after_unix_us: int, limit: int) -> list[SidecarState]:
    """Return sidecars seen after a moment, by name. tenant: those that serve it, alone or among others; None: all."""
    statement = select(*SIDECARS.c).where(SIDECARS.c.seen_unix_us > seen_after_unix_us).order_by(SIDECARS.c.sidecar)
    if tenant is not None:
        statement = statement.where(SIDECARS.c.tenant.in_([tenant, ""]))
    found: list[SidecarState] = []
    for sidecar, served, version, seen_unix_us, policies in connection.execute(statement.limit(limit)):
        found.append(SidecarState(sidecar, served, version, seen_unix_us, tuple(policies)))
    return found


def forget(connection: Connection, before_unix_us: int) -> int:
    """Remove sidecars not seen since a moment; return how many."""
    return connection.execute(delete(SIDECARS).where(SIDECARS.c.seen_unix_us < before_unix_us)).rowcount
