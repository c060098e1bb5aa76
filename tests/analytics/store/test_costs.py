from collections import Counter

import pytest
from sqlalchemy import Engine

from analytics.store import costs, usage
from analytics.store.cubes import Slice
from analytics.types import DAY_S, HOUR_S, Window
from tests.analytics.books import among, fill, varied
from tests.analytics.traffic import BEGAN_UNIX_US

ROWS = varied(250)
NOON = BEGAN_UNIX_US // 1_000_000 // DAY_S * DAY_S + 12 * HOUR_S
WINDOWS = [usage.last(30 * DAY_S, BEGAN_UNIX_US // 1_000_000), Window(NOON - 5 * DAY_S, NOON, HOUR_S)]


@pytest.mark.parametrize("window", WINDOWS)
def test_days_hold_what_lies_in_the_window(engine: Engine, window: Window) -> None:
    fill(engine, ROWS)
    rows = among(ROWS, window.start_unix_s, window.end_unix_s)
    spent: Counter[int] = Counter()
    for row in rows:
        spent[row.started_unix_us // 1_000_000 // DAY_S * DAY_S] += row.cost_nanousd or 0
    with engine.connect() as connection:
        whole = costs.whole(connection, Slice(window))
        days = costs.by_day(connection, Slice(window))
    assert (whole.requests, whole.cost_nanousd) == (len(rows), spent.total())
    assert {start: one.cost_nanousd for start, one in days if one.cost_nanousd} == dict(spent)
    first = window.start_unix_s // DAY_S * DAY_S
    assert [start for start, _ in days] == list(range(first, window.end_unix_s, DAY_S))
