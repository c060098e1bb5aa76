"""The outbox: notices that wait for their channel, claimed by one replica at a time.

In: moments, a lease. Out: Outgoing values. A claim is a compare-and-set on the row: of two replicas that want one notice, the
second changes no row. A lease ends by itself, so that what a killed process had in hand is sent by the next one: at least once,
under the same delivery_id. `settle` writes only under its own lease: who lost it, changes nothing.
Never: a commit; the caller's transaction decides. No lock is held while a channel is told.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, insert, select, update

from analytics.store.tables import DELIVERIES
from analytics.types.alerts import Outgoing

_NAMES = tuple(one.name for one in fields(Outgoing))
_PENDING = DELIVERIES.c.state == "pending"


def due(connection: Connection, now_unix_us: int, busy: Collection[str], limit: int) -> list[Outgoing]:
    """Return notices whose turn has come, oldest first, at most one a channel, none of the busy channels."""
    first = func.min(DELIVERIES.c.delivery_id).label("delivery_id")
    ready = [_PENDING, DELIVERIES.c.due_unix_us <= now_unix_us, DELIVERIES.c.leased_until_unix_us <= now_unix_us]
    if busy:
        ready.append(DELIVERIES.c.channel_id.not_in(sorted(busy)))
    oldest = select(first).where(*ready).group_by(DELIVERIES.c.channel_id).order_by(first).limit(limit)
    return _read(connection, DELIVERIES.c.delivery_id.in_(oldest))


def next_unix_us(connection: Connection, busy: Collection[str]) -> int | None:
    """Return when the next notice is due or its lease ends, None when none waits."""
    later = func.min(_later(DELIVERIES.c.due_unix_us, DELIVERIES.c.leased_until_unix_us, connection))
    statement = select(later).where(_PENDING)
    if busy:
        statement = statement.where(DELIVERIES.c.channel_id.not_in(sorted(busy)))
    found = connection.execute(statement).scalar()
    return None if found is None else int(found)


def _later(one: Any, other: Any, connection: Connection) -> Any:
    return func.greatest(one, other) if connection.dialect.name == "postgresql" else func.max(one, other)


def claim(connection: Connection, one: Outgoing, lease: str, now_unix_us: int, until_unix_us: int) -> bool:
    """Take a notice for oneself; return False when somebody else has it, or it no longer waits."""
    free = DELIVERIES.c.leased_until_unix_us <= now_unix_us
    statement = update(DELIVERIES).where(DELIVERIES.c.delivery_id == one.delivery_id, _PENDING, free)
    taken = statement.values(lease=lease, leased_until_unix_us=until_unix_us)
    return connection.execute(taken, execution_options={"preserve_rowcount": True}).rowcount == 1


def settle(connection: Connection, one: Outgoing, lease: str) -> bool:
    """Write what became of a claimed notice, as the value says; return False when the lease was lost."""
    names = ("state", "attempts", "due_unix_us", "finished_unix_us", "detail")
    values = {name: getattr(one, name) for name in names} | {"lease": "", "leased_until_unix_us": 0}
    own = (DELIVERIES.c.delivery_id == one.delivery_id, DELIVERIES.c.lease == lease, _PENDING)
    options = {"preserve_rowcount": True}
    return connection.execute(update(DELIVERIES).where(*own).values(**values), execution_options=options).rowcount == 1


def release(connection: Connection, leases: Collection[str]) -> None:
    """Give back what was claimed and not sent."""
    own = DELIVERIES.c.lease.in_(sorted(leases))
    connection.execute(update(DELIVERIES).where(_PENDING, own).values(lease="", leased_until_unix_us=0))


def again(connection: Connection, delivery_id: str, now_unix_us: int) -> bool:
    """Give a notice that was given up another round; return False when it is none of those."""
    failed = (DELIVERIES.c.delivery_id == delivery_id, DELIVERIES.c.state == "failed")
    fresh = {"state": "pending", "attempts": 0, "created_unix_us": now_unix_us, "due_unix_us": now_unix_us}
    statement = update(DELIVERIES).where(*failed).values(**fresh, finished_unix_us=None, detail="")
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def add(connection: Connection, one: Outgoing) -> None:
    """Put one notice into the outbox."""
    connection.execute(insert(DELIVERIES), {name: getattr(one, name) for name in _NAMES})


def of_alert(connection: Connection, alert_id: str) -> list[Outgoing]:
    """Return the notices of an alert, oldest first."""
    return _read(connection, DELIVERIES.c.alert_id == alert_id)


def read(connection: Connection, delivery_id: str, tenant: str | None) -> Outgoing | None:
    """Return one notice, None when there is none that this tenant may see."""
    return next(iter(_read(connection, DELIVERIES.c.delivery_id == delivery_id, *_of(tenant))), None)


def page(
    connection: Connection, state: str | None, tenant: str | None, limit: int, before: str | None = None
) -> list[Outgoing]:
    """Return at most `limit` notices of a state, newest first, those before the id `before` only."""
    conditions = _of(tenant)
    if state is not None:
        conditions.append(DELIVERIES.c.state == state)
    if before is not None:
        conditions.append(DELIVERIES.c.delivery_id < before)
    statement = select(DELIVERIES).where(*conditions).order_by(DELIVERIES.c.delivery_id.desc()).limit(limit)
    return _rows(connection.execute(statement).all())


def _of(tenant: str | None) -> list[ColumnElement[bool]]:
    return [] if tenant is None else [DELIVERIES.c.tenant == tenant]


def _read(connection: Connection, *conditions: ColumnElement[bool]) -> list[Outgoing]:
    statement = select(DELIVERIES).where(*conditions).order_by(DELIVERIES.c.delivery_id)
    return _rows(connection.execute(statement).all())


def _rows(rows: Sequence[Any]) -> list[Outgoing]:
    return [Outgoing(**{name: getattr(row, name) for name in _NAMES}) for row in rows]


@contextmanager
def changing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction of its own, for claims and settlements.

    They are compare-and-sets of single rows, so on PostgreSQL they do without the one writer's lock, which ingest holds.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection
