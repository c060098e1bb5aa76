import pytest
from genai_prices import Usage, calc_price

from analytics.generate.models import ERROR_PPM, FIRST_US, MODELS, PLACE, PRICED, PRICES, TOKEN_US, Model
from sidecar.envoyconf.providers import PROVIDERS
from sidecar.protocols import protocol_for
from sidecar.types import Head

_IDS = {"gemini": "google"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_prices_are_those_of_genai_prices(model: Model) -> None:
    """Up to the longest prompt that is drawn: no tier begins below it."""
    if model.price is None:
        return
    used = Usage(input_tokens=model.max_prompt, cache_read_tokens=model.max_prompt // 2, output_tokens=1_000)
    plain, cached, answer = model.price
    half = model.max_prompt // 2
    nano = (model.max_prompt - half) * plain + half * cached + 1_000 * answer
    priced = calc_price(used, model.name, provider_id=_IDS.get(model.provider, model.provider))
    assert int(priced.total_price * 10**9) == nano


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_providers_and_protocols_are_the_sidecars(model: Model) -> None:
    assert model.provider in {provider.name for provider in PROVIDERS}
    head = Head(method="POST", path=model.endpoint, host=model.host)
    assert protocol_for(head).__name__.rpartition(".")[2] == model.protocol


def test_tables_have_a_place_for_each_model() -> None:
    assert [PLACE[model.name] for model in MODELS] == list(range(len(MODELS)))
    assert {len(table) for table in (FIRST_US, TOKEN_US, ERROR_PPM, PRICES, PRICED)} == {len(MODELS)}
