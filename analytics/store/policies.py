"""Policies: a head for each tenant, versions that never change, and the history of what was in force when.

In: versions and turns from the API, each in a writing transaction. Out: what is held.
Never: a change of a version; a tenant's policies for another one (tenant None reads all).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from analytics.store import control_state, database
from analytics.store.tables import POLICIES, POLICY_ACTIVATIONS, POLICY_VERSIONS
from analytics.types.control import Activation, PolicyHead, PolicyVersion


def heads(connection: Connection, tenant: str | None = None) -> list[PolicyHead]:
    """Return where each tenant's policy stands, by tenant; of one tenant, or of all."""
    statement = select(*POLICIES.c).where(*_of(POLICIES.c.tenant, tenant)).order_by(POLICIES.c.tenant)
    return [PolicyHead(*row) for row in connection.execute(statement)]


def head(connection: Connection, tenant: str) -> PolicyHead | None:
    """Return where a tenant's policy stands, None when it never had one."""
    return next(iter(heads(connection, tenant)), None)


def version(connection: Connection, tenant: str, number: int) -> PolicyVersion | None:
    """Return one version of a tenant's policy."""
    statement = _versions(tenant).where(POLICY_VERSIONS.c.number == number)
    return next((PolicyVersion(*row) for row in connection.execute(statement)), None)


def versions(connection: Connection, tenant: str, limit: int, before: int | None = None) -> list[PolicyVersion]:
    """Return at most `limit` versions of a tenant's policy, newest first, those before a number only."""
    statement = _versions(tenant).order_by(POLICY_VERSIONS.c.number.desc()).limit(limit)
    if before is not None:
        statement = statement.where(POLICY_VERSIONS.c.number < before)
    return [PolicyVersion(*row) for row in connection.execute(statement)]


def active(connection: Connection, since: int = 0) -> list[tuple[PolicyHead, PolicyVersion | None]]:
    """Return the heads that changed after a version, each with the policy in force, None where it was withdrawn."""
    same = (POLICY_VERSIONS.c.tenant == POLICIES.c.tenant) & (POLICY_VERSIONS.c.number == POLICIES.c.active)
    joined = POLICIES.outerjoin(POLICY_VERSIONS, same)
    statement = select(*POLICIES.c, *POLICY_VERSIONS.c).select_from(joined).where(POLICIES.c.changed_version > since)
    split = len(POLICIES.c)
    rows = (tuple(row) for row in connection.execute(statement.order_by(POLICIES.c.changed_version)))
    return [(PolicyHead(*row[:split]), None if row[split] is None else PolicyVersion(*row[split:])) for row in rows]


def newest_change(connection: Connection) -> int:
    """Return the version at which a policy last came into force or went out of it, 0 for never."""
    return connection.execute(select(func.max(POLICIES.c.changed_version))).scalar() or 0


def activations(connection: Connection, tenant: str, limit: int) -> list[Activation]:
    """Return the last turns of a tenant's policy, newest first."""
    table = POLICY_ACTIVATIONS
    statement = select(*table.c).where(table.c.tenant == tenant).order_by(table.c.sequence.desc()).limit(limit)
    return [Activation(*row) for row in connection.execute(statement)]


def add(connection: Connection, new: PolicyVersion) -> None:
    """Store a version, whose number is one above the tenant's latest. It is not in force by that."""
    connection.execute(insert(POLICY_VERSIONS), _values(POLICY_VERSIONS, new))
    statement = database.insert(connection.dialect, POLICIES).values(
        tenant=new.tenant,
        active=None,
        latest=new.number,
        changed_version=0,
        changed_unix_us=new.created_unix_us,
        changed_by=new.author,
    )
    connection.execute(statement.on_conflict_do_update(index_elements=[POLICIES.c.tenant], set_={"latest": new.number}))


def activate(connection: Connection, turn: Activation) -> int:
    """Put a version in force, or none; return the installation's version that tells it. The turn's sequence is given here."""
    table = POLICY_ACTIVATIONS
    last = select(func.max(table.c.sequence)).where(table.c.tenant == turn.tenant)
    sequence = (connection.execute(last).scalar() or 0) + 1
    connection.execute(insert(table), _values(table, turn) | {"sequence": sequence})
    changed = control_state.advance(connection)
    values = {
        "active": turn.number,
        "changed_version": changed,
        "changed_unix_us": turn.at_unix_us,
        "changed_by": turn.actor,
    }
    connection.execute(update(POLICIES).where(POLICIES.c.tenant == turn.tenant).values(values))
    return changed


def _versions(tenant: str) -> Select[Any]:
    return select(*POLICY_VERSIONS.c).where(POLICY_VERSIONS.c.tenant == tenant)


def _of(column: ColumnElement[Any], tenant: str | None) -> Sequence[ColumnElement[bool]]:
    return () if tenant is None else (column == tenant,)


def _values(table: Any, row: object) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in table.c}
