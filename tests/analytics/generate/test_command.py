import signal
import sqlite3
from pathlib import Path

import msgspec
import pytest

from analytics.cli import main
from analytics.formats import json_lines
from analytics.generate import Plan, command, generate, pour

UNTIL = "2026-11-18T11:10:00Z"


def test_a_database_gets_the_records_and_the_truth_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, truth = tmp_path / "made.db", tmp_path / "truth.json"
    options = ["--records", "700", "--seed", "3", "--days", "2", "--until", UNTIL, "--truth", str(truth)]
    assert main(["generate", *options, "--into", str(target)]) == 0
    told = msgspec.json.decode(truth.read_bytes())
    with sqlite3.connect(target) as connection:
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (700,)
        sums = connection.execute(
            "SELECT sum(requests), sum(cost_nanousd) FROM rollups WHERE cube='full' AND grain_s=60"
        )
        assert sums.fetchone() == (700, told["totals"]["cost_nanousd"])
        found = dict(connection.execute("SELECT type, count(*) FROM threats GROUP BY type"))
    connection.close()
    assert found == told["totals"]["threats"]
    assert "700 of 700 records (100 %)" in capsys.readouterr().err


def test_records_are_not_added_to_others_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = ["--into", f"sqlite:///{tmp_path / 'made.db'}", "--until", UNTIL]
    assert main(["generate", "--records", "20", *target]) == 0
    assert main(["generate", "--records", "20", "--seed", "1", *target]) == 2
    expected = "douane-analytics: the database holds records already; --add adds generated ones to them\n"
    assert capsys.readouterr().err.endswith(expected)
    assert main(["generate", "--records", "20", "--seed", "1", "--add", *target]) == 0
    with sqlite3.connect(tmp_path / "made.db") as connection:
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (40,)
    connection.close()


def test_a_file_gets_lines_as_export_writes_them(tmp_path: Path) -> None:
    out = tmp_path / "made.jsonl"
    assert main(["generate", "--records", "50", "--seed", "4", "--until", UNTIL, "--out", str(out)]) == 0
    assert out.read_bytes() == b"".join(json_lines(rows) for rows in generate(Plan(records=50, seed=4)))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--records", "0"], "records must be 1 to 100000000, not 0"),
        (["--records", "5", "--days", "500"], "days must be 1 to 400, not 500"),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert main(["generate", *options, "--out", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == f"douane-analytics: {told}\n"
    assert list(tmp_path.iterdir()) == []


def test_where_to_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["generate", "--records", "5"])
    assert caught.value.code == 2
    assert "one of the arguments --into --out is required" in capsys.readouterr().err


def test_ctrl_c_ends_after_the_batch_in_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes while the first batch is being written: it is whole, and so is the truth about it."""
    before = signal.getsignal(signal.SIGINT)
    out, truth = tmp_path / "made.jsonl", tmp_path / "truth.json"
    lines = command.formats.json_lines

    def interrupted(rows: object) -> bytes:
        signal.raise_signal(signal.SIGINT)
        return lines(rows)  # type: ignore[arg-type]

    monkeypatch.setattr(command.formats, "json_lines", interrupted)
    options = ["--records", "70000", "--until", UNTIL, "--out", str(out), "--truth", str(truth)]
    assert main(["generate", *options]) == 130
    written = out.read_bytes().count(b"\n")
    assert pour.BATCH <= written < 70_000
    assert msgspec.json.decode(truth.read_bytes())["totals"]["records"] == written
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "douane-analytics: stopping after the batch in hand"
    assert told[-1] == (
        f"douane-analytics: stopped: {written:,} of 70,000 records are there, whole; the rest was not written"
    )
    assert signal.getsignal(signal.SIGINT) is before
