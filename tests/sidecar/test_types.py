"""What the values say about themselves."""

import dataclasses
import inspect

import pytest

from sidecar import types
from sidecar.types import (
    Action,
    Coverage,
    Decision,
    Head,
    Mode,
    RiskLevel,
    Span,
    Surface,
    Unscanned,
    UnscannedReason,
    View,
    level_of,
)


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.0, RiskLevel.LOW),
        (4.99, RiskLevel.LOW),
        (5.0, RiskLevel.MEDIUM),
        (9.99, RiskLevel.MEDIUM),
        (10.0, RiskLevel.HIGH),
        (14.99, RiskLevel.HIGH),
        (15.0, RiskLevel.CRITICAL),
        (1000.0, RiskLevel.CRITICAL),
        (-1.0, RiskLevel.LOW),
    ],
)
def test_levels_are_the_mission_s(score: float, level: RiskLevel) -> None:
    assert level_of(score) is level


def test_span_of_a_view_leads_to_its_source() -> None:
    view = View("decoded", "abc", (4, 4, 9), Surface.USER)
    assert [view.span(0, 2), view.span(1, 3), view.span(2, 2), view.span(3, 1)] == [
        Span(4, 5),
        Span(4, 10),
        Span(0, 0),
        Span(0, 0),
    ]
    assert View("empty", "", (), Surface.USER).span(0, 1) == Span(0, 0)


def test_endpoint_is_the_path_without_its_query() -> None:
    assert (Head(path="/v1/x?y=/z").endpoint, Head().endpoint) == ("/v1/x", "")


def test_coverage_is_complete_only_without_unscanned_bytes() -> None:
    assert Coverage(3, 3).complete
    assert not Coverage(3, 3, (Unscanned(UnscannedReason.BINARY, 0),)).complete


@pytest.mark.parametrize("action", list(Action))
def test_denials_and_throttling_refuse(action: Action) -> None:
    assert Decision(action, action, Mode.ENFORCE).refuses is (action in (Action.DENY, Action.THROTTLE))


def test_values_are_frozen_and_slotted() -> None:
    """What flows down the line cannot be changed on its way (STYLE 2)."""
    values = [value for _, value in inspect.getmembers(types, dataclasses.is_dataclass)]
    assert len(values) > 15
    for value in values:
        assert value.__dataclass_params__.frozen, value
        assert "__slots__" in vars(value), value
