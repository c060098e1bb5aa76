"""What settings say together: contradictions, names that stand twice, moments that are none."""

from typing import Any

import pytest

from analytics.control import consistency, policies

_BUDGET = {"name": "a", "limit": 1, "unit": "tokens", "window": "day"}
_EXCEPTION = {"rule": "x", "until": "2026-12-31", "reason": "r", "who": "w"}


@pytest.mark.parametrize(
    ("document", "complaints"),
    [
        ({"deny_score": 4}, [("alert_score", "5 is above deny_score 4")]),
        ({"user_risk": {"tighten_to": 20}}, [("user_risk.tighten_from", "30 is not below tighten_to 20")]),
        ({"budgets": [_BUDGET, _BUDGET]}, [("budgets[1].name", "'a' stands twice")]),
        ({"budgets": [_BUDGET | {"limit": 1.5}]}, [("budgets[0].limit", "1.5 is no whole number of tokens")]),
        ({"budgets": [_BUDGET | {"limit": 1.5, "unit": "usd"}]}, []),
        ({"exceptions": [_EXCEPTION, _EXCEPTION]}, []),
        (
            {"exceptions": [_EXCEPTION | {"until": "2026-02-30"}]},
            [("exceptions[0].until", "a date, or a moment with its offset: 2026-12-31T12:00:00Z")],
        ),
        (
            {"overrides": [{"name": "o", "match": {"model": "m"}, "set": {"deadline_ms": 100}}]},
            [("overrides[0].set", "deadline_ms is needed before the body is read, and model is known only then")],
        ),
        ({"overrides": [{"name": "o", "match": {"door": "proxy"}, "set": {"deadline_ms": 100}}]}, []),
    ],
)
def test_contradictions(document: dict[str, Any], complaints: list[tuple[str, str]]) -> None:
    assert list(consistency.complaints(document, policies.defaults())) == complaints


@pytest.mark.parametrize(
    ("text", "unix_us"),
    [
        ("2026-12-31", 1_798_761_600_000_000),
        ("2026-12-31T12:00:00Z", 1_798_718_400_000_000),
        ("2026-12-31T12:00:00+02:00", 1_798_711_200_000_000),
        ("2026-12-31T12:00:00", None),
        ("soon", None),
        ("9999-12-31", None),
    ],
)
def test_moments(text: str, unix_us: int | None) -> None:
    assert consistency.moment_unix_us(text) == unix_us
