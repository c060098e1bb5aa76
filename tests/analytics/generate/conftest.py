"""One month of traffic, drawn once a run: enough for everything to occur."""

import pytest

from analytics.generate import Plan, Truth, generate
from analytics.types import DecisionRow

PLAN = Plan(records=40_000, seed=7)


@pytest.fixture(scope="session")
def drawn() -> tuple[list[DecisionRow], Truth]:
    """Return all rows of PLAN, and their truth."""
    traffic = generate(PLAN)
    return [row for rows in traffic for row in rows], traffic.truth


@pytest.fixture(scope="session")
def rows(drawn: tuple[list[DecisionRow], Truth]) -> list[DecisionRow]:
    """Return all rows of PLAN."""
    return drawn[0]


@pytest.fixture(scope="session")
def truth(drawn: tuple[list[DecisionRow], Truth]) -> Truth:
    """Return the truth of PLAN."""
    return drawn[1]
