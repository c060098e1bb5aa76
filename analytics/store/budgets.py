"""What was used of budgets, by window and sidecar.

In: amounts to add. Out: totals by key, and by sidecar for those that are told.
Never: a limit (it stands in the policy); a commit; a tenant's use for another one (tenant None reads all).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.engine.interfaces import Dialect

from analytics.store import control_state, database
from analytics.store.tables import BUDGET_USE
from analytics.types.control import BudgetUse, UseKey

_COLUMNS = tuple(column.name for column in BUDGET_USE.c)
_KEYS = len(UseKey._fields)


def add(connection: Connection, amounts: Mapping[UseKey, int]) -> None:
    """Add what a batch used; sidecars are told."""
    if not amounts:
        return
    version = control_state.advance(connection)
    rows = [(*key, used, version) for key, used in sorted(amounts.items())]
    database.write_many(connection, _upsert(connection.dialect), _COLUMNS, rows)


@cache
def _upsert(dialect: Dialect) -> Any:
    statement = database.insert(dialect, BUDGET_USE)
    changed = {
        "used": BUDGET_USE.c.used + statement.excluded.used,
        "changed_version": statement.excluded.changed_version,
    }
    return statement.on_conflict_do_update(index_elements=list(BUDGET_USE.primary_key), set_=changed)


def changed_since(connection: Connection, version: int, now_unix_s: int) -> list[BudgetUse]:
    """Return what changed after a version in windows still under way, in the order of the changes."""
    changed, under_way = BUDGET_USE.c.changed_version, BUDGET_USE.c.window_unix_s + BUDGET_USE.c.window_s > now_unix_s
    statement = select(*BUDGET_USE.c).where(changed > version, under_way).order_by(changed)
    return [BudgetUse(UseKey(*row[:_KEYS]), *row[_KEYS:]) for row in connection.execute(statement)]


def totals(connection: Connection, tenant: str | None, now_unix_s: int, limit: int) -> list[tuple[UseKey, int]]:
    """Return what was used in the windows under way, all sidecars together (sidecar is empty), most used first."""
    table = BUDGET_USE
    keys = [column for column in table.c if column.name in UseKey._fields and column.name != "sidecar"]
    total = func.sum(table.c.used)
    statement = select(*keys, total).where(table.c.window_unix_s + table.c.window_s > now_unix_s).group_by(*keys)
    if tenant is not None:
        statement = statement.where(table.c.tenant == tenant)
    found = connection.execute(statement.order_by(total.desc(), *keys).limit(limit))
    return [(UseKey._make((*row[:-1], "")), int(row[-1])) for row in found]


def forget(connection: Connection, before_unix_s: int) -> int:
    """Remove windows that began before a moment and have ended; return how many rows.

    Nobody resumes by them: only windows under way are told.
    """
    return connection.execute(delete(BUDGET_USE).where(BUDGET_USE.c.window_unix_s < before_unix_s)).rowcount
