"""Searching decisions: pages of records, newest first, that pass a filter, at a bounded cost whatever is asked.

In: a filter and where to begin. Out: a page, and where the next one begins.
One condition that an index answers leads through the records in the order of their ids; the others are asked of at most
SCAN_ROWS of them a page. So a page may hold fewer rows than its limit, even none, and be not the last: what is
rare and has no index of its own is found over several pages, and no search holds up the database.
Bounds: SCAN_ROWS narrow rows and `limit` whole ones.
Never: text of a record inside a statement.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, func, select
from sqlalchemy import text as sql_text

from analytics.store import records
from analytics.store.tables import RECORDS, THREATS
from analytics.store.tables.records import REFUSED, RISKY, UNANSWERED
from analytics.types import DecisionRow

# A page takes 20 to 30 ms at the median over 5 million records in SQLite (make bench-analytics, a busy machine, 2026-11).
SCAN_ROWS = 20_000
# An id's time and started_unix_us are the same clock's; they part by the time until the first byte is read, not by hours.
_SLACK_US = 3_600_000_000
# The mission's scale: below 5 is LOW.
_MEDIUM_SCORE = 5.0


@dataclass(frozen=True, slots=True)
class Filter:
    """What is searched for; None asks for nothing. equal holds columns of records. Times are half-open [from, to)."""

    equal: Mapping[str, str] = field(default_factory=dict)
    tenant: str | None = None
    min_score: float | None = None
    threat_type: str | None = None
    rule_id: str | None = None
    from_unix_us: int | None = None
    to_unix_us: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One page, newest first; after is where the next one begins, None when nothing is left."""

    rows: tuple[DecisionRow, ...]
    after: str | None


def page(connection: Connection, asked: Filter, limit: int, before: str | None = None) -> Found:
    """Return at most `limit` decisions, those before the id `before` only, and where to go on."""
    candidates = _candidates(asked, before)
    wanted = _wanted(asked, candidates.limit(SCAN_ROWS).subquery("c"))
    ids = list(connection.execute(wanted.limit(limit + 1)).scalars())
    held = records.read(connection, ids[:limit])
    rows = tuple(held[one] for one in ids[:limit] if one in held)
    if len(ids) > limit:
        return Found(rows, ids[limit - 1])
    last = candidates.with_only_columns(candidates.selected_columns.decision_id).offset(SCAN_ROWS - 1).limit(1)
    return Found(rows, connection.execute(last).scalar())


def _wanted(asked: Filter, inner: Subquery) -> Select[Any]:
    """Return the ids of the candidates that pass the filter, newest first.

    Their columns come with them, so that nothing is joined: a planner free to join begins at the other end, with all
    records. Those found by a threat have none; each is looked up, in a subquery that is not taken apart because it counts.
    """
    statement = select(inner.c.decision_id).order_by(inner.c.decision_id.desc())
    if _threat(asked) is None:
        return statement.where(*conditions(asked, inner.c))
    rest = list(conditions(replace(asked, threat_type=None) if asked.rule_id is None else replace(asked, rule_id=None)))
    if not rest:
        return statement
    passing = select(func.count()).where(RECORDS.c.decision_id == inner.c.decision_id, *rest)
    return statement.where(passing.correlate(inner).scalar_subquery() == 1)


def _threat(asked: Filter) -> ColumnElement[bool] | None:
    """Return the condition of threats that leads; a rule says more than a type."""
    if asked.rule_id is not None:
        return THREATS.c.rule_id == asked.rule_id
    return None if asked.threat_type is None else THREATS.c.type == asked.threat_type


def _candidates(asked: Filter, before: str | None) -> Select[Any]:
    """Return the ids to look at, newest first, through the index that leaves the fewest."""
    threat = _threat(asked)
    if threat is not None:
        column: ColumnElement[Any] = THREATS.c.decision_id
        statement = select(column).where(threat).distinct()
    else:
        column = RECORDS.c.decision_id
        filtered = dict.fromkeys((*asked.equal, "tenant", "score", "started_unix_us"))
        statement = select(column, *(RECORDS.c[name] for name in filtered)).where(*_lead(asked))
    if before is not None:
        statement = statement.where(column < before)
    return statement.where(*ids_within(asked.from_unix_us, asked.to_unix_us, column)).order_by(column.desc())


def ids_within(
    from_unix_us: int | None, to_unix_us: int | None, column: ColumnElement[Any] = RECORDS.c.decision_id
) -> list[ColumnElement[bool]]:
    """Return the conditions that ids of exchanges of a time fulfil: a few more pass them (_SLACK_US), no fewer."""
    bounds = []
    if from_unix_us is not None:
        bounds.append(column >= _id_at(from_unix_us - _SLACK_US))
    if to_unix_us is not None:
        bounds.append(column < _id_at(to_unix_us + _SLACK_US))
    return bounds


def _lead(asked: Filter) -> list[ColumnElement[bool]]:
    """Return the one condition that an index answers in the order of ids; none leads through all."""
    equal = asked.equal
    if "user" in equal:
        return [RECORDS.c.user == equal["user"]]
    if equal.get("applied", "allow") != "allow":
        return [_partial(REFUSED)]
    if equal.get("outcome", "answered") != "answered":
        return [_partial(UNANSWERED)]
    if equal.get("level", "low") != "low" or (asked.min_score or 0) >= _MEDIUM_SCORE:
        return [_partial(RISKY)]
    return [] if asked.tenant is None else [RECORDS.c.tenant == asked.tenant]


def _partial(condition: Any) -> ColumnElement[bool]:
    """Return the condition of a partial index in its own words: only then do both planners take it."""
    return sql_text(f"records.{condition.text}")  # type: ignore[return-value] # a literal of ours; text() is taken by where()


def _id_at(unix_us: int) -> str:
    return f"{max(unix_us, 0) // 1_000:012x}"


def conditions(asked: Filter, columns: Any = RECORDS.c) -> Iterable[ColumnElement[bool]]:
    """Yield what a record must fulfil to pass the filter. columns are those of records, or of a subquery that has them."""
    for name, value in asked.equal.items():
        yield columns[name] == value
    if asked.tenant is not None:
        yield columns.tenant == asked.tenant
    if asked.min_score is not None:
        yield columns.score >= asked.min_score
    if asked.from_unix_us is not None:
        yield columns.started_unix_us >= asked.from_unix_us
    if asked.to_unix_us is not None:
        yield columns.started_unix_us < asked.to_unix_us
    found = select(THREATS.c.position).where(THREATS.c.decision_id == columns.decision_id)
    if asked.threat_type is not None:
        yield found.where(THREATS.c.type == asked.threat_type).exists()
    if asked.rule_id is not None:
        yield found.where(THREATS.c.rule_id == asked.rule_id).exists()
