"""summary: the table's arithmetic, and README's copy of it."""

import re
from pathlib import Path

from tests.evaluate import summary
from tests.evaluate.judge import Judged
from tests.train.corpus import Row

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^\| [^|]+ \| \d+ \| \d+\.\d\d % \| \d+\.\d\d % \| [^|]*\|$")


def judged(file: str, score: float, source: str = "s", category: str = "chat") -> Judged:
    return Judged(Row("i", "t", file == "attacks_core", file, category, source, "en", "user", True), score, (), 1.0)


def test_shares_are_those_of_the_thresholds() -> None:
    rows = [
        judged("attacks_core", 15),
        judged("attacks_core", 5),
        judged("attacks_core", 4.9),
        judged("attacks_core", 0),
    ]
    table = summary.build(
        [*rows, *(judged("benign", 0, category=c) for c in ("chat", "system_prompt") for _ in range(20))]
    )
    assert "| attacks (attacks_core) | 4 | 50.00 % | 25.00 % |" in table


def test_worst_source_is_the_one_most_denied() -> None:
    rows = [judged("benign", 0, "calm") for _ in range(20)] + [judged("benign", 20, "wild") for _ in range(20)]
    assert "| - worst source | 20 | 100.00 % | 100.00 % |" in summary.build(rows)


def test_floor_lets_no_more_than_the_rate_above() -> None:
    rows = [judged("benign", score) for score in range(1000)]
    assert sum(one.score > summary.floor_at(rows, 0.01) for one in rows) <= 10


def test_readme_quotes_the_evaluation_as_it_was_printed() -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| texts")]
    assert len(lines) == 9
    assert all(LINE.match(line) for line in lines)
    assert summary.HEAD + "\n".join(lines) in (ROOT / "README.md").read_text(encoding="utf-8")
