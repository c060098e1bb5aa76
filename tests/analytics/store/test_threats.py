from collections import Counter

from sqlalchemy import Engine

from analytics.store import threats, usage
from analytics.store.cubes import Slice
from analytics.store.threats import Finding
from analytics.types import DAY_S
from tests.analytics.books import TENANTS, USERS, among, fill, varied
from tests.analytics.traffic import BEGAN_UNIX_US

ROWS = varied(250)
WINDOW = usage.last(20 * DAY_S, BEGAN_UNIX_US // 1_000_000)
INSIDE = among(ROWS, WINDOW.start_unix_s, WINDOW.end_unix_s)


def test_findings_users_and_time(engine: Engine) -> None:
    fill(engine, ROWS)
    pairs = [(tenant, user) for tenant in TENANTS for user in USERS]
    with engine.connect() as connection:
        for by, name in (("type", "type"), ("rule", "rule_id"), ("surface", "surface")):
            counted = Counter((getattr(one, name), row.level) for row in INSIDE for one in row.threats)
            labels = Counter(label for (label, _), count in counted.items() for _ in range(count))
            expected = [
                Finding(label, count, {level: n for (one, level), n in counted.items() if one == label})
                for label, count in sorted(labels.items(), key=lambda one: (-one[1], one[0]))
            ]
            assert threats.findings(connection, Slice(WINDOW), by) == tuple(expected)
        over_time = threats.over_time(connection, Slice(WINDOW, "shop"))
        seen = threats.last_seen(connection, WINDOW, [*pairs, ("nobody", "nobody")])
        assert threats.last_seen(connection, WINDOW, []) == {}
        assert threats.tenants_of(connection, None, "bob") == tuple(sorted(TENANTS))
        assert threats.tenants_of(connection, "shop", "bob") == ("shop",)
        assert threats.tenants_of(connection, "elsewhere", "bob") == ()
    assert len(over_time) == 21
    in_shop = Counter(one.type for row in INSIDE if row.tenant == "shop" for one in row.threats)
    assert sum((Counter(types) for _, types in over_time), Counter()) == in_shop
    latest = {(row.tenant, row.user): row.started_unix_us for row in INSIDE}  # in the order of time: the last one stays
    assert seen == latest
