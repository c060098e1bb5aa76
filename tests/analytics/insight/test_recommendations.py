from dataclasses import replace

import pytest

from analytics.insight.recommendations import Thresholds, recommend, summarise
from analytics.store import sketch
from analytics.types import Recommendation, ThreatCount, Totals, Usage, Window

WINDOW = Window(0, 86_400, 3_600)
CALM = Totals(requests=100, outcome_answered=100, total_tokens=1_000, latency_count=100)
NOTHING = Usage(WINDOW, Totals())


def advise(usage: Usage, **thresholds: float) -> list[tuple[str, str, str]]:
    found = recommend(usage, Thresholds(**thresholds))  # type: ignore[arg-type] # mixed keywords
    return [(one.category, one.priority, one.title) for one in found]


def of(**changes: int) -> Usage:
    return Usage(WINDOW, replace(CALM, **changes))


def test_nothing_recorded_says_so_and_advises_nothing() -> None:
    assert recommend(NOTHING, Thresholds()) == ()
    said = summarise(NOTHING, (), 7)
    assert said == "No request was recorded in the last 7 days, so there is nothing to recommend."


def test_calm_traffic_needs_nothing() -> None:
    assert advise(of()) == []
    assert summarise(of(), (), 1) == (
        "100 requests in the last day: 100 answered, 0 blocked, 0 failed; 0 threats found. Nothing to change. "
        "This comes from statistics of these 100 requests, not from the AI judge."
    )


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (of(would_refuse=3), ("security", "critical", "Enforce the policy: refused requests are getting through")),
        (of(outcome_denied=5), ("security", "medium", "5% of requests are blocked")),
        (of(outcome_denied=10), ("security", "high", "10% of requests are blocked")),
        (of(inspection_failures=1), ("security", "high", "Inspection failed for some requests")),
        (of(unscanned=2), ("security", "medium", "2.0% of exchanges were not scanned in full")),
        (of(outcome_client_aborted=10), ("usage", "medium", "10% of clients leave before the answer ends")),
    ],
)
def test_one_number_out_of_line_gives_one_recommendation(usage: Usage, expected: tuple[str, str, str]) -> None:
    assert advise(usage) == [expected]


@pytest.mark.parametrize(
    "usage", [of(would_refuse=3, action_deny=3), of(outcome_denied=4), of(outcome_client_aborted=9), of(unscanned=0)]
)
def test_numbers_in_line_give_none(usage: Usage) -> None:
    assert advise(usage) == []


def test_observing_is_less_urgent_where_nothing_has_to_be_blocked() -> None:
    assert [priority for _, priority, _ in advise(of(would_refuse=3), block_critical=False)] == ["medium"]


def test_threats_name_type_count_and_users() -> None:
    usage = replace(of(level_critical=1), threats=(ThreatCount("data_extraction", 7, ("eve", "")),))
    assert recommend(usage, Thresholds()) == (
        Recommendation(
            "Look into data extraction (7 found)",
            "high",
            "security",
            "7 threats of type data_extraction were found; most came from: eve, (unnamed).",
            "Review these decisions (/api/decisions?threat_type=data_extraction) and speak with, or limit, these users.",
            {"threat_type": "data_extraction", "count": 7, "top_users": ["eve", ""], "risky_requests": 1},
        ),
    )


def _model(name: str, **changes: object) -> Usage:
    return replace(of(), models=((name, replace(CALM, **changes)),))  # type: ignore[arg-type] # mixed keywords


@pytest.mark.parametrize(("seconds", "priority"), [(4, None), (6, "medium"), (11, "high")])
def test_slow_model(seconds: int, priority: str | None) -> None:
    found = advise(_model("gpt-4o", latency={sketch.index(seconds * 1_000_000): 100}))
    assert found == ([("performance", priority, "gpt-4o is slow")] if priority else [])


@pytest.mark.parametrize(("errors", "priority"), [(4, None), (5, "medium"), (10, "high")])
def test_failing_model(errors: int, priority: str | None) -> None:
    found = advise(_model("gpt-4o", outcome_upstream_error=errors))
    assert found == ([("quality", priority, f"{errors}% of requests to gpt-4o fail")] if priority else [])


def test_most_tokens_on_one_model() -> None:
    small, big = replace(CALM, total_tokens=300), replace(CALM, total_tokens=700)
    usage = replace(of(), models=(("small", small), ("big", big)))
    assert advise(usage) == [("costs", "low", "big uses 70% of all tokens")]


def test_few_requests_say_nothing_about_shares() -> None:
    few = replace(CALM, requests=19, outcome_denied=19, outcome_client_aborted=19, latency_count=19)
    assert advise(Usage(WINDOW, few, models=(("m", replace(few, outcome_failed=19)), ("n", few)))) == []


def test_most_urgent_first() -> None:
    usage = of(unscanned=50, would_refuse=1, inspection_failures=1)
    assert [priority for _, priority, _ in advise(usage)] == ["critical", "high", "medium"]
