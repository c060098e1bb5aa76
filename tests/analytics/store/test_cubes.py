"""Sums read from rollups against sums over the records themselves, on both engines."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine

from analytics.store import cubes, sketch, usage
from analytics.store.cubes import BUCKET, Slice
from analytics.types import DAY_S, GRAINS_S, HOUR_S, DecisionRow, Window
from tests.analytics.books import among, fill, varied
from tests.analytics.traffic import BEGAN_UNIX_US

NOW_S = BEGAN_UNIX_US // 1_000_000
ROWS = varied(600)
WINDOWS = [usage.last(seconds, NOW_S) for seconds in (HOUR_S, 2 * DAY_S, 7 * DAY_S, 30 * DAY_S)]


@pytest.fixture
def filled(engine: Engine) -> Engine:
    fill(engine, ROWS)
    return engine


def grouped(rows: Sequence[DecisionRow], keys: Sequence[str], grain_s: int) -> dict[tuple[Any, ...], list[DecisionRow]]:
    groups: dict[tuple[Any, ...], list[DecisionRow]] = defaultdict(list)
    for row in rows:
        bucket = row.started_unix_us // 1_000_000 // grain_s * grain_s
        groups[tuple(bucket if key == BUCKET else getattr(row, key) for key in keys)].append(row)
    return groups


def independent(rows: Sequence[DecisionRow]) -> dict[str, int]:
    """Return sums over records in words of Totals."""
    return {
        "requests": len(rows),
        "action_deny": sum(row.applied == "deny" for row in rows),
        "level_critical": sum(row.level == "critical" for row in rows),
        "outcome_answered": sum(row.outcome == "answered" for row in rows),
        "threats": sum(len(row.threats) for row in rows),
        "total_tokens": sum(row.total_tokens or 0 for row in rows),
        "latency_count": sum(row.latency_us is not None for row in rows),
        "latency_us_sum": sum(row.latency_us or 0 for row in rows),
        "refusals": sum(row.refusal for row in rows),
        "retries": sum(row.attempt > 0 for row in rows),
        "prompt_chars": sum(row.prompt_chars for row in rows),
        "priced": sum(row.cost_nanousd is not None for row in rows),
        "cost_nanousd": sum(row.cost_nanousd or 0 for row in rows),
    }


KEYS = [
    (),
    ("model",),
    ("user",),
    ("tenant", "user"),
    ("endpoint", "provider"),
    (BUCKET,),
    (BUCKET, "model"),
    ("user", "model"),
]


@pytest.mark.parametrize("tenant", [None, "shop"])
def test_sums_are_those_of_the_records(filled: Engine, tenant: str | None) -> None:
    with filled.connect() as connection:
        for window in WINDOWS:
            rows = among(ROWS, window.start_unix_s, window.end_unix_s, lambda row: tenant in (None, row.tenant))
            for keys in KEYS:
                found = cubes.sums(connection, Slice(window, tenant), keys)
                expected = {key: independent(group) for key, group in grouped(rows, keys, window.grain_s).items()}
                assert {
                    key: {name: getattr(totals, name) for name in independent([])} for key, totals in found.items()
                } == expected, (window, keys)


@pytest.mark.parametrize(
    "equal", [{"model": "gpt-4o"}, {"user": "équipe/データ"}, {"user": "", "endpoint": "/v1/messages"}]
)
def test_sums_of_what_is_asked_for_alone(filled: Engine, equal: dict[str, str]) -> None:
    with filled.connect() as connection:
        for window in WINDOWS:
            rows = among(
                ROWS,
                window.start_unix_s,
                window.end_unix_s,
                lambda row: all(getattr(row, name) == value for name, value in equal.items()),
            )
            for keys in KEYS:
                found = cubes.sums(connection, Slice(window, None, equal), keys, ("requests", "threats"))
                assert {key: (one.requests, one.threats) for key, one in found.items()} == {
                    key: (len(group), sum(len(row.threats) for row in group))
                    for key, group in grouped(rows, keys, window.grain_s).items()
                }, (window, keys)


def test_sketches_and_labels_are_those_of_the_records(filled: Engine) -> None:
    with filled.connect() as connection:
        for window in WINDOWS:
            rows = among(ROWS, window.start_unix_s, window.end_unix_s)
            for keys in KEYS:
                groups = grouped([row for row in rows if row.latency_us], keys, window.grain_s)
                assert cubes.sketches(connection, Slice(window), keys) == {
                    key: dict(Counter(sketch.index(row.latency_us or 0) for row in group))
                    for key, group in groups.items()
                }
                if "user" not in keys:
                    verdicts = {
                        key: dict(Counter(sketch.index(row.verdict_us) for row in group))
                        for key, group in grouped(rows, keys, window.grain_s).items()
                    }
                    assert cubes.sketches(connection, Slice(window), keys, "verdict_sketch") == verdicts
            threats = Counter((threat.type, row.level) for row in rows for threat in row.threats)
            assert cubes.labels(connection, Slice(window), "threat", ("label", "level")) == dict(threats)
            by_user = Counter((row.user, threat.surface) for row in rows for threat in row.threats)
            assert cubes.labels(connection, Slice(window), "surface", ("user", "label")) == dict(by_user)
            finishes = Counter(row.finish_reason for row in rows if row.finish_reason and row.model == "gpt-4o")
            asked = Slice(window, None, {"model": "gpt-4o"})
            assert cubes.labels(connection, asked, "finish") == {(name,): count for name, count in finishes.items()}


def test_users_are_counted_by_tenant(filled: Engine) -> None:
    with filled.connect() as connection:
        for window in WINDOWS:
            rows = among(ROWS, window.start_unix_s, window.end_unix_s)
            everybody = {(row.tenant, row.user) for row in rows if row.user}
            assert cubes.distinct_users(connection, Slice(window)) == len(everybody)
            ours = {one for one in everybody if one[0] == "bank"}
            assert cubes.distinct_users(connection, Slice(window, "bank")) == len(ours)


def test_a_window_falls_into_the_coarsest_pieces() -> None:
    noon = 1_795_003_200 // DAY_S * DAY_S + 12 * HOUR_S
    month = Window(noon - 30 * DAY_S, noon, HOUR_S)
    whole_days = Window(month.start_unix_s + 12 * HOUR_S, noon - 12 * HOUR_S, DAY_S)
    assert cubes.pieces(month, GRAINS_S) == (
        Window(month.start_unix_s, whole_days.start_unix_s, HOUR_S),
        whole_days,
        Window(whole_days.end_unix_s, noon, HOUR_S),
    )
    assert cubes.pieces(month, (DAY_S,)) == (
        Window(whole_days.start_unix_s - DAY_S, whole_days.end_unix_s + DAY_S, DAY_S),
    )
    minutes = Window(noon - 1_800, noon + 3_660, 60)
    assert cubes.pieces(minutes, GRAINS_S) == (
        Window(noon - 1_800, noon, 60),
        Window(noon, noon + HOUR_S, HOUR_S),
        Window(noon + HOUR_S, noon + HOUR_S + 60, 60),
    )
    assert cubes.pieces(Window(noon, noon, HOUR_S), GRAINS_S) == ()


def test_the_smallest_cube_that_tells_apart() -> None:
    assert [
        cubes.cube_of(dimensions, grain_s)
        for dimensions, grain_s in [
            (("tenant", BUCKET), 60),
            (("model",), 60),
            (("user",), HOUR_S),
            (("user",), 60),
            (("user", "tenant"), DAY_S),
            (("user", "model"), DAY_S),
        ]
    ] == ["tenants", "traffic", "users", "full", "users", "full"]
