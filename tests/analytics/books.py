"""A small store of varied records, the same for the same seed, and sums over them made without any of our rollup code."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Engine

from analytics.ingest.decode import decode
from analytics.store import database, records
from analytics.types import DecisionRow
from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record, threats

TENANTS = ("default", "shop", "bank")
USERS = ("alice", "bob", "mallory", "équipe/データ", "", "a/b?c#d")
MODELS = (("gpt-4o", "openai"), ("claude-sonnet-4-5", "anthropic"), ("mystery-1", ""))
ENDPOINTS = ("/v1/chat/completions", "/v1/messages")
FINISHES = ("stop", "length", "tool_calls", "")
DAY_US = 86_400_000_000


def varied(count: int, seed: int = 5, days: float = 40.0) -> list[DecisionRow]:
    """Return so many final records of the last days before BEGAN, in the order of their ids."""
    chance = random.Random(seed)
    moments = sorted(BEGAN_UNIX_US - round(chance.random() * days * DAY_US) for _ in range(count))
    return [_varied(chance, number, moment) for number, moment in enumerate(moments)]


def _varied(chance: random.Random, number: int, moment: int) -> DecisionRow:
    model, provider = chance.choice(MODELS)
    plain = decode(record(number if chance.random() < 0.8 else 10 * number + 9))
    priced = plain.total_tokens is not None and provider
    found = decode(record(1, threats=threats(("jailbreak", "pii_leak")))).threats[: chance.randrange(3)]
    return replace(
        plain,
        decision_id=decision_id(number, moment),
        started_unix_us=moment,
        tenant=chance.choice(TENANTS),
        user=chance.choice(USERS),
        model=model,
        provider=provider,
        endpoint=chance.choice(ENDPOINTS),
        cost_nanousd=chance.randrange(10**9) if priced else None,
        finish_reason=chance.choice(FINISHES) if plain.outcome == "answered" else "",
        refusal=chance.random() < 0.1,
        attempt=chance.choice((0, 0, 0, 1, 2)),
        prompt_chars=chance.randrange(5_000),
        response_chars=chance.randrange(5_000),
        total_us=chance.randrange(50_000, 9_000_000) if plain.total_us else 0,
        threats=plain.threats or found,
    )


def fill(engine: Engine, rows: Sequence[DecisionRow]) -> None:
    """Store rows as ingest does, some at a time."""
    with database.writing(engine) as connection:
        for start in range(0, len(rows), 100):
            records.store(connection, rows[start : start + 100])


def among(
    rows: Iterable[DecisionRow], start_unix_s: float, end_unix_s: float, wanted: Callable[[DecisionRow], bool] = bool
) -> list[DecisionRow]:
    """Return the rows that began in [start, end) and are wanted."""
    start, end = start_unix_s * 1e6, end_unix_s * 1e6
    return [row for row in rows if start <= row.started_unix_us < end and wanted(row)]
