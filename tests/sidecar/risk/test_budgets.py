"""Budgets as one worker counts them."""

from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.policy import Facts
from sidecar.policy.scoped import Budget, Per, Unit, Window
from sidecar.risk.budgets import Ask, Budgets, Claim, Grant, Over
from sidecar.types import Usage

ADA = Facts("acme", "ada", "red", "gpt-4o", "openai")
DAY_S = 1_800_000_000 - 1_800_000_000 % 86400
NOON = (DAY_S + 43_200) * 1_000_000
MINUTE = 60_000_000


@dataclass(frozen=True)
class Told:
    """What analytics pushes of a budget."""

    window_unix_s: int
    others: int = 0
    own: int = 0


@dataclass(frozen=True)
class Cost:
    """What analytics pushes of a model."""

    prompt_nanousd: float = 10.0
    completion_nanousd: float = 30.0
    cached_nanousd: float = 1.0


def budget(limit: float = 3, unit: Unit = Unit.REQUESTS, window: Window = Window.MINUTE, **more: Any) -> Budget:
    return Budget(more.pop("name", "b"), limit, unit, window, **more)


RATE, TOKENS = budget(), budget(100, Unit.TOKENS, Window.DAY, name="tokens")


def passes(held: Budgets, one: Budget, ask: Ask | None = None, at_us: int = NOON) -> bool:
    return held.take([one], ask or Ask(ADA), at_us).over is None


def test_requests_pass_up_to_the_limit_and_again_in_the_next_window() -> None:
    held = Budgets()
    assert [passes(held, RATE) for _ in range(5)] == [True, True, True, False, False]
    assert passes(held, RATE, at_us=NOON + MINUTE)


def test_who_is_over_is_told_until_when() -> None:
    held = Budgets()
    zero = budget(0, per=Per.USER)
    grant = held.take([zero], Ask(ADA), NOON + 17_500_000)
    assert grant == Grant((), Over(zero, "ada", 43))
    assert grant.over is not None
    assert grant.over.reason == "budget b: 0 requests a minute for user 'ada' are used up"
    shared = held.take([budget(0)], Ask(ADA), NOON).over
    assert shared is not None
    assert shared.reason == "budget b: 0 requests a minute for this tenant are used up"


@pytest.mark.parametrize("per", list(Per))
def test_each_user_team_model_or_tenant_has_a_count_of_its_own(per: Per) -> None:
    held, one = Budgets(), budget(1, per=per)
    assert passes(held, one)
    other = ADA._replace(**{per.value: "other"})
    assert [passes(held, one), passes(held, one, Ask(other))] == [False, True]


def test_where_one_has_no_room_nothing_is_taken_from_any() -> None:
    held, day = Budgets(), budget(2, window=Window.DAY, name="day")
    assert passes(held, day)
    assert passes(held, day)
    grant = held.take([RATE, day], Ask(ADA), NOON)
    assert (grant.claims, grant.over) == ((), Over(day, "", 43_200))
    assert [passes(held, RATE) for _ in range(4)] == [True, True, True, False]


def test_what_will_pass_anyway_counts_and_says_that_it_is_over() -> None:
    held, one = Budgets(), budget(1)
    assert passes(held, one)
    grant = held.take([one], Ask(ADA), NOON, anyway=True)
    assert (grant.claims, grant.over) == (
        (Claim(("acme", "b", ""), NOON // 10**6, Unit.REQUESTS, 1),),
        Over(one, "", 60),
    )


def test_tokens_are_held_while_a_request_is_under_way_and_counted_when_it_ends() -> None:
    held, ask = Budgets(), Ask(ADA, 20, 50)
    first = held.take([TOKENS], ask, NOON)
    assert not passes(held, TOKENS, ask)
    assert passes(held, TOKENS, Ask(ADA, 20, 10))
    held.settle(first, ADA, Usage(18, 4, total_tokens=22))
    assert [passes(held, TOKENS, Ask(ADA, size)) for size in (49, 48)] == [False, True]


def test_an_answer_without_usage_gives_back_what_was_held() -> None:
    held = Budgets()
    held.settle(held.take([TOKENS], Ask(ADA, 100), NOON), ADA, None)
    assert passes(held, TOKENS, Ask(ADA, 100))


def test_a_request_that_was_not_sent_after_all_gives_everything_back() -> None:
    held, one = Budgets(), budget(1)
    held.give_back(held.take([one, TOKENS], Ask(ADA, 100), NOON))
    assert passes(held, one)
    assert passes(held, TOKENS, Ask(ADA, 100))
    held.give_back(Grant())


def test_a_budget_that_is_used_up_lets_nothing_pass_however_small() -> None:
    """A model without a price costs nothing here; where the money is gone it does not pass either."""
    held, money = Budgets(), budget(1e-6, Unit.USD, Window.DAY)
    held.prices({("openai", "gpt-4o"): Cost()})
    held.settle(held.take([money], Ask(ADA, 1), NOON), ADA, Usage(100, 0))
    assert not passes(held, money, Ask(ADA._replace(model="unknown")))


def test_cost_is_by_the_model_s_price_and_cached_tokens_have_theirs() -> None:
    held, money = Budgets(), budget(1e-6, Unit.USD, Window.DAY)  # 1,000 nano dollars
    held.prices({("openai", "gpt-4o"): Cost()})
    assert not passes(held, money, Ask(ADA, 50, 17))  # 500 + 510
    held.settle(held.take([money], Ask(ADA, 50, 16), NOON), ADA, Usage(50, 10, cached_tokens=40))  # 100 + 40 + 300
    assert [passes(held, money, Ask(ADA, size)) for size in (57, 56)] == [False, True]
    elsewhere = Ask(ADA._replace(provider="azure"), 57)
    assert not passes(held, money, elsewhere)  # the same model at a provider without a price of its own


def test_without_a_price_nothing_is_counted() -> None:
    held, money = Budgets(), budget(1e-9, Unit.USD, Window.DAY)
    held.settle(held.take([money], Ask(ADA, 10**6), NOON), ADA, Usage(10**6, 10**6))
    assert passes(held, money, Ask(ADA, 10**6))


def test_what_others_used_counts_and_own_is_not_counted_twice() -> None:
    held, one = Budgets(), budget(10)
    key, window = ("acme", "b", ""), NOON // 10**6
    for _ in range(4):
        assert passes(held, one)
    held.apply({key: Told(window, others=4, own=3)}, NOON)
    assert [passes(held, one) for _ in range(3)] == [True, True, False]
    held.apply({key: Told(window, others=4, own=6)}, NOON)
    assert not passes(held, one)


def test_a_restarted_worker_goes_on_from_what_was_stored_of_it() -> None:
    key, window = ("acme", "b", ""), NOON // 10**6
    reborn, one = Budgets(), budget(10)
    reborn.apply({key: Told(window, others=2, own=5)}, NOON)
    assert [passes(reborn, one) for _ in range(4)] == [True, True, True, False]


def test_totals_of_another_window_change_nothing() -> None:
    held, one = Budgets(), budget(1)
    key, window = ("acme", "b", ""), NOON // 10**6
    assert passes(held, one)
    held.apply({key: Told(window - 60, others=100)}, NOON)
    held.apply({key: Told(window + 86_400, others=100)}, NOON)  # a clock that is broken
    assert not passes(held, one)
    assert passes(held, one, at_us=NOON + MINUTE)


def test_a_clock_a_little_ahead_begins_the_next_window() -> None:
    """Analytics begins the minute a second early: what is let pass here counts in it, and is settled in it."""
    held, tokens = Budgets(), budget(100, Unit.TOKENS)
    key, window = ("acme", "b", ""), NOON // 10**6
    held.apply({key: Told(window, others=30)}, NOON - 1_000_000)
    grant = held.take([tokens], Ask(ADA, 60), NOON - 1_000_000)
    held.settle(grant, ADA, Usage(total_tokens=60))
    assert not passes(held, tokens, Ask(ADA, 20), NOON + 1_000_000)


def test_an_answer_that_ends_after_its_window_does_not_count_in_the_next() -> None:
    held, tokens = Budgets(), budget(100, Unit.TOKENS)
    late = held.take([tokens], Ask(ADA, 90), NOON)
    assert passes(held, tokens, Ask(ADA, 100), NOON + MINUTE)
    held.settle(late, ADA, Usage(total_tokens=90))
    held.give_back(late)
    assert not passes(held, tokens, Ask(ADA, 1), NOON + MINUTE)


def test_a_budget_of_the_same_name_that_counts_something_else_begins_anew() -> None:
    """A policy that changed under way: requests are not taken for tokens."""
    held = Budgets()
    for _ in range(3):
        assert passes(held, budget(3, window=Window.DAY))
    assert passes(held, budget(3, Unit.TOKENS, Window.DAY), Ask(ADA, 3))


def test_memory_is_bounded() -> None:
    held, one = Budgets(counts_max=10), budget(per=Per.USER)
    for number in range(100):
        assert passes(held, one, Ask(ADA._replace(user=str(number))))
    assert len(held) == 10
