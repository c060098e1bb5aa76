"""What budgets there are, and what was used of each."""

from sqlalchemy import Engine

from analytics.store import budgets, database
from analytics.types.control import UseKey
from tests.analytics.api.steering import api
from tests.analytics.conftest import NOW_UNIX_S

DAY = int(NOW_UNIX_S) - int(NOW_UNIX_S) % 86_400
POLICY = """
budgets:
- {name: tokens, unit: tokens, window: day, limit: 100, per: user}
- {name: spend, unit: usd, window: day, limit: 0.5}
"""


def use(budget: str, key: str, unit: str, tenant: str = "default", sidecar: str = "a") -> UseKey:
    return UseKey(tenant, budget, key, unit, 86_400, DAY, sidecar)


def test_use_is_shown_in_the_budgets_unit_most_first(engine: Engine) -> None:
    amounts = {
        use("tokens", "alice", "tokens"): 30,
        use("tokens", "alice", "tokens", sidecar="b"): 20,
        use("tokens", "bob", "tokens"): 120,
        use("spend", "", "usd"): 250_000_000,
        use("spend", "", "requests"): 9,  # of the name's former shape
        use("tokens", "eve", "tokens", tenant="red"): 7,
    }
    with api(engine) as on:
        on.put(POLICY, "*", activate=True)
        with database.writing(engine) as connection:
            budgets.add(connection, amounts)
        whole = on.client.get("/api/budgets").json()
        short = on.client.get("/api/budgets", params={"limit": 2}).json()
        on.become("ruth", "viewer", "red")
        red = on.client.get("/api/budgets").json()
    window = {"window_start": "2026-11-18T00:00:00Z", "resets_at": "2026-11-19T00:00:00Z"}

    def entry(key: str, used: float, share: float, exceeded: bool, tenant: str = "default") -> dict[str, object]:
        return {"tenant": tenant, "key": key, "used": used, "share": share, "exceeded": exceeded} | window

    tokens = [entry("bob", 120.0, 1.2, True), entry("alice", 50.0, 0.5, False), entry("eve", 7.0, 0.07, False, "red")]
    assert whole == {
        "budgets": [
            {"tenant": "*", "name": "tokens", "unit": "tokens", "per": "user", "window": "day", "limit": 100.0, "use": tokens},
            {
                "tenant": "*", "name": "spend", "unit": "usd", "per": "tenant", "window": "day", "limit": 0.5,
                "use": [entry("", 0.25, 0.5, False)],
            },
        ],
        "truncated": False,
    }  # fmt: skip
    assert (short["truncated"], [len(one["use"]) for one in short["budgets"]]) == (True, [1, 1])
    assert [one["use"] for one in red["budgets"]] == [[entry("eve", 7.0, 0.07, False, "red")], []]
