"""The rules over sums."""

from collections.abc import Iterator
from typing import Any

import pytest

from analytics import config
from analytics.alerts.rules import TREND_RULES, TRENDS, trends
from analytics.store import sketch
from analytics.types.alerts import Occurrence
from analytics.types.trends import BudgetUse, Calls, Facts, Recent, SidecarState, Spending, UserRisk

NOW = 1_795_000_000
SETTINGS = config.load()
MODEL = ("default", "gpt-4o")


def latency(seconds: float, count: int = 100) -> dict[int, int]:
    return {sketch.index(round(seconds * 1e6)): count}


def found(rule: Any, **fields: Any) -> list[Occurrence]:
    occurrences: Iterator[Occurrence] = rule(Facts(NOW, **fields), SETTINGS)
    return list(occurrences)


@pytest.mark.parametrize(
    ("now", "usual", "told"),
    [
        (latency(4.0), latency(2.0), True),
        (latency(2.9), latency(2.0), False),  # not by the factor
        (latency(0.9), latency(0.1), False),  # not by a second
        (latency(4.0, 29), latency(2.0), False),  # too few now
        (latency(4.0), latency(2.0, 29), False),  # too few before
        (latency(4.0), {}, False),
    ],
)
def test_latency_drift(now: dict[int, int], usual: dict[int, int], told: bool) -> None:
    occurrences = found(trends.latency_drift, recent={MODEL: Recent(100, 0, now)}, usual={MODEL: usual})
    assert [(one.level, one.key, one.model) for one in occurrences] == (
        [("warning", "latency_drift/gpt-4o", "gpt-4o")] if told else []
    )


@pytest.mark.parametrize(
    ("errors", "requests", "level"), [(9, 100, None), (10, 100, "warning"), (50, 100, "critical"), (29, 29, None)]
)
def test_error_rate(errors: int, requests: int, level: str | None) -> None:
    occurrences = found(trends.error_rate, recent={MODEL: Recent(requests, errors)})
    assert [one.level for one in occurrences] == ([level] if level else [])


def test_error_rate_says_how_many() -> None:
    (one,) = found(trends.error_rate, recent={MODEL: Recent(100, 50)})
    assert (one.title, one.text) == (
        "50% of the calls of gpt-4o fail",
        "50 of 100 calls of the last 15 minutes failed.",
    )
    assert one.moment_unix_us == NOW * 1_000_000


USD = 10**9


@pytest.mark.parametrize(
    ("spent", "told"),
    [
        (Spending(30 * USD, (10 * USD,) * 7, 5 * USD), True),
        (Spending(29 * USD, (10 * USD,) * 7, 5 * USD), False),
        (Spending(30 * USD, (0,) * 7, 10 * USD), True),  # an hour that is usually quiet, held against the mean
        (Spending(30 * USD, (0,) * 7, 11 * USD), False),
        (Spending(4 * USD, (1 * USD,) * 7, 1 * USD), False),  # a trifle
        (Spending(30 * USD, (), 0.0), False),  # nothing is usual yet
    ],
)
def test_cost_spike(spent: Spending, told: bool) -> None:
    assert [one.key for one in found(trends.cost_spike, spending={"default": spent})] == (
        ["cost_spike"] if told else []
    )


@pytest.mark.parametrize(("used", "level"), [(79, None), (80, "warning"), (99.9, "warning"), (100, "critical")])
def test_budget(used: float, level: str | None) -> None:
    occurrences = found(trends.budget, budgets=(BudgetUse("default", "team:red", "usd", used, 100.0, NOW + 60),))
    assert [(one.level, one.key) for one in occurrences] == ([(level, "budget/team:red/usd")] if level else [])


def test_a_budget_of_nothing_is_no_alert() -> None:
    assert found(trends.budget, budgets=(BudgetUse("default", "x", "usd", 1.0, 0.0, NOW),)) == []


@pytest.mark.parametrize(("risk", "level"), [(14.9, None), (15.0, "warning"), (30.0, "critical")])
def test_user_risk(risk: float, level: str | None) -> None:
    occurrences = found(trends.user_risk, risks=(UserRisk("default", "alice", risk),))
    assert [(one.level, one.user) for one in occurrences] == ([(level, "alice")] if level else [])


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        (Calls(0, (60.0,) * 7), True),
        (Calls(1, (60.0,) * 7), False),
        (Calls(0, (40.0,) * 7), False),
        (Calls(0, (0.0, 0.0, 0.0, 0.0, 200.0, 200.0, 200.0)), False),  # the median of a young installation
        (Calls(0, (200.0,)), False),  # one day says nothing
        (Calls(0, ()), False),
    ],
)
def test_traffic_silence(calls: Calls, told: bool) -> None:
    assert [one.level for one in found(trends.traffic_silence, calls={"default": calls})] == (
        ["warning"] if told else []
    )


def sidecar(age_s: int = 0, running: bool = True, **sights: int) -> tuple[SidecarState, ...]:
    return (SidecarState("web-1", "ab", NOW - age_s, running, sights),)


@pytest.mark.parametrize(
    ("age_s", "running", "told"),
    [(299, True, False), (300, True, True), (300, False, False), (86_399, True, True), (86_400, True, False)],
)
def test_sidecar_silent(age_s: int, running: bool, told: bool) -> None:
    occurrences = found(trends.sidecar_silent, sidecars=sidecar(age_s, running))
    assert [(one.tenant, one.key) for one in occurrences] == ([("", "sidecar_silent/ab")] if told else [])


def test_records_lost() -> None:
    assert found(trends.records_lost, sidecars=sidecar(records_lost=0, watched_s=3_600)) == []
    (one,) = found(trends.records_lost, sidecars=sidecar(records_lost=3, log_shed=1))
    assert (one.level, one.title) == ("critical", "the sidecar on web-1 lost records")
    assert one.text == (
        "In this hour and the one before: 3 decision records that could not be written down: the spool is at its limit, "
        "or the disk is full; 1 times the pass-through log was emptied unread."
    )


def test_uninspected() -> None:
    (one,) = found(trends.uninspected, sidecars=sidecar(failure_mode_allowed=2))
    assert (one.level, one.facts) == ("warning", (("Sidecar", "web-1"), ("failure_mode_allowed", "2")))


def test_every_trend_is_silent_without_facts_and_named_after_its_rule() -> None:
    assert [list(rule(Facts(NOW), SETTINGS)) for rule in TRENDS] == [[]] * len(TRENDS)
    everything = Facts(
        NOW,
        recent={MODEL: Recent(100, 50, latency(9.0))},
        usual={MODEL: latency(1.0)},
        spending={"default": Spending(30 * USD, (USD,) * 7, USD)},
        calls={"default": Calls(0, (200.0,) * 7)},
        budgets=(BudgetUse("default", "x", "usd", 2.0, 1.0, NOW),),
        risks=(UserRisk("default", "alice", 99.0),),
        sidecars=sidecar(600, records_lost=1, failure_mode_allowed=1),
    )
    assert tuple(one.rule for rule in TRENDS for one in rule(everything, SETTINGS)) == TREND_RULES
