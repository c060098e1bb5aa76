"""What the models met cost, for sidecars to count cost before analytics has.

In: the models that records name, and what reckons a call's cost. Out: prices for one token of each kind.
A price is measured, not looked up: the cost of a call of a thousand tokens, so that whatever list or file of prices is in force
is told as it is. Prices that rise with a prompt's length are told as for short ones; analytics' own total corrects the count.
Never: a price of 0 for a model without one: it is left out, and its cost is not counted in sidecars either.
"""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, select

from analytics.store.tables import SERIES
from analytics.types.control import ModelPrice

# What a call cost in nano US dollars, None where no price is known: (provider, model, usage, time).
Cost = Callable[[str, str, Mapping[str, int], int], int | None]
# Each is sent to every sidecar; an installation that meets more has clients that invent names.
MODELS_MAX = 2_000
_TOKENS = 1_000


def met(connection: Connection) -> list[tuple[str, str]]:
    """Return (provider, model) of every model that records name, at most MODELS_MAX, in order."""
    statement = select(SERIES.c.provider, SERIES.c.model).distinct()
    statement = statement.where(SERIES.c.provider != "", SERIES.c.model != "").order_by(
        SERIES.c.provider, SERIES.c.model
    )
    return [(provider, model) for provider, model in connection.execute(statement.limit(MODELS_MAX))]


def prices(connection: Connection, cost: Cost, now_unix_us: int) -> dict[tuple[str, str], ModelPrice]:
    """Return the prices of the models met that have one."""
    found = {model: _price(*model, cost, now_unix_us) for model in met(connection)}
    return {model: price for model, price in found.items() if price is not None}


def _price(provider: str, model: str, cost: Cost, now_unix_us: int) -> ModelPrice | None:
    prompt = cost(provider, model, {"prompt_tokens": _TOKENS, "completion_tokens": 0}, now_unix_us)
    both = cost(provider, model, {"prompt_tokens": _TOKENS, "completion_tokens": _TOKENS}, now_unix_us)
    if prompt is None or both is None:
        return None
    used = {"prompt_tokens": _TOKENS, "completion_tokens": 0, "cached_tokens": _TOKENS}
    cached = cost(provider, model, used, now_unix_us)
    return ModelPrice(prompt / _TOKENS, (both - prompt) / _TOKENS, (prompt if cached is None else cached) / _TOKENS)
