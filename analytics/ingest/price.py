"""What a call cost: list prices of the kept library genai-prices (its offline snapshot), overruled by a file of one's own.

In: provider and model as records name them, token counts, the time of the call. Out: nano-US-dollars, None where no
price is known; never 0 for unknown. An unknown provider has no price, also when another provider sells a model of that
name: prices differ between them (regions, speeds, resellers), so a guess can be wrong. The one fallback is the library's
own, for providers that sell the models of others at their makers' prices (Azure: OpenAI, Anthropic ...; Google: Anthropic).
Cached tokens are part of the prompt, reasoning tokens part of the completion; each has its own price where one is listed.
What the contract does not tell apart is priced as text: audio and image tokens, tokens written to a cache, batch discounts.
Bounds: about 1 us a record; a pair of provider and model that is new costs up to 2 ms, KEPT pairs are remembered.
Never: a request to the network (the library's updates stay off).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import yaml
from genai_prices import data_snapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, TieredPrices
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analytics.types import DecisionRow

KEPT = 4_096
# The contract's provider names (sidecar/envoyconf/providers.py) that are others in genai-prices; the rest are the same.
# Hugging Face's router names the provider behind it in the model (`model:groq`), see _library.
_IDS = {"gemini": "google", "bedrock": "aws", "xai": "x-ai", "fireworks": "fireworks"}
_SAME = ("openai", "anthropic", "mistral", "cohere", "azure", "groq", "together", "deepseek", "perplexity", "cerebras")
_PROVIDERS = _IDS | {name: name for name in (*_SAME, "openrouter")}
_PICO_PER_TOKEN = 1_000_000  # one US dollar a million tokens, in billionths of a thousandth of a dollar a token
_PICO_PER_CALL = 10**12
_NANO = 1_000  # pico-dollars in a nano-dollar
_MAX_NANO = 2**62  # a cost fits the column and leaves room for sums


_FIELDS = DecisionRow.__match_args__
_BEFORE = attrgetter(*_FIELDS[: _FIELDS.index("cost_nanousd")])
_AFTER = attrgetter(*_FIELDS[_FIELDS.index("cost_nanousd") + 1 :])


class PricesError(ValueError):
    """A prices file that cannot be used; the text names the file, the place and what is allowed."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices in pico-US-dollars: of a token of each kind, and of the call itself. None: not listed."""

    prompt: int | None
    cached: int | None
    completion: int | None
    reasoning: int | None
    call: int = 0

    def cost_nanousd(self, used: Mapping[str, int]) -> int | None:
        """Return the cost of the tokens, None when tokens were used that have no price."""
        prompt, completion = used.get("prompt_tokens", 0), used.get("completion_tokens", 0)
        cached = min(used.get("cached_tokens", 0), prompt) if self.cached is not None else 0
        reasoning = min(used.get("reasoning_tokens", 0), completion) if self.reasoning is not None else 0
        plain, said = prompt - cached, completion - reasoning
        if (plain and self.prompt is None) or (said and self.completion is None):
            return None
        pico = plain * (self.prompt or 0) + cached * (self.cached or 0)
        pico += said * (self.completion or 0) + reasoning * (self.reasoning or 0) + self.call
        return min((pico + _NANO // 2) // _NANO, _MAX_NANO)


# From the highest number of prompt tokens down: above so many, these rates hold for all tokens of the call.
_Tiers = tuple[tuple[int, Rates], ...]


@dataclass(frozen=True, slots=True)
class _Schedule:
    """What holds when: conditions in the order they are tried, and what holds when none of them does."""

    conditions: tuple[tuple[ConditionalPrice, _Tiers], ...]
    otherwise: _Tiers

    def at(self, unix_us: int) -> _Tiers:
        """Return what holds at a time."""
        if self.conditions:
            moment = datetime.fromtimestamp(unix_us / 1e6, UTC)
            for condition, tiers in self.conditions:
                if condition.constraint is None or condition.constraint.active(moment):
                    return tiers
        return self.otherwise


_Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class _Entry(BaseModel):
    """One line of a prices file. Names may hold stars; what is left out is not listed (cached: priced as prompt)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str = "*"
    model: str = Field(min_length=1)
    prompt_usd_per_mtok: _Usd | None = None
    cached_usd_per_mtok: _Usd | None = None
    completion_usd_per_mtok: _Usd | None = None
    reasoning_usd_per_mtok: _Usd | None = None
    call_usd: _Usd = Decimal(0)

    def matches(self, provider: str, model: str) -> bool:
        return fnmatchcase(provider, self.provider) and fnmatchcase(model, self.model)

    def rates(self) -> Rates:
        prompt, cached = self.prompt_usd_per_mtok, self.cached_usd_per_mtok
        kinds = (prompt, cached, self.completion_usd_per_mtok, self.reasoning_usd_per_mtok)
        return _rates(kinds, self.call_usd)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prices: tuple[_Entry, ...]


class Prices:
    """The prices in force. Made once; the memory of pairs met belongs to it."""

    def __init__(self, overrides: Sequence[_Entry] = ()) -> None:
        self._overrides = tuple(overrides)
        self._providers = {one.id: one for one in data_snapshot.get_snapshot().providers}
        self._schedule = lru_cache(maxsize=KEPT)(self._find)

    def cost_nanousd(self, provider: str, model: str, used: Mapping[str, int], unix_us: int) -> int | None:
        """Return what a call cost; None when its usage is not known, or a price of what it used.

        Shape: `used` holds the fields of the contract's Usage that were given.
        """
        if "prompt_tokens" not in used and "completion_tokens" not in used:
            return None
        schedule = self._schedule(provider, model)
        if schedule is None:
            return None
        prompt = used.get("prompt_tokens", 0)
        for above, rates in schedule.at(unix_us):
            if prompt > above:
                return rates.cost_nanousd(used)
        return None

    def priced(self, row: DecisionRow) -> DecisionRow:
        """Return the record with its cost; as it is, when it has one already or none is known."""
        if row.prompt_tokens is None and row.completion_tokens is None:
            return row
        known = ("prompt_tokens", row.prompt_tokens), ("completion_tokens", row.completion_tokens)
        used = {name: count for name, count in known if count is not None}
        used |= {name: row.detail[name] for name in ("cached_tokens", "reasoning_tokens") if name in row.detail}
        cost = self.cost_nanousd(row.provider, row.model, used, row.started_unix_us)
        if cost is None or row.cost_nanousd is not None:
            return row
        values: tuple[Any, ...] = (*_BEFORE(row), cost, *_AFTER(row))
        return DecisionRow(*values)  # a third of what dataclasses.replace takes

    def _find(self, provider: str, model: str) -> _Schedule | None:
        for entry in self._overrides:
            if entry.matches(provider, model):
                return _Schedule((), ((-1, entry.rates()),))
        found = self._library(provider, model)
        return _schedule(found) if found is not None else None

    def _library(self, provider: str, model: str) -> ModelInfo | None:
        if provider == "huggingface":
            model, _, behind = model.partition(":")
            known = self._providers.get(f"huggingface_{behind}")
        else:
            known = self._providers.get(_PROVIDERS.get(provider, ""))
        if known is None or not model:
            return None
        return known.find_model(model, all_providers=list(self._providers.values()))


def load(path: Path | None) -> Prices:
    """Return the prices, those of a YAML or JSON file first.

    Shape of the file: `prices:` and a list; the first entry that matches provider and model (stars allowed) is taken.
    Raises: PricesError.
    """
    if path is None:
        return Prices()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise PricesError(f"{path}: holds no `prices:` and a list of entries")
        return Prices(_File.model_validate(content).prices)
    except OSError as error:
        raise PricesError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PricesError(f"{path}: is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise PricesError(f"{path}: is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise PricesError("\n".join(f"{path}: {_place(one['loc'])}{one['msg']}" for one in error.errors())) from error


def _place(location: tuple[int | str, ...]) -> str:
    """Return where in a prices file an error is, for people: entries count from 1."""
    words = [f"entry {part + 1}" if isinstance(part, int) else part for part in location]
    return f"{', '.join(words)}: " if words else ""


def _schedule(model: ModelInfo) -> _Schedule | None:
    """Return what a model of the library costs when; None when it lists no price at all."""
    if isinstance(model.prices, ModelPrice):
        tiers = _tiers(model.prices)
        return _Schedule((), tiers) if tiers else None
    conditions = tuple((one, _tiers(one.prices)) for one in reversed(model.prices))  # the library: the last wins
    otherwise = _tiers(model.prices[0].prices)
    return _Schedule(conditions, otherwise) if otherwise or any(tiers for _, tiers in conditions) else None


def _tiers(price: ModelPrice) -> _Tiers:
    listed = (price.input_mtok, price.cache_read_mtok, price.output_mtok, price.output_reasoning_mtok)
    if all(one is None for one in listed):
        return ()
    starts = {tier.start for one in listed if isinstance(one, TieredPrices) for tier in one.tiers}
    call_usd = (_above(price.requests_kcount, -1) or Decimal(0)) / 1_000
    from_the_top = (*sorted(starts, reverse=True), -1)
    return tuple((start, _rates([_above(one, start) for one in listed], call_usd)) for start in from_the_top)


def _above(price: Decimal | TieredPrices | None, start: int) -> Decimal | None:
    """Return the price that holds above so many prompt tokens."""
    if not isinstance(price, TieredPrices):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= start]
    return reached[-1] if reached else price.base


def _rates(usd_per_mtok: Sequence[Decimal | None], call_usd: Decimal) -> Rates:
    kinds = [None if price is None else round(price * _PICO_PER_TOKEN) for price in usd_per_mtok]
    prompt, cached, completion, reasoning = kinds
    return Rates(prompt, cached, completion, reasoning, round(call_usd * _PICO_PER_CALL))
