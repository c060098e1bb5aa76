"""The audit trail: who changed what, written in the transaction that changes it.

In: entries. Out: entries as they are held, newest first. Never: a secret; callers leave them out of before and after.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, insert, select

from analytics.identifiers import time_id
from analytics.store.tables import AUDIT


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. action is noun.verb (`policy.activate`), subject names what was changed; tenant empty: all of it."""

    at_unix_us: int
    actor: str
    action: str
    subject: str
    tenant: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def add(connection: Connection, entry: Entry) -> str:
    """Write an entry; return its id."""
    audit_id = time_id(entry.at_unix_us)
    values = {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
    connection.execute(insert(AUDIT), {"audit_id": audit_id} | values)
    return audit_id


def page(
    connection: Connection,
    tenant: str | None,
    limit: int,
    before: str | None = None,
    equal: Mapping[str, str] = MappingProxyType({}),
) -> list[tuple[str, Entry]]:
    """Return at most `limit` entries with their ids, newest first, those before the id `before` only.

    equal narrows to an actor, an action, a subject.
    """
    narrowed = [AUDIT.c[name] == value for name, value in equal.items()]
    statement = select(AUDIT).where(*narrowed).order_by(AUDIT.c.audit_id.desc()).limit(limit)
    if tenant is not None:
        statement = statement.where(AUDIT.c.tenant == tenant)
    if before is not None:
        statement = statement.where(AUDIT.c.audit_id < before)
    rows = [dict(row._mapping) for row in connection.execute(statement)]  # noqa: SLF001 - SQLAlchemy's public name
    return [(row.pop("audit_id"), Entry(**row)) for row in rows]
