import io
import sys
from pathlib import Path

import msgspec
import pytest

from analytics.cli import main
from analytics.formats import command, delimited
from analytics.generate import Plan, generate

PLAN = Plan(records=400, seed=3, days=4)
ROWS = [row for rows in generate(PLAN) for row in rows]


@pytest.fixture
def database(tmp_path: Path) -> list[str]:
    """Return the options that name a database with the rows."""
    into = tmp_path / "made.db"
    made = ["--records", "400", "--seed", "3", "--days", "4", "--until", "2026-11-18T11:10:00Z", "--into", str(into)]
    assert main(["generate", *made]) == 0
    return ["--database-url", f"sqlite:///{into}"]


def test_a_file_holds_what_the_filters_let_pass(
    database: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "denied.jsonl"
    asked = ["--action", "deny", "--tenant", "default", "--min-score", "12", "--from", "2026-11-15T00:00:00Z"]
    assert main(["export", "--format", "jsonl", "--out", str(out), *asked, *database]) == 0
    from_us = 1_794_700_800_000_000
    expected = sorted(
        row.decision_id
        for row in ROWS
        if (row.applied, row.tenant) == ("deny", "default") and row.score >= 12 and row.started_unix_us >= from_us
    )
    assert [msgspec.json.decode(line)["decision_id"] for line in out.read_bytes().splitlines()] == expected != []
    assert capsys.readouterr().err.endswith(f"douane-analytics: {len(expected)} records\n")
    assert not out.with_name("denied.jsonl.part").exists()


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_each_format_can_be_written(database: list[str], tmp_path: Path, name: str) -> None:
    out = tmp_path / f"all.{name}"
    assert main(["export", "--format", name, "--out", str(out), *database]) == 0
    assert out.read_bytes()[:4] == {"csv": b"deci", "parquet": b"PAR1"}[name]


def test_standard_output_gets_data_and_nothing_else(
    database: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", taken)
    assert main(["export", "--format", "csv", "--out", "-", "--user", ROWS[0].user, *database]) == 0
    mine = sorted((row for row in ROWS if row.user == ROWS[0].user), key=lambda row: row.decision_id)
    assert taken.buffer.getvalue() == b"".join(delimited.encode([mine]))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--days", "3", "--to", "2026-11-18T00:00:00Z"], "give either --days, or --from and --to"),
        (["--days", "0"], "--days must be at least 1"),
    ],
)
def test_what_cannot_be_asked_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str], told: str
) -> None:
    assert main(["export", "--format", "csv", "--out", str(tmp_path / "x"), "--data", str(tmp_path), *asked]) == 2
    assert capsys.readouterr().err == f"douane-analytics: {told}\n"
    assert list(tmp_path.iterdir()) == []


def test_days_count_back_from_now() -> None:
    options = dict.fromkeys((*command._EQUAL, "from_", "to", "min_score", "threat_type", "tenant")) | {"days": 2}
    assert command.narrowed(options, 1_795_000_000.0).from_unix_us == (1_795_000_000 - 2 * 86_400) * 1_000_000


def test_ctrl_c_leaves_no_file(
    database: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("analytics.store.export.batches", interrupted)
    out = tmp_path / "all.csv"
    assert main(["export", "--format", "csv", "--out", str(out), *database]) == 130
    assert capsys.readouterr().err.endswith("douane-analytics: stopped: no file was written\n")
    assert not out.exists()
    assert not out.with_name("all.csv.part").exists()
