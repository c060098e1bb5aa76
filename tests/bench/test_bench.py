"""The benchmark's own parts, without timing anything."""

import json
from dataclasses import dataclass

import pytest

from sidecar.detectors.ruleset import DEFAULT
from sidecar.pipeline import Pipeline
from sidecar.types import Head
from tests.bench.bodies import KIB, SERIAL, pool, stamped
from tests.bench.report import table
from tests.bench.sums import Compared, Target, compare, percentile, targets


@dataclass(frozen=True)
class _Sample:
    contender: str
    round: int
    rps: float = 0.0
    p50_us: float = 0.0
    size_kb: int = 1
    connections: int = 16


def test_table_aligns_and_rounds() -> None:
    assert table(("", "a", "b"), [["1 KB", 1.234, None], ["100 KB", 12345.6, 45.67]]) == (
        "             a     b\n"
        "──────  ──────  ────\n"
        "1 KB      1.23     –\n"
        "100 KB  12,346  45.7"
    )  # fmt: skip


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 100), percentile([], 50)) == (
        50,
        99,
        100,
        0,
    )


def test_contenders_are_compared_within_their_round() -> None:
    """The machine was half as fast in the second round; the ratio does not mind."""
    samples = [
        _Sample("a", 0, 100), _Sample("b", 0, 80), _Sample("c", 0, 60),
        _Sample("a", 1, 50), _Sample("b", 1, 40), _Sample("c", 1, 30),
    ]  # fmt: skip
    assert compare(samples, lambda sample: sample.rps) == Compared(75, 60, 45, 0.75, -30, -15)


def test_a_contender_that_was_not_measured_is_none() -> None:
    assert compare([_Sample("a", 0, 100)], lambda sample: sample.rps) == Compared(100, None, None, None, None, None)


@pytest.mark.parametrize(
    ("value", "at_least", "met"), [(0.75, True, True), (0.74, True, False), (0.75, False, True), (0.76, False, False)]
)
def test_a_target_is_met_at_its_limit(value: float, at_least: bool, met: bool) -> None:
    assert Target("ratio", value, 0.75, at_least=at_least).met is met


def test_targets_say_what_was_missed() -> None:
    samples = [
        _Sample("b", 0, rps=1000), _Sample("c", 0, rps=800),
        _Sample("b", 0, p50_us=1000, connections=1), _Sample("c", 0, p50_us=1900, connections=1),
    ]  # fmt: skip
    assert [target.line() for target in targets(samples)] == [
        "met     throughput c/b, 1 KB, 16 connections: 0.80 (wanted ≥ 0.75)",
        "MISSED  added median latency c-b, 1 KB, 1 connection: 0.90 ms (wanted ≤ 0.5 ms)",
    ]


@pytest.mark.parametrize("size", [1, 10, 100])
def test_bodies_have_their_exact_size_and_differ(size: int) -> None:
    bodies = pool(size * KIB, 20)
    assert {len(body) for body in bodies} == {size * KIB}
    assert len(set(bodies)) == 20
    assert bodies == pool(size * KIB, 20)
    assert all(b"\n" not in body for body in bodies)


@pytest.mark.parametrize("size", [1, 10, 100])
def test_every_message_of_a_body_carries_its_serial(size: int) -> None:
    for body in pool(size * KIB, 20):
        messages = json.loads(body)["messages"]
        assert all(SERIAL.decode() in message["content"] for message in messages)
        assert len(stamped(body, 7)) == len(body)


@pytest.mark.parametrize("size", [1, 10, 100])
def test_bodies_raise_no_alert(size: int) -> None:
    pipeline = Pipeline(lambda: 0, DEFAULT)
    for serial, body in enumerate(pool(size * KIB, 60)):
        inspection = pipeline.inspect(Head("POST", "/v1/chat/completions"), stamped(body, serial * 1_234_567), 1)
        assert inspection.failure is None
        assert inspection.coverage.complete
        assert inspection.assessment.score < 5, inspection.assessment.reasons
