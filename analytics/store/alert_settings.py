"""Silences and channels in the store: what administrators made through the API.

In: Silence values, channels with their configuration sealed. Out: the same.
A tenant's administrator sees and changes what is the tenant's own; what holds for every tenant (tenant empty) is seen by
whoever may see everything.
Never: a commit; an unsealed secret.
"""

from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, update

from analytics.store.tables import CHANNELS, SILENCES
from analytics.types.alerts import Channel, Silence

_SILENCE = tuple(one.name for one in fields(Silence))
_CHANNEL = tuple(one.name for one in fields(Channel))


def _own(table: Table, tenant: str | None) -> list[ColumnElement[bool]]:
    return [] if tenant is None else [table.c.tenant == tenant]


def active(connection: Connection, now_unix_us: int) -> list[Silence]:
    """Return the silences that have not ended, every tenant's."""
    statement = select(SILENCES).where(SILENCES.c.ends_unix_us > now_unix_us).order_by(SILENCES.c.silence_id)
    return [_silence(row) for row in connection.execute(statement)]


def silences(connection: Connection, tenant: str | None, limit: int, before: str | None = None) -> list[Silence]:
    """Return at most `limit` silences, newest first, those before the id `before` only."""
    conditions = _own(SILENCES, tenant)
    if before is not None:
        conditions.append(SILENCES.c.silence_id < before)
    statement = select(SILENCES).where(*conditions).order_by(SILENCES.c.silence_id.desc()).limit(limit)
    return [_silence(row) for row in connection.execute(statement)]


def silence(connection: Connection, silence_id: str, tenant: str | None) -> Silence | None:
    """Return one silence, None when there is none that this tenant may see."""
    statement = select(SILENCES).where(SILENCES.c.silence_id == silence_id, *_own(SILENCES, tenant))
    row = connection.execute(statement).first()
    return None if row is None else _silence(row)


def add_silence(connection: Connection, one: Silence) -> None:
    """Write a new silence."""
    connection.execute(insert(SILENCES), {name: getattr(one, name) for name in _SILENCE})


def end_silence(connection: Connection, silence_id: str, now_unix_us: int) -> None:
    """Let a silence end now, if it has not ended."""
    running = (SILENCES.c.silence_id == silence_id, SILENCES.c.ends_unix_us > now_unix_us)
    connection.execute(update(SILENCES).where(*running).values(ends_unix_us=now_unix_us))


def channels(connection: Connection, tenant: str | None) -> list[Channel]:
    """Return the channels that a tenant may see, oldest first."""
    statement = select(CHANNELS).where(*_own(CHANNELS, tenant)).order_by(CHANNELS.c.channel_id)
    return [_channel(row) for row in connection.execute(statement)]


def channel(connection: Connection, channel_id: str, tenant: str | None) -> Channel | None:
    """Return one channel, None when there is none that this tenant may see."""
    statement = select(CHANNELS).where(CHANNELS.c.channel_id == channel_id, *_own(CHANNELS, tenant))
    row = connection.execute(statement).first()
    return None if row is None else _channel(row)


def write_channel(connection: Connection, one: Channel) -> None:
    """Write a channel, new or changed."""
    values = {name: getattr(one, name) for name in _CHANNEL} | {"rules": list(one.rules)}
    changed = update(CHANNELS).where(CHANNELS.c.channel_id == one.channel_id).values(**values)
    if connection.execute(changed, execution_options={"preserve_rowcount": True}).rowcount == 0:
        connection.execute(insert(CHANNELS), values)


def delete_channel(connection: Connection, channel_id: str) -> None:
    """Forget a channel; notices that wait for it are dropped when their turn comes."""
    connection.execute(delete(CHANNELS).where(CHANNELS.c.channel_id == channel_id))


def _silence(row: Any) -> Silence:
    return Silence(**{name: getattr(row, name) for name in _SILENCE})


def _channel(row: Any) -> Channel:
    values = {name: getattr(row, name) for name in _CHANNEL}
    return Channel(**values | {"rules": tuple(row.rules), "enabled": bool(row.enabled)})
