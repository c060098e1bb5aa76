"""What the endpoints of alerts share: the desk, ids, texts, moments, the audit row of a change.

In: a request. Out: the Desk put on the application (`application.state.desk`), or one of its own where none was put.
Never: a thread; the desk here writes, the dispatcher of app.py tells.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from pydantic import StringConstraints
from sqlalchemy import Connection

from analytics.access.principal import Principal
from analytics.alerts import service
from analytics.alerts.desk import Desk
from analytics.api.context import Context
from analytics.api.errors import ApiError
from analytics.store import audit

ID = r"^[0-9a-f]{32}$"
Id = Annotated[str, Path(pattern=ID)]
# PostgreSQL refuses NUL in text; 256 characters are the longest name that a record may hold.
Name = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\x00]*$")]
Words = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^\x00]*$")]


def _desk(request: Request) -> Desk:
    state = request.app.state
    if not hasattr(state, "desk"):
        context: Context = state.context
        state.desk = service.build(context.settings, context.engine, context.clock).desk
    desk: Desk = state.desk
    return desk


UseDesk = Annotated[Desk, Depends(_desk)]


def moment(unix_us: int) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromtimestamp(unix_us / 1e6, UTC)


def maybe(unix_us: int | None) -> datetime | None:
    """Return a moment in UTC, None for none."""
    return None if unix_us is None else moment(unix_us)


def unix_us(when: datetime | None) -> int | None:
    """Return a moment as the store holds it, None for none."""
    return None if when is None else round(when.timestamp() * 1e6)


def tenant_of(who: Principal, wanted: str) -> str:
    """Return the tenant that something is made for: the asker's own, or, for who sees all, the one wanted.

    Raises: ApiError where somebody bound to a tenant wants another.
    """
    if who.tenant is None:
        return wanted
    if wanted and wanted != who.tenant:
        raise ApiError(403, f"{who.name} is bound to the tenant {who.tenant}", "tenant")
    return who.tenant


def written(
    connection: Connection,
    who: Principal,
    at_unix_us: int,
    change: tuple[str, str, str],
    **states: Mapping[str, Any] | None,
) -> None:
    """Write the audit row of a change: (action, subject, tenant), with `before` and `after`, which hold no secret."""
    action, subject, tenant = change
    audit.add(connection, audit.Entry(at_unix_us, who.name, action, subject, tenant, **states))
