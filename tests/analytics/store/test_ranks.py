from collections import Counter, defaultdict

import pytest
from sqlalchemy import Engine

from analytics.store import ranks, usage
from analytics.store.cubes import Slice
from analytics.store.ranks import SORTS, By
from analytics.types import DAY_S, DecisionRow
from tests.analytics.books import among, fill, varied
from tests.analytics.traffic import BEGAN_UNIX_US

ROWS = varied(300)
WINDOW = usage.last(7 * DAY_S, BEGAN_UNIX_US // 1_000_000)
INSIDE = among(ROWS, WINDOW.start_unix_s, WINDOW.end_unix_s)


def walked(
    engine: Engine, keys: tuple[str, ...], sort: str, limit: int, least: int = 0
) -> list[tuple[int, tuple[str, ...]]]:
    found: list[tuple[int, tuple[str, ...]]] = []
    with engine.connect() as connection:
        while True:
            after = found[-1] if found else None
            pairs = ranks.top(connection, Slice(WINDOW), By(keys, sort, limit, after, ("requests",), least))
            found += [(ranks.value(totals, sort), key) for key, totals in pairs]
            if len(pairs) < limit:
                return found


def test_pages_hold_every_key_once_in_order(engine: Engine) -> None:
    fill(engine, ROWS)
    for keys in (("model",), ("tenant", "user"), ("endpoint", "provider")):
        groups: dict[tuple[str, ...], list[DecisionRow]] = defaultdict(list)
        for row in INSIDE:
            groups[tuple(getattr(row, key) for key in keys)].append(row)
        tokens = Counter({key: sum(row.total_tokens or 0 for row in rows) for key, rows in groups.items()})
        for limit in (1, 4, 100):
            found = walked(engine, keys, "tokens", limit)
            assert Counter(dict(map(reversed, found))) == tokens
            assert [value for value, _ in found] == sorted(tokens.values(), reverse=True)
    blocked = {row.user for row in INSIDE if row.outcome == "denied"}
    assert {key for _, (key,) in walked(engine, ("user",), "blocked", 3, least=1)} == blocked


@pytest.mark.parametrize("sort", list(SORTS))
def test_a_value_is_the_sum_of_its_counters(sort: str) -> None:
    totals = ranks.Totals(**dict.fromkeys(SORTS[sort], 3))
    assert ranks.value(totals, sort) == 3 * len(SORTS[sort])
