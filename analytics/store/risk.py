"""User risk as it is held, and what was done to users.

In: UserRisk values that control/risk has reckoned. Out: the same, by user, by change, by risk.
Never: reckons; a commit (the caller's writing transaction decides); a tenant's users for another one (tenant None reads all).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, delete, func, select, union
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import control_state, database
from analytics.store.tables import RECORDS, RISK_EVENTS, SERIES, USERS_RISK
from analytics.store.tables.records import SCORED
from analytics.types.control import RiskEvent, UserRisk

UserKey = tuple[str, str]  # tenant, user
_COLUMNS = tuple(column.name for column in USERS_RISK.c)
_VALUES = attrgetter(*(name for name in _COLUMNS if name != "marks"))
_JSON = msgspec.json.Encoder()
_EVENT_COLUMNS = tuple(column.name for column in RISK_EVENTS.c)
_EVENT_VALUES = attrgetter(*_EVENT_COLUMNS)


def read(connection: Connection, keys: Iterable[UserKey]) -> dict[UserKey, UserRisk]:
    """Return what is held of users; who has no risk is absent."""
    users: dict[str, list[str]] = defaultdict(list)
    for tenant, user in keys:
        users[tenant].append(user)
    held: dict[UserKey, UserRisk] = {}
    for tenant, names in users.items():
        given = {"tenant": tenant, "users": database.listed(connection.dialect, names)}
        for row in connection.execute(_select(connection.dialect), given):
            held[row.tenant, row.user] = UserRisk(*row)
    return held


@cache
def _select(dialect: Dialect) -> Select[Any]:
    among = database.among(dialect, USERS_RISK.c.user, "users")
    return select(*USERS_RISK.c).where(USERS_RISK.c.tenant == bindparam("tenant"), among)


def write(connection: Connection, rows: Iterable[UserRisk]) -> None:
    """Hold these users as they are given."""
    values = [(*_VALUES(row), _JSON.encode(row.marks).decode()) for row in rows]
    database.write_many(connection, _upsert(connection.dialect), _COLUMNS, values)


@cache
def _upsert(dialect: Dialect) -> Any:
    statement = database.insert(dialect, USERS_RISK)
    changed = {name: statement.excluded[name] for name in _COLUMNS if name not in ("tenant", "user")}
    return statement.on_conflict_do_update(index_elements=list(USERS_RISK.primary_key), set_=changed)


def changed_since(connection: Connection, version: int) -> list[UserRisk]:
    """Return the users that sidecars were told of after a version, in the order of their changes."""
    changed = USERS_RISK.c.changed_version
    statement = select(*USERS_RISK.c).where(changed > version).order_by(changed)
    return [UserRisk(*row) for row in connection.execute(statement)]


def moved_since(connection: Connection, since_unix_us: int, limit: int) -> list[UserRisk]:
    """Return at most `limit` users whose risk moved after a moment, the highest sums first."""
    statement = select(*USERS_RISK.c).where(USERS_RISK.c.as_of_unix_us > since_unix_us)
    found = connection.execute(statement.order_by(USERS_RISK.c.risk.desc()).limit(limit))
    return [UserRisk(*row) for row in found]


def add_events(connection: Connection, events: Sequence[RiskEvent]) -> None:
    """Note what was done to users; the same thing at the same microsecond is noted once."""
    statement = _insert_event(connection.dialect)
    database.write_many(connection, statement, _EVENT_COLUMNS, [_EVENT_VALUES(one) for one in events])


@cache
def _insert_event(dialect: Dialect) -> Any:
    return database.insert(dialect, RISK_EVENTS).on_conflict_do_nothing(index_elements=list(RISK_EVENTS.primary_key))


def events(connection: Connection, key: UserKey, limit: int) -> list[RiskEvent]:
    """Return what was done to a user last, newest first."""
    table = RISK_EVENTS
    mine = select(*table.c).where(table.c.tenant == key[0], table.c.user == key[1])
    return [RiskEvent(*row) for row in connection.execute(mine.order_by(table.c.at_unix_us.desc()).limit(limit))]


def scored(connection: Connection, key: UserKey, limit: int) -> list[tuple[str, int, float, str]]:
    """Return a user's last exchanges that have a score: (decision_id, started_unix_us, score, applied), newest first."""
    mine = select(RECORDS.c.decision_id, RECORDS.c.started_unix_us, RECORDS.c.score, RECORDS.c.applied).where(
        RECORDS.c.user == key[1], RECORDS.c.tenant == key[0], SCORED
    )
    found = connection.execute(mine.order_by(RECORDS.c.decision_id.desc()).limit(limit))
    return [(row.decision_id, row.started_unix_us, row.score, row.applied) for row in found]


def tenants_of(connection: Connection, user: str, tenant: str | None) -> list[str]:
    """Return in which tenants something is known of a user; only whether in one's own, where tenant is given."""
    statements = [
        select(table.c.tenant).where(table.c.user == user, *(() if tenant is None else (table.c.tenant == tenant,)))
        for table in (USERS_RISK, SERIES)
    ]
    return sorted(connection.execute(union(*statements)).scalars())


def forget(connection: Connection, quiet_since_unix_us: int) -> int:
    """Remove users of whom nothing happened since a moment; return how many.

    The moment is so long ago that nothing is left of any risk: see control/risk.sweep.
    """
    quiet = (
        (USERS_RISK.c.as_of_unix_us < quiet_since_unix_us)
        & (USERS_RISK.c.quarantined_until_unix_us < quiet_since_unix_us)
        & (USERS_RISK.c.reset_unix_us < quiet_since_unix_us)
    )
    newest = connection.execute(select(func.max(USERS_RISK.c.changed_version)).where(quiet)).scalar()
    if newest is None:
        return 0
    control_state.forget(connection, newest)
    return connection.execute(delete(USERS_RISK).where(quiet)).rowcount
