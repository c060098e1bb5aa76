"""What was found, read from rollups: by type, rule, surface; over time; by user.

In: a Slice. Out: counts by label and level; the riskiest users with what is known of them.
Bounds: label rows of the window; of users the page asked for, with one look-up each for when they were last seen.
Never: a scan of records.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, select

from analytics.store import cubes, database, search
from analytics.store.cells import series_id
from analytics.store.cubes import BUCKET, Slice
from analytics.store.tables import RECORDS, SERIES
from analytics.types import Window

Kind = Literal["type", "rule", "surface"]
KINDS: dict[Kind, str] = {"type": "threat", "rule": "rule", "surface": "surface"}


@dataclass(frozen=True, slots=True)
class Finding:
    """How often one label was found. levels hold the counts by the risk level of the exchange."""

    label: str
    count: int
    levels: Mapping[str, int]


def findings(connection: Connection, asked: Slice, by: Kind) -> tuple[Finding, ...]:
    """Return what was found by one of KINDS, most first."""
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    for (label, level), count in cubes.labels(connection, asked, KINDS[by], ("label", "level")).items():
        counted[label][level] = count
    found = [Finding(label, sum(levels.values()), levels) for label, levels in counted.items()]
    return tuple(sorted(found, key=lambda one: (-one.count, one.label)))


def over_time(connection: Connection, asked: Slice) -> tuple[tuple[int, dict[str, int]], ...]:
    """Return (bucket start, threats by type) of each bucket of the window, in order, with no gap."""
    buckets: dict[int, dict[str, int]] = defaultdict(dict)
    for (start, label), count in cubes.labels(connection, asked, "threat", (BUCKET, "label")).items():
        buckets[start][label] = count
    window = asked.window
    return tuple(
        (start, dict(sorted(buckets.get(start, {}).items())))
        for start in range(window.start_unix_s, window.end_unix_s, window.grain_s)
    )


def last_seen(connection: Connection, window: Window, users: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return when (tenant, user) pairs made their newest exchange of a window, in microseconds since 1970 UTC.

    Bounds: one descent into an index for each pair (and partition of the window). The tenant is compared as an expression,
    so that no planner takes the index of tenants, in which a user who is seldom there is found last (220 ms a pair on SQLite
    with 2.9 million records, 2026-11).
    """
    newest = (
        select(RECORDS.c.started_unix_us)
        .where(RECORDS.c.user == SERIES.c.user, RECORDS.c.tenant.concat("") == SERIES.c.tenant)
        .where(*search.ids_within(window.start_unix_s * 1_000_000, window.end_unix_s * 1_000_000))
        .order_by(RECORDS.c.decision_id.desc())
        .limit(1)
        .correlate(SERIES)
        .scalar_subquery()
    )
    ids = [series_id((tenant, "", user, "", "")) for tenant, user in users]
    among = database.one_of(connection.dialect, SERIES.c.series_id, ids)
    found = connection.execute(select(SERIES.c.tenant, SERIES.c.user, newest).where(among))
    return {(tenant, user): moment for tenant, user, moment in found if moment is not None}


def tenants_of(connection: Connection, tenant: str | None, user: str) -> tuple[str, ...]:
    """Return the tenants that a user was ever seen in, in order; none for a user that is not known."""
    statement = select(SERIES.c.tenant).where(SERIES.c.user == user).distinct().order_by(SERIES.c.tenant)
    if tenant is not None:
        statement = statement.where(SERIES.c.tenant == tenant)
    return tuple(connection.execute(statement).scalars())
