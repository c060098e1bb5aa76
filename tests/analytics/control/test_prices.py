"""Prices for the models met: measured by what a call would cost, never 0 for unknown."""

from collections.abc import Mapping

from sqlalchemy import Engine

from analytics.control.prices import met, prices
from analytics.types.control import ModelPrice
from tests.analytics.control.steering import books, row

LISTED = {("openai", "gpt-4o"): (2_500, 10_000, 1_250), ("openai", "plain"): (100, 200, None)}


def cost(provider: str, model: str, used: Mapping[str, int], _unix_us: int) -> int | None:
    if (provider, model) not in LISTED:
        return None
    prompt, completion, cached = LISTED[provider, model]
    saved = used.get("cached_tokens", 0) if cached is not None else 0
    return (used["prompt_tokens"] - saved) * prompt + saved * (cached or 0) + used["completion_tokens"] * completion


def test_models_met_have_their_prices_and_unknown_ones_none(engine: Engine) -> None:
    rows = [
        row(1, model="gpt-4o"),
        row(2, model="plain"),
        row(3, model="mystery"),
        row(4, model=""),
        row(5, model="gpt-4o"),
    ]
    books(engine, lambda: 0.0).store(rows)
    with engine.connect() as connection:
        assert met(connection) == [("openai", "gpt-4o"), ("openai", "mystery"), ("openai", "plain")]
        found = prices(connection, cost, 0)
    assert found == {
        ("openai", "gpt-4o"): ModelPrice(2_500.0, 10_000.0, 1_250.0),
        ("openai", "plain"): ModelPrice(100.0, 200.0, 100.0),
    }
