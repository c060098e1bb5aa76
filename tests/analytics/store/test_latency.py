from collections import Counter

from sqlalchemy import Engine

from analytics.store import latency, sketch, usage
from analytics.store.cubes import Slice
from analytics.types import DAY_S
from tests.analytics.books import among, fill, varied
from tests.analytics.traffic import BEGAN_UNIX_US

ROWS = varied(200)
WINDOW = usage.last(30 * DAY_S, BEGAN_UNIX_US // 1_000_000)


def test_sums_come_with_their_sketches(engine: Engine) -> None:
    fill(engine, ROWS)
    rows = among(ROWS, WINDOW.start_unix_s, WINDOW.end_unix_s)
    with engine.connect() as connection:
        whole = latency.whole(connection, Slice(WINDOW, "bank"))
        by = dict(latency.by(connection, Slice(WINDOW), "provider", 2))
        assert latency.whole(connection, Slice(WINDOW, "nobody's")).latency == {}
    ours = [row.latency_us for row in rows if row.tenant == "bank" and row.latency_us]
    assert (whole.latency_us_sum, whole.latency) == (sum(ours), dict(Counter(map(sketch.index, ours))))
    busiest = [name for name, _ in Counter(row.provider for row in rows).most_common(2)]
    assert sorted(by) == sorted(busiest)
    for name, totals in by.items():
        held = [row.latency_us for row in rows if row.provider == name and row.latency_us]
        assert totals.latency == dict(Counter(map(sketch.index, held)))
