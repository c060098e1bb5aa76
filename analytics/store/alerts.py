"""Alerts in the store: what a batch needs to know of them, writing a plan, and reading them for people.

In: keys, a Plan. Out: Held, Alert values. An alert and the notices that tell of it are written by one call, in the
caller's transaction (database.writing): the record, its alert and its outbox rows commit together or not at all.
Never: a commit; text of a record inside a statement; a tenant's alert to another (tenant None reads all).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, tuple_, update

from analytics.store import database
from analytics.store.tables import ALERTS, DELIVERIES, SIGHTINGS
from analytics.types.alerts import Alert, AlertKey, Held, Plan

_NAMES = tuple(one.name for one in fields(Alert))
_OPEN = ALERTS.c.resolved_unix_us.is_(None)
_CHUNK = 200  # keys in one statement: both engines take more, plans are made in a moment


@dataclass(frozen=True, slots=True)
class Filter:
    """What a page of alerts is narrowed to; None asks for nothing. Times are half-open [from, to), of the opening."""

    equal: Mapping[str, str] = field(default_factory=dict)
    state: str | None = None
    from_unix_us: int | None = None
    to_unix_us: int | None = None


def held(connection: Connection, keys: Sequence[AlertKey], burst_from_unix_us: int, now_unix_us: int) -> Held:
    """Return what concerns the keys of a batch; openings are counted from a moment on."""
    alerts: dict[AlertKey, Alert] = {}
    for at in range(0, len(keys), _CHUNK):
        among = tuple_(ALERTS.c.tenant, ALERTS.c.key).in_(keys[at : at + _CHUNK])
        alerts |= {(one.tenant, one.key): one for one in _read(connection, _OPEN, among)}
    ids = [one.alert_id for one in alerts.values()]
    waiting, told = _notices(connection, ids, now_unix_us)
    return Held(alerts, waiting, told, _opened(connection, burst_from_unix_us))


def _opened(connection: Connection, from_unix_us: int) -> dict[AlertKey, int]:
    """Return how many alerts of each tenant and rule were opened since; ids sort by that time, so few rows are looked at."""
    after = ALERTS.c.alert_id >= f"{from_unix_us // 1_000:012x}"
    statement = (
        select(ALERTS.c.tenant, ALERTS.c.rule, func.count()).where(after).group_by(ALERTS.c.tenant, ALERTS.c.rule)
    )
    return {(tenant, rule): int(count) for tenant, rule, count in connection.execute(statement)}


def _notices(
    connection: Connection, ids: Sequence[str], now_unix_us: int
) -> tuple[frozenset[tuple[str, str]], dict[str, frozenset[str]]]:
    """Return the (alert, channel) pairs whose notice has not left, and the channels that each alert was told to.

    A notice that a channel is being told at this moment counts as told: what changes now is told anew.
    """
    columns = (DELIVERIES.c.alert_id, DELIVERIES.c.channel_id, DELIVERIES.c.state, DELIVERIES.c.leased_until_unix_us)
    waiting: set[tuple[str, str]] = set()
    told: dict[str, set[str]] = defaultdict(set)
    for at in range(0, len(ids), _CHUNK):
        among = DELIVERIES.c.alert_id.in_(ids[at : at + _CHUNK])
        states = DELIVERIES.c.state.in_(("pending", "delivered"))
        for alert_id, channel_id, state, leased in connection.execute(select(*columns).where(among, states)):
            if state == "pending" and leased <= now_unix_us:
                waiting.add((alert_id, channel_id))
            else:
                told[alert_id].add(channel_id)
    return frozenset(waiting), {alert_id: frozenset(found) for alert_id, found in told.items()}


def write(connection: Connection, plan: Plan) -> None:
    """Write alerts, new or changed, and put their notices into the outbox."""
    for one in plan.alerts:
        values = _values(one)
        statement = database.insert(connection.dialect, ALERTS)
        changed = {name: statement.excluded[name] for name in _NAMES if name != "alert_id"}
        upsert = statement.on_conflict_do_update(index_elements=[ALERTS.c.alert_id], set_=changed)
        connection.execute(upsert, values)
    if plan.notices:
        rows = [{one.name: getattr(notice, one.name) for one in fields(notice)} for notice in plan.notices]
        connection.execute(insert(DELIVERIES), rows)


def _values(alert: Alert) -> dict[str, Any]:
    values = {name: getattr(alert, name) for name in _NAMES}
    return values | {"facts": [list(one) for one in alert.facts], "decisions": list(alert.decisions)}


def untold(connection: Connection, alert_id: str) -> None:
    """Take back that an alert was told: its next occurrence is told."""
    connection.execute(update(ALERTS).where(ALERTS.c.alert_id == alert_id).values(notified_unix_us=None))


def read(connection: Connection, alert_id: str, tenant: str | None) -> Alert | None:
    """Return one alert, None when there is none that this tenant may see."""
    return next(iter(_read(connection, ALERTS.c.alert_id == alert_id, *_of(tenant))), None)


def unresolved(connection: Connection, rules: Iterable[str]) -> list[Alert]:
    """Return the alerts of some rules that are not resolved, oldest first."""
    return _read(connection, _OPEN, ALERTS.c.rule.in_(list(rules)))


def page(
    connection: Connection, narrowed: Filter, tenant: str | None, limit: int, before: str | None = None
) -> list[Alert]:
    """Return at most `limit` alerts that pass the filter, newest first, those before the id `before` only."""
    conditions: list[ColumnElement[bool]] = [
        *_of(tenant),
        *(ALERTS.c[name] == value for name, value in narrowed.equal.items()),
    ]
    conditions += _state(narrowed.state)
    for moment, after in ((narrowed.from_unix_us, True), (narrowed.to_unix_us, False)):
        if moment is not None:
            opened = ALERTS.c.opened_unix_us
            conditions.append(opened >= moment if after else opened < moment)
    if before is not None:
        conditions.append(ALERTS.c.alert_id < before)
    statement = select(ALERTS).where(*conditions).order_by(ALERTS.c.alert_id.desc()).limit(limit)
    return [_alert(row) for row in connection.execute(statement)]


def _of(tenant: str | None) -> list[ColumnElement[bool]]:
    return [] if tenant is None else [ALERTS.c.tenant == tenant]


def _state(state: str | None) -> list[ColumnElement[bool]]:
    acknowledged = ALERTS.c.acknowledged_unix_us.is_not(None)
    conditions: dict[str, list[ColumnElement[bool]]] = {
        "open": [_OPEN, ~acknowledged],
        "acknowledged": [_OPEN, acknowledged],
        "resolved": [~_OPEN],
    }
    return conditions.get(state or "", [])


def _read(connection: Connection, *conditions: ColumnElement[bool]) -> list[Alert]:
    statement = select(ALERTS).where(*conditions).order_by(ALERTS.c.alert_id)
    return [_alert(row) for row in connection.execute(statement)]


def _alert(row: Any) -> Alert:
    values = {name: getattr(row, name) for name in _NAMES if name != "count"}
    values |= {"count": row._mapping["count"]}  # noqa: SLF001 - SQLAlchemy's public name; `row.count` is a tuple's method
    return Alert(**values | {"facts": tuple(map(tuple, row.facts)), "decisions": tuple(row.decisions)})


def sight(connection: Connection, seen: Mapping[tuple[str, str, str], int]) -> None:
    """Remember that users met attacks: (tenant, attack, user) -> when."""
    statement = database.insert(connection.dialect, SIGHTINGS)
    later = {"seen_unix_us": statement.excluded.seen_unix_us}
    newer = SIGHTINGS.c.seen_unix_us < statement.excluded.seen_unix_us
    upsert = statement.on_conflict_do_update(index_elements=list(SIGHTINGS.primary_key), set_=later, where=newer)
    names = ("tenant", "attack", "user", "seen_unix_us")
    connection.execute(upsert, [dict(zip(names, (*key, moment), strict=True)) for key, moment in sorted(seen.items())])


def met_by(connection: Connection, attacks: Sequence[tuple[str, str]], from_unix_us: int) -> dict[tuple[str, str], int]:
    """Return how many users met each (tenant, attack) since a moment."""
    columns = (SIGHTINGS.c.tenant, SIGHTINGS.c.attack)
    found: dict[tuple[str, str], int] = {}
    for at in range(0, len(attacks), _CHUNK):
        among = tuple_(*columns).in_(attacks[at : at + _CHUNK])
        statement = select(*columns, func.count()).where(among, SIGHTINGS.c.seen_unix_us >= from_unix_us)
        for tenant, attack, users in connection.execute(statement.group_by(*columns)):
            found[tenant, attack] = int(users)
    return found


def prune(connection: Connection, sighted_before_unix_us: int, kept_from_unix_us: int) -> None:
    """Forget sightings before a moment, and alerts resolved and notices finished before another."""
    connection.execute(delete(SIGHTINGS).where(SIGHTINGS.c.seen_unix_us < sighted_before_unix_us))
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.finished_unix_us < kept_from_unix_us))
    connection.execute(delete(ALERTS).where(ALERTS.c.resolved_unix_us < kept_from_unix_us))


def stale(connection: Connection, touched_before_unix_us: int, rules: Iterable[str]) -> list[Alert]:
    """Return the unresolved alerts of some rules that nothing was added to since; CRITICAL ones only once acknowledged."""
    handled = or_(ALERTS.c.level != "critical", ALERTS.c.acknowledged_unix_us.is_not(None))
    quiet = and_(ALERTS.c.touched_unix_us < touched_before_unix_us, handled)
    return _read(connection, _OPEN, ALERTS.c.rule.in_(list(rules)), quiet)
