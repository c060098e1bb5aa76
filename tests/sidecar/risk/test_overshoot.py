"""How far three sidecars can let a budget be overshot when the totals come late: what budgets.py promises, tried.

Three Budgets, a clock, and what analytics would do: it stores what each let pass, and pushes the totals as they were d ago.
"""

from collections import defaultdict
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.policy import Facts
from sidecar.policy.scoped import Budget, Unit, Window
from sidecar.risk.budgets import Ask, Budgets, Grant
from sidecar.types import Usage

WINDOW_S = 1_800_000_000 - 1_800_000_000 % 60
FACTS = Facts("acme", "ada")
KEY = ("acme", "b", "")
_STEP_US = 10_000


@dataclass(frozen=True)
class Told:
    window_unix_s: int
    others: int
    own: int


class Fleet:
    """Three sidecars and analytics. Times are microseconds since the window began."""

    def __init__(self, budget: Budget, delay_us: int, sidecars: int = 3) -> None:
        self.budget, self.delay_us = budget, delay_us
        self.sidecars = [Budgets() for _ in range(sidecars)]
        self.stored: list[tuple[int, int, int]] = []  # when, by whom, how much

    def used(self, until_us: int | None = None, but: int | None = None) -> int:
        return sum(n for at, who, n in self.stored if (until_us is None or at <= until_us) and who != but)

    def push(self, now_us: int) -> None:
        """Tell every sidecar what was stored a delay ago."""
        seen = now_us - self.delay_us
        for who, held in enumerate(self.sidecars):
            others = self.used(seen, but=who)
            held.apply({KEY: Told(WINDOW_S, others, self.used(seen) - others)}, WINDOW_S * 10**6 + now_us)

    def ask(self, who: int, now_us: int, ask: Ask) -> Grant:
        return self.sidecars[who].take([self.budget], ask, WINDOW_S * 10**6 + now_us)


@pytest.mark.parametrize(("delay_ms", "rate"), [(0, 30), (500, 30), (1000, 30), (500, 300)])
def test_requests_are_overshot_by_what_the_others_let_pass_within_the_delay(delay_ms: int, rate: int) -> None:
    """rate requests a second, each to a sidecar by chance; totals pushed ten times a second."""
    fleet, chance = Fleet(Budget("b", 100, Unit.REQUESTS, Window.MINUTE), delay_ms * 1000), Random(7)
    most_within_delay = 0
    for now_us in range(0, 30_000_000, _STEP_US):
        if now_us % 100_000 == 0:
            fleet.push(now_us)
        for _ in range(sum(chance.random() < rate * _STEP_US / 1e6 / 10 for _ in range(10))):
            who = chance.randrange(3)
            if fleet.ask(who, now_us, Ask(FACTS)).over is None:
                fleet.stored.append((now_us, who, 1))
        late_us = fleet.delay_us + 100_000  # the delay, and the time between two pushes
        most_within_delay = max(
            most_within_delay, max(fleet.used(now_us, who) - fleet.used(now_us - late_us, who) for who in range(3))
        )
    overshoot = fleet.used() - 100
    assert 0 <= overshoot <= most_within_delay
    assert overshoot <= {(0, 30): 5, (500, 30): 20, (1000, 30): 35, (500, 300): 200}[delay_ms, rate]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=800))
def test_no_order_of_events_overshoots_by_more_than_what_was_left(limit: int, events: list[tuple[int, bool]]) -> None:
    """At any moment the totals may come, all of them or not for a long time: k - 1 times what was left when they last came."""
    fleet = Fleet(Budget("b", limit, Unit.REQUESTS, Window.MINUTE), 0)
    bound = 3 * limit
    for at_us, (who, push) in enumerate(events):
        if push:
            fleet.push(at_us)
            bound = fleet.used() + 3 * max(0, limit - fleet.used())  # each may use what it believes to be left
        if fleet.ask(who, at_us, Ask(FACTS)).over is None:
            fleet.stored.append((at_us, who, 1))
        assert fleet.used() <= bound


def test_one_sidecar_alone_overshoots_nothing_while_calls_name_their_max_tokens() -> None:
    held, chance = Budgets(), Random(3)
    budget, spent = Budget("b", 10_000, Unit.TOKENS, Window.MINUTE), 0
    under_way: dict[int, list[tuple[Grant, int]]] = defaultdict(list)
    for now in range(5_000):
        for grant, tokens in under_way.pop(now, ()):
            held.settle(grant, FACTS, Usage(total_tokens=tokens))
            spent += tokens
        prompt, most = chance.randrange(1, 50), chance.randrange(1, 100)
        grant = held.take([budget], Ask(FACTS, prompt, most), WINDOW_S * 10**6)
        if grant.over is None:
            under_way[now + chance.randrange(1, 40)].append((grant, prompt + chance.randrange(most + 1)))
        assert spent <= 10_000
    assert spent > 9_900  # and it is used to nearly its end


def test_what_answers_without_max_tokens_add_while_under_way_is_what_is_overshot() -> None:
    held, budget = Budgets(), Budget("b", 1_000, Unit.TOKENS, Window.MINUTE)
    grants = [held.take([budget], Ask(FACTS, 100), WINDOW_S * 10**6) for _ in range(11)]
    assert [grant.over is None for grant in grants] == [True] * 10 + [False]
    for grant in grants[:10]:
        held.settle(grant, FACTS, Usage(100, 50, total_tokens=150))
    assert held._counts[KEY].used == 1_500
