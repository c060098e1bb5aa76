"""Prices: the library is the oracle, a file overrules it, and what is not known costs None."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from genai_prices import Usage, data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider

from analytics.ingest import price
from analytics.ingest.decode import decode
from analytics.ingest.price import Prices, PricesError, load
from tests.analytics.traffic import record

NOW = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z
MILLION = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}


def test_a_known_model_costs_its_list_price() -> None:
    used = {"prompt_tokens": 1_000, "completion_tokens": 200, "total_tokens": 1_200}
    assert Prices().cost_nanousd("openai", "gpt-4o", used, NOW) == 1_000 * 2_500 + 200 * 10_000


def test_cached_tokens_are_part_of_the_prompt_and_cost_less() -> None:
    used = {"prompt_tokens": 1_000, "cached_tokens": 600, "completion_tokens": 0}
    assert Prices().cost_nanousd("openai", "gpt-4o", used, NOW) == 400 * 2_500 + 600 * 1_250


def test_more_cached_tokens_than_prompt_count_as_the_prompt() -> None:
    used = {"prompt_tokens": 10, "cached_tokens": 2**63 - 1}
    assert Prices().cost_nanousd("openai", "gpt-4o", used, NOW) == 10 * 1_250


@pytest.mark.parametrize(
    ("provider", "model", "used"),
    [
        ("openai", "no-such-model", MILLION),
        ("openai", "", MILLION),
        ("", "gpt-4o", MILLION),
        ("ollama", "llama3", MILLION),
        ("nvidia", "gpt-4o", MILLION),
        ("huggingface", "openai/gpt-oss-120b", MILLION),  # which provider answers is the router's choice
        ("openai", "gpt-4o", {}),
        ("openai", "gpt-4o", {"total_tokens": 5}),
        ("openai", "text-embedding-3-small", MILLION),  # completions of a model that lists none
    ],
)
def test_what_is_not_known_costs_none(provider: str, model: str, used: dict[str, int]) -> None:
    assert Prices().cost_nanousd(provider, model, used, NOW) is None


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("gemini", "gemini-2.0-flash", 0.5),
        ("bedrock", "amazon.nova-lite-v1:0", 0.3),
        ("xai", "grok-3-mini", 0.8),
        ("azure", "gpt-4o", 12.5),  # at its maker's price
        ("huggingface", "openai/gpt-oss-120b:groq", 0.9),
    ],
)
def test_provider_names_of_the_contract_are_found(provider: str, model: str, usd: float) -> None:
    assert Prices().cost_nanousd(provider, model, MILLION, NOW) == round(usd * 1e9)


def test_every_provider_name_leads_to_one_of_the_library() -> None:
    known = {one.id for one in data_snapshot.get_snapshot().providers}
    assert set(price._PROVIDERS.values()) <= known


def test_prices_that_begin_on_a_day_hold_from_that_day() -> None:
    prices = Prices()
    used = {"prompt_tokens": 300_000, "completion_tokens": 0}
    before, after = (int(datetime(2026, 3, day, 12, tzinfo=UTC).timestamp()) * 1_000_000 for day in (12, 13))
    costs = [prices.cost_nanousd("anthropic", "claude-opus-4-6", used, at) for at in (before, after)]
    assert costs == [300_000 * 10_000, 300_000 * 5_000]  # above 200,000 tokens the tier held, then it was dropped


def _textual() -> Iterator[tuple[str, Provider, ModelInfo]]:
    """Yield the models of our providers that list prices of text and of calls only."""
    ours = {library: name for name, library in price._PROVIDERS.items()}
    told = {"input_mtok", "cache_read_mtok", "output_mtok", "output_reasoning_mtok", "requests_kcount"}
    passed_over = {"cache_write_mtok", "cache_write_1h_mtok", "web_searches_kcount", "storage_searches_kcount"}
    moment = datetime.fromtimestamp(NOW / 1e6, UTC)
    for provider in data_snapshot.get_snapshot().providers:
        for model in provider.models if provider.id in ours else ():
            listed: ModelPrice = model.get_prices(moment)
            keys = {name for name, value in listed.__dict__.items() if value is not None}
            if {"input_mtok", "output_mtok"} <= keys <= told | passed_over:
                yield ours[provider.id], provider, model


@pytest.mark.parametrize("prompt", [1_000, 200_000, 200_001, 5_000_000])
def test_costs_are_those_of_the_library(prompt: int) -> None:
    prices, moment, tried = Prices(), datetime.fromtimestamp(NOW / 1e6, UTC), 0
    used = {"prompt_tokens": prompt, "cached_tokens": 777, "completion_tokens": 321, "reasoning_tokens": 21}
    usage = Usage(input_tokens=prompt, cache_read_tokens=777, output_tokens=321, output_reasoning_tokens=21)
    for name, provider, model in _textual():
        found = provider.find_model(model.id)
        if found is not model:  # the id is not how calls name it
            continue
        exact = model.calc_price(usage, provider, genai_request_timestamp=moment).total_price
        assert prices.cost_nanousd(name, model.id, used, NOW) == pytest.approx(float(exact * 10**9), abs=1), model.id
        tried += 1
    assert tried > 800


PRICES = """
prices:
  - {provider: openai, model: gpt-4o, prompt_usd_per_mtok: 2, cached_usd_per_mtok: 0.5, completion_usd_per_mtok: 8}
  - {model: "llama*", prompt_usd_per_mtok: 0, completion_usd_per_mtok: 0, call_usd: 0.001}
  - {provider: ollama, model: "*", prompt_usd_per_mtok: 0.1}
"""


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_file_overrules_the_library(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"prices.{form}"
    file.write_text(PRICES if form == "yaml" else json.dumps(price.yaml.safe_load(PRICES)))
    prices = load(file)
    used = {"prompt_tokens": 100, "cached_tokens": 40, "completion_tokens": 10}
    assert prices.cost_nanousd("openai", "gpt-4o", used, NOW) == 60 * 2_000 + 40 * 500 + 10 * 8_000
    assert prices.cost_nanousd("ollama", "llama3", used, NOW) == 1_000_000
    assert prices.cost_nanousd("ollama", "phi", used, NOW) is None  # completions have no price
    assert prices.cost_nanousd("ollama", "phi", {"prompt_tokens": 100}, NOW) == 10_000
    assert prices.cost_nanousd("openai", "gpt-4o-mini", MILLION, NOW) == 750_000_000  # the library's


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("prices: [", "is neither YAML nor JSON: "),
        ("- 1", "holds no `prices:` and a list of entries"),
        ("prices: [{provider: openai}]", "prices, entry 1, model: Field required"),
        (
            "prices: [{model: a}, {model: b, prompt_usd_per_mtok: -1}]",
            "prices, entry 2, prompt_usd_per_mtok: Input should be greater than or equal to 0",
        ),
        ("prices: [{model: a, price: 1}]", "prices, entry 1, price: Extra inputs are not permitted"),
    ],
)
def test_a_bad_file_is_an_error_that_names_the_place(tmp_path: Path, content: str, reason: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(content)
    with pytest.raises(PricesError) as raised:
        load(file)
    assert str(raised.value).startswith(f"{file}: {reason}")


def test_a_file_that_is_missing_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PricesError, match=r"prices\.yaml: cannot be read: No such file"):
        load(tmp_path / "prices.yaml")
    (tmp_path / "prices.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PricesError, match=r"prices\.yaml: is not UTF-8 text"):
        load(tmp_path / "prices.yaml")


def test_names_without_end_do_not_fill_the_memory() -> None:
    prices = Prices()
    for number in range(price.KEPT + 100):
        assert prices.cost_nanousd("cohere", f"made-up-{number}", MILLION, NOW) is None
    assert prices._schedule.cache_info().currsize == price.KEPT


def test_a_record_is_given_its_cost_once() -> None:
    prices = Prices()
    row = decode(record(3))
    priced = prices.priced(row)
    assert priced == replace(row, cost_nanousd=103 * 2_500 + 40 * 10_000)
    assert prices.priced(replace(row, cost_nanousd=7)).cost_nanousd == 7
    denied = decode(record(9))
    assert prices.priced(denied) is denied
    cached = replace(row, detail={**row.detail, "cached_tokens": 100})
    assert prices.priced(cached).cost_nanousd == 3 * 2_500 + 100 * 1_250 + 40 * 10_000
    unknown = replace(row, model="made-up")
    assert prices.priced(unknown) is unknown
