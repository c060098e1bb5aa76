import io
import json
import logging
from dataclasses import replace

import pytest

from analytics.ingest.decode import decode
from analytics.telemetry import JsonLines, Metrics, PerformanceScores
from analytics.types import DecisionRow, Stored
from tests.analytics.traffic import record


class Clock:
    """A clock that stands where it is set."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def answer(total_s: float = 1.0, outcome: str = "answered", **fields: str) -> DecisionRow:
    return replace(decode(record(1)), total_us=round(total_s * 1e6), outcome=outcome, **fields)


def scored(scores: PerformanceScores) -> dict[str, float]:
    return {sample.labels["model"]: sample.value for gauge in scores.collect() for sample in gauge.samples}


def test_score_is_the_apdex_of_a_model() -> None:
    scores = PerformanceScores(5.0, Clock())
    for row in (answer(1), answer(5), answer(5.001), answer(20), answer(20.1), answer(1, "upstream_error")):
        scores.observe("m", row)
    assert scored(scores) == {"m": pytest.approx((2 + 0.5 * 2) / 6)}


@pytest.mark.parametrize("outcome", ["denied", "failed", "client_aborted", "unknown"])
def test_outcomes_that_say_nothing_about_the_model_are_left_out(outcome: str) -> None:
    scores = PerformanceScores(5.0, Clock())
    scores.observe("m", answer(1, outcome))
    assert scored(scores) == {}


def test_score_forgets_after_an_hour() -> None:
    clock = Clock()
    scores = PerformanceScores(5.0, clock)
    scores.observe("m", answer(100))
    clock.now += 1_800
    scores.observe("m", answer(1))
    assert scored(scores) == {"m": 0.5}
    clock.now += 1_860
    assert scored(scores) == {"m": 1.0}
    clock.now += 3_600
    assert scored(scores) == {}


def test_labels_beyond_the_cap_are_other() -> None:
    metrics = Metrics(label_cap=3, series_cap=100, threshold_s=5.0)
    rows = tuple(answer(user=f"user-{number}") for number in range(10))
    metrics.observe_batch(10, Stored(10, 0, rows), 0, 0.001)
    labels = {"model": "gpt-4o-mini", "endpoint": "/v1/chat/completions"}
    counts = {
        user: metrics.registry.get_sample_value("inference_requests_total", labels | {"user": user})
        for user in ("user-0", "user-2", "user-3", "_other")
    }
    assert counts == {"user-0": 1, "user-2": 1, "user-3": None, "_other": 7}


def test_series_beyond_the_cap_are_other_in_all_labels() -> None:
    metrics = Metrics(label_cap=50, series_cap=5, threshold_s=5.0)
    rows = tuple(answer(user=f"user-{number}", model=f"model-{number}") for number in range(10))
    metrics.observe_batch(10, Stored(10, 0, rows), 0, 0.001)
    other = {"model": "_other", "user": "_other", "endpoint": "_other"}
    assert metrics.registry.get_sample_value("inference_requests_total", other) == 5


def test_a_log_line_is_json_with_the_event_first() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.Logger("analytics.test")
    logger.addHandler(handler)
    logger.warning("ingest.rejected", extra={"records": 2, "reason": 'a "quoted"\nline'})
    (text,) = stream.getvalue().splitlines()
    line = json.loads(text)
    assert next(iter(line)) == "event"
    line.pop("time")
    assert line == {
        "event": "ingest.rejected",
        "level": "warning",
        "logger": "analytics.test",
        "records": 2,
        "reason": 'a "quoted"\nline',
    }
