"""Budgets and rates as this worker counts them: exactly what it let pass itself, and what analytics tells of all others.

In: what a request asks for, the budgets that hold for it, what it used in the end, what analytics pushed, the time. Out: a Grant.

    used of a window = others (pushed) + max(own (pushed), counted here) + reserved for requests under way

Windows are those of the clock (full minutes, hours, UTC days), the same in every sidecar. A request counts when it is let pass,
its tokens and cost when its answer ends, in the window it began in. Until then what it asks for at most is reserved: its prompt,
estimated, and its max_tokens where it names them (OpenAI counts its own rate limits so). So one sidecar alone lets pass no request
too many; of tokens only those too many that answers without max_tokens, or prompts estimated too low, add while they are under way.
Overshoot with k sidecars (worker processes) whose totals arrive d seconds late (for tokens and cost: d after an answer's end): at
most what the others use within d, and at most k - 1 times what was left when the last totals came.
A restarted worker begins with `own`; what its last life had not delivered yet is missing from it until it is.
Bounds: COUNTS_MAX counts, the least recently used forgotten first (what analytics pushes of them comes back).
Never: a lock, I/O, a count that outlives its window.
Source: https://platform.openai.com/docs/guides/rate-limits, read 2026-11.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.policy.match import Facts
from sidecar.policy.scoped import Budget, Per, Unit
from sidecar.types import Usage

# Some 270 bytes a count (measured with tracemalloc, 2026-11): 50,000 take 14 MB.
COUNTS_MAX = 50_000
_SKEW_S = 60  # clocks of machines that are further apart are broken

Key = tuple[str, str, str]  # tenant, the budget's name, the user, team or model it is counted for


class PushedUse(Protocol):
    """What was used of a budget in a window, as analytics has stored it; own is this worker's part."""

    @property
    def window_unix_s(self) -> int: ...
    @property
    def others(self) -> int: ...
    @property
    def own(self) -> int: ...


class Price(Protocol):
    """What a token of a model costs, in nano US dollars. cached is what a cached token of the prompt costs."""

    @property
    def prompt_nanousd(self) -> float: ...
    @property
    def completion_nanousd(self) -> float: ...
    @property
    def cached_nanousd(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for. Units: tokens; completion is what its answer may have at most, 0 where it does not say."""

    facts: Facts
    prompt: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """What one budget holds for one request."""

    key: Key
    window_s: int
    unit: Unit
    amount: int


@dataclass(frozen=True, slots=True)
class Over:
    """A budget that has no room. wait_s is how long its window lasts, at least 1."""

    budget: Budget
    whose: str
    wait_s: int

    @property
    def reason(self) -> str:
        """Say it in one line."""
        budget = self.budget
        whose = f"{budget.per} {self.whose[:64]!r}" if self.whose else f"this {budget.per}"
        return f"budget {budget.name}: {budget.limit:g} {budget.unit} a {budget.window} for {whose} are used up"


@dataclass(frozen=True, slots=True)
class Grant:
    """What was taken for a request. over is a budget without room, of several the one that lasts longest."""

    claims: tuple[Claim, ...] = ()
    over: Over | None = None


NOTHING = Grant()


class _Count:
    """One count of one window. own is never more than what is counted here once it was told: a restart begins with it.

    unit is None while only analytics has spoken of it.
    """

    __slots__ = ("counted", "others", "reserved", "unit", "window_s")

    def __init__(self, window_s: int) -> None:
        self.window_s = window_s
        self.unit: Unit | None = None
        self.counted = self.reserved = self.others = 0

    @property
    def used(self) -> int:
        return self.others + self.counted + self.reserved


class Budgets:
    """Counts what is used. One for each worker; not for several threads."""

    def __init__(self, counts_max: int = COUNTS_MAX) -> None:
        self._counts_max = counts_max
        self._counts: OrderedDict[Key, _Count] = OrderedDict()
        self._prices: Mapping[tuple[str, str], Price] = {}
        self._by_model: dict[str, Price] = {}

    def __len__(self) -> int:
        """Return how many counts are held."""
        return len(self._counts)

    def apply(self, pushed: Mapping[Key, PushedUse], now_us: int) -> None:
        """Take what analytics tells. A total of a window that is over changes nothing, and neither does one of a far-off future.

        Bounds: linear in what is pushed.
        """
        latest_s = now_us // 1_000_000 + _SKEW_S
        for key, use in pushed.items():
            if use.window_unix_s > latest_s:
                continue
            count = self._counts.get(key)
            if count is None or count.window_s < use.window_unix_s:
                count = self._new(key, use.window_unix_s)
            if count.window_s == use.window_unix_s:
                count.others = use.others
                count.counted = max(count.counted, use.own)

    def prices(self, prices: Mapping[tuple[str, str], Price]) -> None:
        """Take what models cost, by (provider, model)."""
        self._prices = prices
        self._by_model = {model: price for (_, model), price in prices.items()}

    def take(self, budgets: Sequence[Budget], ask: Ask, now_us: int, *, anyway: bool = False) -> Grant:
        """Take from every budget what a request asks for, or from none: where one has no room the Grant says which.

        anyway: take it all the same, because the request will pass (observe mode).
        Bounds: a look-up per budget.
        """
        now_s = now_us // 1_000_000
        claims, over = list[Claim](), None
        for budget in budgets:
            length = budget.window.seconds
            key, amount = _key(budget, ask.facts), self._amount(budget.unit, ask)
            count = self._count(key, now_s - now_s % length, budget.unit)
            claims.append(Claim(key, count.window_s, budget.unit, amount))
            if count.used >= budget.amount or count.used + amount > budget.amount:
                found = Over(budget, key[2], max(1, count.window_s + length - now_s))
                over = found if over is None or found.wait_s > over.wait_s else over
        if over is not None and not anyway:
            return Grant((), over)
        for claim in claims:
            count = self._count(claim.key, claim.window_s, claim.unit)
            if claim.unit is Unit.REQUESTS:
                count.counted += claim.amount
            else:
                count.reserved += claim.amount
        return Grant(tuple(claims), over)

    def settle(self, grant: Grant, facts: Facts, usage: Usage | None) -> None:
        """Count what a request used in the end, in place of what was reserved for it."""
        for claim in grant.claims:
            count = self._counts.get(claim.key)
            if claim.unit is Unit.REQUESTS or count is None or count.window_s != claim.window_s:
                continue
            count.reserved -= min(claim.amount, count.reserved)
            count.counted += 0 if usage is None else self._spent(claim.unit, facts, usage)

    def give_back(self, grant: Grant) -> None:
        """Undo a Grant: the request was not sent after all."""
        for claim in grant.claims:
            count = self._counts.get(claim.key)
            if count is None or count.window_s != claim.window_s:
                continue
            if claim.unit is Unit.REQUESTS:
                count.counted -= min(claim.amount, count.counted)
            else:
                count.reserved -= min(claim.amount, count.reserved)

    def _count(self, key: Key, window_s: int, unit: Unit) -> _Count:
        """Return the count under way: of the window, or of the next one where analytics' clock has begun it already."""
        count = self._counts.get(key)
        if count is None or count.window_s < window_s or count.unit not in (None, unit):
            count = self._new(key, window_s)
        else:
            self._counts.move_to_end(key)
        count.unit = unit
        return count

    def _new(self, key: Key, window_s: int) -> _Count:
        count = self._counts[key] = _Count(window_s)
        self._counts.move_to_end(key)
        if len(self._counts) > self._counts_max:
            self._counts.popitem(last=False)
        return count

    def _amount(self, unit: Unit, ask: Ask) -> int:
        if unit is Unit.REQUESTS:
            return 1
        if unit is Unit.TOKENS:
            return ask.prompt + ask.completion
        price = self._price(ask.facts)
        if price is None:
            return 0
        return round(ask.prompt * price.prompt_nanousd + ask.completion * price.completion_nanousd)

    def _spent(self, unit: Unit, facts: Facts, usage: Usage) -> int:
        prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
        if unit is Unit.TOKENS:
            return usage.total_tokens if usage.total_tokens is not None else prompt + completion
        price = self._price(facts)
        if price is None:
            return 0
        cached = min(prompt, usage.cached_tokens or 0)
        asked = (prompt - cached) * price.prompt_nanousd + cached * price.cached_nanousd
        return round(asked + completion * price.completion_nanousd)

    def _price(self, facts: Facts) -> Price | None:
        return self._prices.get((facts.provider, facts.model)) or self._by_model.get(facts.model)


def _key(budget: Budget, facts: Facts) -> Key:
    return facts.tenant, budget.name, "" if budget.per is Per.TENANT else getattr(facts, budget.per.value)
