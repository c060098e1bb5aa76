"""The client matrix: gathered while tests run, printed at the end, written to build/client-matrix.md."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.doors import DOORS

_CELLS: dict[tuple[str, str, str], str] = {}
_FILE = Path(__file__).parents[2] / "build" / "client-matrix.md"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]"):  # type: ignore[no-untyped-def]
    """Keep the outcome of each cell: parameters client, door and format of test_matrix."""
    outcome = yield
    report = outcome.get_result()
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if {"client", "door", "format_name"} <= parameters.keys() and (report.when == "call" or report.outcome != "passed"):
        cell = (parameters["client"].name, parameters["format_name"], parameters["door"])
        said = dict(report.user_properties).get("cell", "pass")
        _CELLS[cell] = {"passed": str(said), "failed": "FAIL", "skipped": "not tried"}[report.outcome]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _CELLS:
        return
    text = table(_CELLS)
    _FILE.parent.mkdir(exist_ok=True)
    _FILE.write_text(text)
    terminalreporter.section("client matrix")
    terminalreporter.write_line(text)


def table(cells: Mapping[tuple[str, str, str], str]) -> str:
    """Return the matrix as a Markdown table: a line for each client and format, a column for each door."""
    head = ["client", "format", *DOORS]
    rows = [
        [client, name, *(cells.get((client, name, door), "–") for door in DOORS)]
        for client, name in dict.fromkeys(cell[:2] for cell in cells)
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "".join(
        "| " + " | ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) + " |\n"
        for line in lines
    )
