"""Records as a busy installation sends them, for the benchmark of ingest: framed as PublishRequests of 500.

Shape: users by Zipf's law, nine models of four providers, three in a hundred records with threats, three in ten exchanges sent
twice (VERDICT, then COMPLETE a second or two later), a few late ones. Time runs at the rate that is asked for, so that as
many records share a minute as they would. The same seed makes the same bytes.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from douane.v1 import control_pb2
from douane.v1 import decision_pb2 as pb

from tests.analytics.traffic import BEGAN_UNIX_US, decision_id, record, threats

BATCH = 500  # sidecar/record/publish.py
MODELS = (
    *(("openai", name, "/v1/chat/completions") for name in ("gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini")),
    *(("anthropic", name, "/anthropic/v1/messages") for name in ("claude-sonnet-4-5", "claude-haiku-4-5")),
    *(("gemini", f"gemini-2.5-{name}", f"/gemini/v1beta/models/gemini-2.5-{name}:generateContent") for name in ("pro", "flash")),
    ("openai", "text-embedding-3-small", "/v1/embeddings"),
)  # fmt: skip
RISKY, TWICE, LATE = 0.03, 0.3, 0.01
LATE_S = 7_200


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many records, of how many users, how many a second of their own time."""

    records: int
    users: int = 2_000
    per_second: int = 10_000
    seed: int = 0


def batches(traffic: Traffic) -> Iterator[bytes]:
    """Yield the records in the order they arrive, as serialised PublishRequests."""
    batch: list[pb.DecisionRecord] = []
    for one in _records(traffic):
        batch.append(one)
        if len(batch) == BATCH:
            yield control_pb2.PublishRequest(records=batch).SerializeToString()
            batch.clear()
    if batch:
        yield control_pb2.PublishRequest(records=batch).SerializeToString()


def _records(traffic: Traffic) -> Iterator[pb.DecisionRecord]:
    rng = random.Random(traffic.seed)
    weights = [1 / (rank + 10) for rank in range(traffic.users)]
    people = rng.choices(range(traffic.users), weights, k=traffic.records)
    completions: list[pb.DecisionRecord] = []  # of exchanges whose verdict was sent, oldest first
    sent = 0
    for number, user in enumerate(people):
        if sent >= traffic.records:
            return
        made = _exchange(rng, number, user, traffic)
        if rng.random() < TWICE:
            yield record(number, **_fields(made) | {"stage": pb.STAGE_VERDICT})
            completions.append(made)
            sent += 1
        else:
            yield made
            sent += 1
        if len(completions) > traffic.per_second:
            yield completions.pop(0)
            sent += 1


def _fields(made: pb.DecisionRecord) -> dict[str, object]:
    """Return what the verdict of an exchange knew of it."""
    known = (
        "decision_id",
        "identity",
        "provider",
        "model",
        "endpoint",
        "protocol",
        "applied",
        "would_be",
        "score",
        "level",
    )
    timings = {"started_unix_us": made.timings.started_unix_us, "inspect_us": 300, "verdict_us": 700}
    return {name: getattr(made, name) for name in known} | {"timings": timings, "threats": list(made.threats)}


def _exchange(rng: random.Random, number: int, user: int, traffic: Traffic) -> pb.DecisionRecord:
    started = BEGAN_UNIX_US + number * 1_000_000 // traffic.per_second
    if rng.random() < LATE:
        started -= rng.randrange(LATE_S * 1_000_000)
    # Everybody has a favourite, and now and then uses another.
    provider, model, endpoint = MODELS[user % len(MODELS)] if rng.random() < 0.8 else rng.choice(MODELS)
    prompt, completion = round(rng.lognormvariate(6, 1.2)) + 1, round(rng.lognormvariate(5, 1))
    fields: dict[str, object] = {
        "decision_id": decision_id(number, started),
        "identity": {
            "user": f"user-{user}",
            "user_source": "header",
            "tenant": f"tenant-{user % 3}",
            "team": f"team-{user % 20}",
        },
        "timings": {
            "started_unix_us": started,
            "inspect_us": 300,
            "verdict_us": 700,
            "first_byte_us": 90_000 + rng.randrange(400_000),
            "total_us": 500_000 + round(rng.lognormvariate(13, 1)),
            "finished_unix_us": started + 2_000_000,
        },
        "usage": {
            "prompt_tokens": prompt,
            "cached_tokens": prompt // 3,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
        "provider": provider,
        "model": model,
        "endpoint": endpoint,
        "stream": rng.random() < 0.5,
        "sidecar": f"web-{user % 8}/0",
    }
    if rng.random() < RISKY:
        found = rng.sample(
            ("prompt_injection", "jailbreak", "pii_leak", "secret_leak", "data_extraction"), rng.randint(1, 3)
        )
        fields |= {
            "score": 6.5,
            "level": pb.RISK_LEVEL_MEDIUM,
            "threats": threats(found),
            "reasons": [f"{name} +6.5" for name in found],
        }
    return record(0, **fields)  # number 0 is an answered one
