"""Budgets: read from a policy, which records they cover, what each uses."""

import pytest

from analytics.control import budgets, policies
from analytics.control.budgets import Budget
from analytics.types import Change
from analytics.types.control import UseKey
from tests.analytics.control.steering import row, verdict
from tests.analytics.traffic import BEGAN_UNIX_US

HOUR = BEGAN_UNIX_US // 3_600_000_000 * 3_600


def read(text: str) -> tuple[Budget, ...]:
    document = policies.read_yaml(text)
    policies.check(document)
    return budgets.read(document)


def test_budgets_are_read_with_their_defaults_and_money_in_nano_dollars() -> None:
    found = read(
        "budgets: [{name: a, unit: usd, window: day, limit: 0.25}, {name: b, unit: tokens, window: hour, limit: 9, per: model}]"
    )
    assert found == (Budget("a", "usd", "tenant", "day", 250_000_000), Budget("b", "tokens", "model", "hour", 9))
    assert [one.window_s for one in found] == [86_400, 3_600]
    assert read("mode: observe") == ()


@pytest.mark.parametrize(
    ("match", "covered"),
    [
        ("{}", True),
        ("{model: gpt-*}", True),
        ("{model: [claude-*, gpt-4o]}", True),
        ("{model: GPT-4O}", False),
        ("{user: ali?e, provider: openai}", True),
        ("{user: ali?e, provider: anthropic}", False),
        ("{host: api.openai.com}", True),
        ("{model: '[g]pt-4o'}", False),
    ],
)
def test_a_match_covers_what_all_its_fields_name(match: str, covered: bool) -> None:
    (one,) = read(f"budgets: [{{name: a, unit: requests, window: hour, limit: 1, match: {match}}}]")
    assert one.covers(row(0, model="gpt-4o", host="API.openai.com:443")) is covered


def test_money_and_tokens_count_at_the_end_and_requests_at_the_beginning() -> None:
    held = {
        "default": read("""
budgets:
- {name: n, unit: requests, window: hour, limit: 1, per: model}
- {name: t, unit: tokens, window: hour, limit: 1, per: team}
""")
    }
    first = budgets.used([Change(verdict(1, 0.0, model="m", team="red"), "", 0.0)], held)
    last = budgets.used([Change(row(1, 0.0, model="m", team="red"), "verdict", 0.0)], held)
    again = budgets.used([Change(row(1, 0.0, model="m", team="red"), "complete", 0.0)], held)
    assert first == {UseKey("default", "n", "m", "requests", 3_600, HOUR, "web-1/0"): 1}
    assert last == {UseKey("default", "t", "red", "tokens", 3_600, HOUR, "web-1/0"): 150}
    assert again == {}


def test_a_call_without_a_known_price_costs_nothing_that_is_counted() -> None:
    held = {"default": read("budgets: [{name: c, unit: usd, window: day, limit: 1}]")}
    unpriced = row(1, model="nobody-sells-this")
    assert unpriced.cost_nanousd is None
    assert budgets.used([Change(unpriced, "", 0.0)], held) == {}
