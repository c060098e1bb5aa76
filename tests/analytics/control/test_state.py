"""What sidecars are to know: the newest of everything, in parts, for whoever is behind."""

from dataclasses import replace

import pytest
from douane.v1 import control_pb2 as pb
from sqlalchemy import Engine

from analytics.control import state as states
from analytics.control.rules import RulesInForce
from analytics.control.state import State, read
from analytics.store import control_state, database, risk
from analytics.types.control import ModelPrice, UserRisk
from tests.analytics.control.steering import HOUR_US, RULE, activate, books, row, withdraw
from tests.analytics.traffic import BEGAN_UNIX_US

NOW_S = BEGAN_UNIX_US // 1_000_000
CALLS = "budgets: [{name: calls, unit: requests, window: hour, limit: 3, per: user}]"
HOUR = NOW_S - NOW_S % 3_600


class Follower:
    """A State beside its store."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.state = State()
        self.rules = RulesInForce(RULE)
        self.books = books(engine, lambda: float(NOW_S))

    def look(self) -> bool:
        with self.engine.connect() as connection:
            delta = read(connection, self.state.at, self.rules, NOW_S)
        if delta is not None:
            self.state.take(delta)
        return delta is not None

    def parts(self, since: int, tenant: str = "", sidecar: str = "web-9/0") -> list[pb.Snapshot]:
        found = self.state.parts(since, tenant, sidecar, self.state.prices_version)
        return [pb.Snapshot.FromString(part) for part in found]

    def one(self, since: int, tenant: str = "", sidecar: str = "web-9/0") -> pb.Snapshot:
        (part,) = self.parts(since, tenant, sidecar)
        return part

    @property
    def version(self) -> int:
        assert self.state.at is not None
        return self.state.at.version


@pytest.fixture
def follower(engine: Engine) -> Follower:
    return Follower(engine)


def use(user: str, others: int, own: int, tenant: str = "default") -> pb.BudgetUse:
    window = {"window_unix_s": HOUR, "resets_unix_s": HOUR + 3_600}
    return pb.BudgetUse(tenant=tenant, budget="calls", key=user, **window, others=others, own=own, unit="requests")


def test_a_delta_holds_what_changed_and_nothing_else(follower: Follower) -> None:
    policy = activate(follower.engine, CALLS)
    assert (follower.look(), follower.look()) == (True, False)
    before = follower.version
    follower.books.store([row(1, 8.0), row(2, 0.0, user="bob")])
    assert follower.look()
    whole, delta = follower.one(0), follower.one(before)
    told = pb.UserRisk(tenant="default", user="alice", risk=8.0, as_of_unix_us=BEGAN_UNIX_US, half_life_s=3_600.0)
    installation = whole.installation
    assert whole == pb.Snapshot(
        version=follower.version,
        full=True,
        installation=installation,
        policies=[pb.PolicyDocument(tenant="default", version=policy.digest, text=CALLS)],
        users=[told],
        budgets=[use("alice", 1, 0), use("bob", 1, 0)],
    )
    assert delta == pb.Snapshot(
        version=follower.version,
        installation=installation,
        users=[told],
        budgets=[use("alice", 1, 0), use("bob", 1, 0)],
    )
    assert follower.one(follower.version) == pb.Snapshot(version=follower.version, installation=installation)


def test_a_sidecars_own_use_is_told_to_it_alone(follower: Follower) -> None:
    activate(follower.engine, CALLS)
    follower.books.store([row(1), row(2, sidecar="web-2/0"), row(3, sidecar="web-2/0"), row(4, user="bob")])
    follower.look()
    found = {name: list(follower.one(0, "", name).budgets) for name in ("web-1/0", "web-2/0", "web-3/0")}
    common = [use("alice", 3, 0), use("bob", 1, 0)]
    assert found == {
        "web-1/0": [*common, use("alice", 2, 1), use("bob", 0, 1)],
        "web-2/0": [*common, use("alice", 1, 2)],
        "web-3/0": common,
    }


def test_a_tenants_sidecar_is_told_of_its_tenant_and_of_the_policy_for_all(follower: Follower) -> None:
    for tenant in ("*", "default", "other"):
        activate(follower.engine, CALLS, tenant)
    follower.books.store([row(1, 8.0, tenant="default"), row(2, 9.0, tenant="other")])
    follower.look()
    found = follower.one(0, "other")
    assert [one.tenant for one in found.policies] == ["*", "other"]
    assert [(one.tenant, one.risk) for one in found.users] == [("other", 9.0)]
    assert list(found.budgets) == [use("alice", 1, 0, "other")]


def test_a_withdrawn_policy_is_told_with_an_empty_text(follower: Follower) -> None:
    activate(follower.engine, CALLS)
    follower.look()
    before = follower.version
    withdraw(follower.engine)
    follower.look()
    assert list(follower.one(before).policies) == [pb.PolicyDocument(tenant="default")]
    assert list(follower.one(0).policies) == []


def test_what_was_told_in_between_comes_as_its_newest_state_once(follower: Follower) -> None:
    activate(follower.engine, "mode: observe")
    follower.look()
    before = follower.version
    for number in range(1, 6):
        activate(follower.engine, f"deny_score: {number + 10}")
        follower.books.store([row(number, 2.0)])
        follower.look()
    found = follower.one(before)
    assert [one.text for one in found.policies] == ["deny_score: 15"]
    assert [(one.user, one.risk) for one in found.users] == [("alice", 10.0)]


def test_much_comes_in_parts_that_say_so(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "PART_ENTRIES", 3)
    follower.books.store([row(number, 8.0, user=f"user-{number}") for number in range(7)])
    follower.look()
    parts = follower.parts(0)
    assert [(part.full, part.continued, len(part.users)) for part in parts] == [
        (True, True, 2),
        (False, True, 3),
        (False, False, 2),
    ]
    assert sorted(user.user for part in parts for user in part.users) == [f"user-{number}" for number in range(7)]


def test_another_installation_or_an_older_database_is_read_whole(follower: Follower) -> None:
    activate(follower.engine, "mode: observe")
    follower.look()
    assert follower.state.at is not None
    follower.state.at = replace(follower.state.at, version=99)
    follower.state.take_prices({})
    assert follower.look()
    assert (follower.version, [one.tenant for one in follower.one(0).policies]) == (1, ["default"])
    follower.state.at = replace(follower.state.at, installation="another")
    assert follower.look()


def test_prices_are_told_to_who_does_not_have_them(follower: Follower) -> None:
    follower.look()
    listed = {("openai", "gpt-4o"): ModelPrice(2_500.0, 10_000.0, 1_250.0)}
    assert (follower.state.take_prices(listed), follower.state.take_prices(dict(listed))) == (True, False)
    old, new = (pb.Snapshot.FromString(follower.state.parts(0, "", "x", held)[0]) for held in (0, 1))
    price = pb.ModelPrice(
        provider="openai", model="gpt-4o", prompt_nanousd=2_500.0, completion_nanousd=10_000.0, cached_nanousd=1_250.0
    )
    assert (list(old.prices), list(new.prices)) == ([price], [])


def test_what_is_past_is_let_go(follower: Follower) -> None:
    activate(follower.engine, CALLS)
    follower.books.store([row(1, 8.0)])
    follower.look()
    follower.state.drop_past(NOW_S + 3_600)
    assert (len(follower.one(0).users), len(follower.one(0).budgets)) == (1, 0)
    follower.state.drop_past(NOW_S + 11 * 3_600)
    assert len(follower.one(0).users) == 0


def test_use_under_a_budgets_former_shape_is_not_mixed_with_its_new_one(follower: Follower) -> None:
    activate(follower.engine, CALLS)
    follower.books.store([row(1), row(2)])
    follower.look()
    activate(follower.engine, CALLS.replace("requests", "tokens"))
    follower.look()
    assert list(follower.one(0).budgets) == []
    follower.books.store([row(3)])
    follower.look()
    assert [(one.unit, one.others) for one in follower.one(0).budgets] == [("tokens", row(3).total_tokens)]


def test_steering_changes_are_known_from_numbers_that_move(engine: Engine) -> None:
    rules = RulesInForce(RULE)
    with database.writing(engine) as connection:
        user = UserRisk("default", "alice", 8.0, BEGAN_UNIX_US, changed_version=control_state.advance(connection))
        risk.write(connection, [user])
        moved = read(connection, None, rules, NOW_S)
        risk.write(connection, [replace(user, quarantined_until_unix_us=BEGAN_UNIX_US + HOUR_US)])
        confined = read(connection, None, rules, NOW_S)
    assert moved is not None
    assert confined is not None
    assert [replace(delta, whole=False).steers for delta in (moved, confined)] == [False, True]
    assert moved.steers  # a database that is read whole is news
