"""A chunk of calls as columns, and how each comes about: model, tokens, times, errors, retries.

In: times and users of a chunk. Out: Calls with every column filled but those of verdict.py.
Source: a prompt costs 8 us a token before the answer's first token (TraceLab: 1.5 s at 12,000 tokens to 2.9 s at 185,000);
clients try again twice, after 0.5 s, doubled each time (defaults of the OpenAI and Anthropic SDKs). Shares of aborted
streams, refusals and missing usage, and how long errors take, are assumptions.
"""

from dataclasses import dataclass, fields

import numpy as np

from analytics.generate import models
from analytics.generate.chance import MILLION, Chance, Flags, Integers, log_normal
from analytics.generate.events import Events, Incident
from analytics.generate.people import KINDS, Population

STOP, LENGTH, TOOLS, FILTER, NONE = range(5)  # how an answer finished
MAX_ATTEMPT = 2
_LIKES = (750, 200, 50)  # how often a user takes the first, second and third liked model
_PREFILL_US = 8
_OUTAGE_PPM, _AGAIN_PPM = 750_000, 850_000
_BACKOFF_US = 500_000
_FAST_ERROR, _TIME_OUT = log_normal(350_000, 0.6, 20_000), log_normal(20_000_000, 0.4, 5_000_000, 60_000_000)
_PROMPTS, _ANSWERS = np.stack([kind.prompt for kind in KINDS]), np.stack([kind.answer for kind in KINDS])
_PROVIDERS = np.array([model.provider for model in models.MODELS])


@dataclass(slots=True)
class Calls:
    """Calls in order of time, a column a field, all of one length; filled from left to right.

    Units: us microseconds, tokens, tenths of a score, per cent. campaign is -1 in everyday traffic; finding and second are
    places in threats.FINDINGS or -1; would_be, applied, outcome and failure are places in verdict.py's tables; usage is
    False where the provider told no tokens.
    """

    started_us: Integers
    user: Integers
    campaign: Integers
    progress_pct: Integers
    model: Integers
    prompt: Integers
    cached: Integers
    answer: Integers
    error: Flags
    attempt: Integers
    stream: Flags
    first_us: Integers
    total_us: Integers
    finish: Integers
    usage: Flags
    sidecar: Integers
    finding: Integers
    second: Integers
    tenths: Integers
    confidence_pct: Integers
    would_be: Integers
    applied: Integers
    outcome: Integers
    failure: Integers
    complete: Flags
    verdict_us: Integers
    status: Integers
    cost_nanousd: Integers

    def __len__(self) -> int:
        """How many calls there are."""
        return len(self.started_us)

    def sort(self) -> None:
        """Bring the calls into order of time."""
        order = np.argsort(self.started_us, kind="stable")
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name)[order])


def begun(started_us: Integers, user: Integers, campaign: Integers, progress_pct: Integers) -> Calls:
    """Return calls with these columns; the others are 0 or False."""
    flags = {"error", "stream", "usage", "complete"}
    rest = [np.zeros(len(user), dtype=bool if one.name in flags else np.int64) for one in fields(Calls)[4:]]
    return Calls(started_us, user, campaign, progress_pct, *rest)


def ask(chance: Chance, calls: Calls, people: Population, events: Events) -> None:
    """Fill in the model, the prompt, the wished-for length of the answer, and whether it streams."""
    count, kind = len(calls), people.kind[calls.user]
    calls.model = people.models[calls.user, chance.choose(_LIKES, count)]
    prompt = chance.draw_each(_PROMPTS, kind) * people.scale_pct[calls.user] // 100
    calls.answer = chance.draw_each(_ANSWERS, kind)
    for incident, within in during(events, "cost_spike", calls):
        mine = within & (calls.user == people.names.index(incident.subject))
        calls.model[mine] = models.LARGEST
        prompt[mine] *= 2
        calls.answer[mine] *= incident.factor_pct // 100
    calls.prompt = np.minimum(np.maximum(prompt, 1), models.MAX_PROMPT[calls.model])
    cached = _of_kind("cached_pct")[kind]
    calls.cached = np.where(chance.happens(900_000, count), calls.prompt * cached // 100, 0)
    calls.stream = chance.happens(_of_kind("stream_pct")[kind] * 10_000, count)


def try_again(chance: Chance, calls: Calls, events: Events, end_us: int) -> None:
    """Fill in which calls end in an error, and turn what the same user asks next into a retry of it.

    Shape: a retry has its model, prompt and stream, comes after its end, and before end_us. Out of order afterwards.
    """
    coin, again = chance.below(MILLION, len(calls)), chance.happens(_AGAIN_PPM, len(calls))
    calls.error = coin < _error_ppm(calls, events)
    calls.total_us = _error_us(chance, calls, events)
    order = np.lexsort((calls.started_us, calls.user))
    before, after = order[:-1], order[1:]
    able = (calls.user[before] == calls.user[after]) & again[after] & (calls.campaign[after] < 0)
    tried = np.zeros(len(calls), dtype=bool)  # again, by another call: it stays as it is
    for attempt in range(MAX_ATTEMPT):
        chosen = able & calls.error[before] & (calls.attempt[before] == attempt)
        chosen &= (calls.attempt[after] == 0) & ~tried[after]
        if attempt == 0:  # of a row of failed calls every other one is a first try
            chosen[1:] &= ~chosen[:-1]
        first, next_ = before[chosen], after[chosen]
        tried[first] = True
        calls.attempt[next_] = attempt + 1
        for column in (calls.model, calls.prompt, calls.cached, calls.stream):
            column[next_] = column[first]
        ended = calls.started_us[first] + calls.total_us[first] + (_BACKOFF_US << attempt)
        calls.started_us[next_] = np.minimum(ended, end_us - 1)
        calls.error = coin < _error_ppm(calls, events)


def _error_ppm(calls: Calls, events: Events) -> Integers:
    chances = models.ERROR_PPM[calls.model]
    for incident, within in during(events, "outage", calls):
        chances = np.where(within & (_PROVIDERS[calls.model] == incident.subject), _OUTAGE_PPM, chances)
    return chances


def _error_us(chance: Chance, calls: Calls, events: Events) -> Integers:
    """Return how long each call takes if it fails: soon, or during an outage in one case of three by time-out."""
    count = len(calls)
    fast, slow, timed_out = (
        chance.draw(_FAST_ERROR, count),
        chance.draw(_TIME_OUT, count),
        chance.happens(333_333, count),
    )
    for incident, within in during(events, "outage", calls):
        fast = np.where(within & timed_out & (_PROVIDERS[calls.model] == incident.subject), slow, fast)
    return fast


def answer(chance: Chance, calls: Calls, people: Population, events: Events) -> None:
    """Fill in how long the answer takes and how it finishes. What failed keeps the time of its error."""
    count, kind = len(calls), people.kind[calls.user]
    first = chance.draw_each(models.FIRST_US, calls.model) + calls.prompt * _PREFILL_US
    total = first + calls.answer * chance.draw_each(models.TOKEN_US, calls.model)
    for incident, within in during(events, "latency_drift", calls):
        mine = within & (calls.model == models.PLACE[incident.subject])
        length_us = (incident.end_unix_s - incident.start_unix_s) * MILLION
        since = np.where(mine, calls.started_us - incident.start_unix_s * MILLION, 0)
        factor = 100 + (incident.factor_pct - 100) * (since // 1_000) // (length_us // 1_000)
        first, total = first * factor // 100, total * factor // 100
    calls.first_us = np.where(calls.error, 0, np.where(calls.stream, first, total))
    calls.total_us = np.where(calls.error, calls.total_us, total)
    tools = chance.happens(_of_kind("tools_pct")[kind] * 10_000, count)
    calls.finish = np.where(tools, TOOLS, STOP)
    calls.finish[chance.happens(12_000, count)] = LENGTH
    calls.finish[chance.happens(2_000, count)] = FILTER
    calls.finish[calls.error] = NONE
    calls.usage = ~calls.error & ~chance.happens(15_000, count)


def during(events: Events, kind: str, calls: Calls) -> list[tuple[Incident, Flags]]:
    """Return the incidents of a kind that any of the calls fall into, each with which of them do."""
    found = []
    for one in events.incidents:
        if one.kind == kind:
            within = (calls.started_us >= one.start_unix_s * MILLION) & (calls.started_us < one.end_unix_s * MILLION)
            if within.any():
                found.append((one, within))
    return found


def _of_kind(name: str) -> Integers:
    return np.array([getattr(kind, name) for kind in KINDS], dtype=np.int64)
