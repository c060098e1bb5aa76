"""From columns to DecisionRow values, shaped as ingest makes them from what sidecars send.

In: a chunk of Calls. Out: rows in order of time. What a row holds beyond the columns (session, host, sizes, coverage) follows
from them by arithmetic, without further chance.
Bounds: about 10 us a row, most of it building the row and its detail.
"""

from dataclasses import fields
from typing import Any

import numpy as np

from analytics.generate import models, threats, verdict
from analytics.generate.calls import FILTER, TOOLS, Calls
from analytics.generate.chance import MILLION, Chance, Integers, mixed
from analytics.generate.events import Events, sidecar_name
from analytics.generate.people import KINDS, TEAMS, Population
from analytics.types import ACTIONS, LEVELS, OUTCOMES, DecisionRow, ThreatRow

_NAMES = tuple(one.name for one in fields(DecisionRow))
_CHARS_A_TOKEN = 4  # of English text; OpenAI, "What are tokens and how to count them?"
_SESSION_US = 2 * 3_600 * MILLION
# How an answer finished in the words of each API: STOP, LENGTH, TOOLS, FILTER, NONE. Source: their API references.
_OPENAI = ("stop", "length", "tool_calls", "content_filter", "")
_FINISH = {
    "anthropic": ("end_turn", "max_tokens", "tool_use", "refusal", ""),
    "gemini": ("STOP", "MAX_TOKENS", "STOP", "SAFETY", ""),
    "ollama": ("stop", "length", "stop", "stop", ""),
}
_FINISHES = np.array([_FINISH.get(model.provider, _OPENAI) for model in models.MODELS])


class Writer:
    """Makes the rows of one Population under its Events."""

    def __init__(self, seed: int, people: Population, events: Events) -> None:
        self._seed, self._people, self._events = seed, people, events
        self._users = [_user_detail(people, place) for place in range(len(people.names))]
        self._tenants = [people.tenants[one] for one in people.tenant.tolist()]
        self._teams = [
            TEAMS[one] if KINDS[kind].person else "" for one, kind in zip(people.team, people.kind, strict=True)
        ]
        self._doors = [("gateway", "proxy", "gateway")[one % 3] for one in range(len(people.names))]
        for place in np.flatnonzero(~np.array([KINDS[kind].person for kind in people.kind])).tolist():
            self._doors[place] = "transparent"

    def rows(self, chance: Chance, calls: Calls) -> list[DecisionRow]:
        """Return the rows of a chunk. Chance makes the ids unlike."""
        columns = self._columns(chance, calls)
        return [DecisionRow(*values) for values in zip(*(columns[name] for name in _NAMES), strict=True)]

    def _columns(self, chance: Chance, calls: Calls) -> dict[str, list[Any]]:
        """Return a list for each field of DecisionRow."""
        columns = self._of_users(calls) | _of_models(calls) | _of_verdicts(calls) | _of_times(calls)
        columns |= _of_tokens(calls)
        columns["decision_id"] = _ids(chance, calls.started_us)
        columns["threats"] = self._threats(calls)
        columns["detail"] = self._details(calls, columns)
        return columns

    def _of_users(self, calls: Calls) -> dict[str, list[Any]]:
        people, users = self._people, calls.user.tolist()
        session = mixed(
            (calls.user.astype(np.uint64) << np.uint64(32)) + (calls.started_us // _SESSION_US).astype(np.uint64)
        )
        observing = (people.tenant[calls.user] == verdict.OBSERVING_TENANT).tolist()
        return {
            "tenant": [self._tenants[user] for user in users],
            "user": [people.names[user] for user in users],
            "team": [self._teams[user] for user in users],
            "door": [self._doors[user] for user in users],
            "session": [f"{number:016x}" for number in session.tolist()],
            "mode": ["observe" if one else "enforce" for one in observing],
        }

    def _threats(self, calls: Calls) -> list[tuple[ThreatRow, ...]]:
        found: list[tuple[ThreatRow, ...]] = [()] * len(calls)
        for place in np.flatnonzero(calls.finding >= 0).tolist():
            finding, second, campaign = (int(column[place]) for column in (calls.finding, calls.second, calls.campaign))
            if campaign >= 0 and self._events.campaigns[campaign].kind != "escalation":
                digest = self._events.campaigns[campaign].match_digest
            else:  # the same user trying the same thing again within the hour sends the same text
                digest = threats.digest(
                    self._seed, int(calls.user[place]), finding, int(calls.started_us[place]) // _SESSION_US
                )
            places = (finding,) if second < 0 else (finding, second)
            found[place] = threats.rows(places, int(calls.confidence_pct[place]), digest)
        return found

    def _details(self, calls: Calls, columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
        names = [sidecar_name(place) for place in range(int(self._people.sidecar.max()) + 1)]
        who = zip(*(one.tolist() for one in (calls.user, calls.model, calls.sidecar, calls.cached)), strict=True)
        sizes = zip(*(columns[name] for name in ("prompt_chars", "response_chars", "complete", "threats")), strict=True)
        times = (calls.verdict_us * 6 // 10, calls.started_us + calls.total_us, 1 + calls.prompt // 400 % 40)
        rest = zip(*(one.tolist() for one in times), _tool_calls(calls), calls.usage.tolist(), strict=True)
        return [
            self._users[user]
            | {"method": "POST", "host": _HOSTS[model], "sidecar": names[sidecar], "inspect_us": inspect_us}
            | {"policy_version": "7", "ruleset_version": "2026.11", "finished_unix_us": finished_us}
            | {"messages": messages}
            | _sizes(asked, answered, complete)
            | ({"cached_tokens": cached} if cached and told else {})
            | ({"tool_calls": tools} if tools else {})
            | ({"reasons": [f"{one.rule_id} +{one.score}" for one in found]} if found else {})
            for (user, model, sidecar, cached), (asked, answered, complete, found), (
                inspect_us,
                finished_us,
                messages,
                tools,
                told,
            ) in zip(who, sizes, rest, strict=True)
        ]


_HOSTS = [model.host for model in models.MODELS]
_OF_MODELS = {
    name: np.array([getattr(model, name) for model in models.MODELS], dtype=object)
    for name in ("provider", "endpoint", "protocol")
} | {"model": np.array([model.name for model in models.MODELS], dtype=object)}


def _of_models(calls: Calls) -> dict[str, list[Any]]:
    return {name: values[calls.model].tolist() for name, values in _OF_MODELS.items()} | {
        "finish_reason": _FINISHES[calls.model, calls.finish].tolist()
    }


def levels(tenths: Integers) -> Integers:
    """Return the place in LEVELS of each score."""
    return np.minimum(tenths // 50, 3)


def _of_verdicts(calls: Calls) -> dict[str, list[Any]]:
    refusal = (calls.outcome == verdict.ANSWERED) & (
        (calls.finish == FILTER) | ((calls.tenths >= 60) & (calls.confidence_pct % 3 == 0))
    )
    return {
        "stage": ["incomplete" if one == verdict.UNKNOWN else "complete" for one in calls.outcome.tolist()],
        "outcome": [OUTCOMES[one] for one in calls.outcome.tolist()],
        "applied": [ACTIONS[one] for one in calls.applied.tolist()],
        "would_be": [ACTIONS[one] for one in calls.would_be.tolist()],
        "score": [one / 10 for one in calls.tenths.tolist()],
        "level": [LEVELS[one] for one in levels(calls.tenths).tolist()],
        "failure": [verdict.FAILURES[one] for one in calls.failure.tolist()],
        "complete": calls.complete.tolist(),
        "refusal": refusal.tolist(),
        "http_status": calls.status.tolist(),
        "attempt": calls.attempt.tolist(),
    }


def _of_times(calls: Calls) -> dict[str, list[Any]]:
    return {
        "stream": calls.stream.tolist(),
        "started_unix_us": calls.started_us.tolist(),
        "verdict_us": calls.verdict_us.tolist(),
        "first_byte_us": calls.first_us.tolist(),
        "total_us": calls.total_us.tolist(),
    }


def _of_tokens(calls: Calls) -> dict[str, list[Any]]:
    passed = (calls.outcome == verdict.ANSWERED) | (calls.outcome == verdict.CLIENT_ABORTED)
    tokens = {
        "prompt_tokens": calls.prompt,
        "completion_tokens": calls.answer,
        "total_tokens": calls.prompt + calls.answer,
    }
    usage = calls.usage.tolist()
    return {
        "prompt_chars": (calls.prompt * _CHARS_A_TOKEN).tolist(),
        "response_chars": np.where(passed, calls.answer * _CHARS_A_TOKEN, 0).tolist(),
        "cost_nanousd": [None if one < 0 else one for one in calls.cost_nanousd.tolist()],
    } | {
        name: [one if told else None for one, told in zip(column.tolist(), usage, strict=True)]
        for name, column in tokens.items()
    }


def _tool_calls(calls: Calls) -> list[int]:
    used = np.where((calls.finish == TOOLS) & (calls.outcome == verdict.ANSWERED), 1 + calls.answer % 3, 0)
    numbers: list[int] = used.tolist()
    return numbers


def _sizes(asked: int, answered: int, complete: bool) -> dict[str, Any]:
    scanned = asked if complete else asked // 2
    unscanned = [] if complete else [{"reason": "binary", "bytes": asked - scanned}]
    request = {"body_bytes": asked, "scanned_bytes": scanned, "complete": complete, "unscanned": unscanned}
    if not answered:
        return {"request_coverage": request}
    answer = {"body_bytes": answered, "scanned_bytes": answered, "complete": True, "unscanned": []}
    return {"request_coverage": request, "response_coverage": answer}


def _ids(chance: Chance, started_us: Integers) -> list[str]:
    """Return UUIDs of version 7: milliseconds, then chance. Source: RFC 9562, 5.7."""
    words = chance.words(len(started_us))
    high, low = (words >> np.uint64(52)).tolist(), (words & np.uint64((1 << 52) - 1)).tolist()
    more = (chance.words(len(started_us)) >> np.uint64(54)).tolist()  # 62 bits behind the variant: 52 and 10 of these
    return [
        f"{milliseconds:012x}7{first:03x}{(2 << 62) | (extra << 52) | second:016x}"
        for milliseconds, first, second, extra in zip((started_us // 1_000).tolist(), high, low, more, strict=True)
    ]


def _user_detail(people: Population, place: int) -> dict[str, Any]:
    """Return what every record of a user says about who called."""
    kind, name = KINDS[people.kind[place]], people.names[place]
    number = int(mixed(np.array([place], dtype=np.uint64))[0])
    detail: dict[str, Any] = {"user_source": "header", "key_fingerprint": f"{number:016x}"}
    if not kind.person:
        detail |= {"user_source": "api_key", "pod": f"{name}-{number % 97:02d}", "service_account": name}
        detail |= {"namespace": people.tenants[people.tenant[place]]}
    else:
        detail["source_address"] = f"10.{number % 4}.{number // 7 % 256}.{number // 11 % 254 + 1}"
    return detail
