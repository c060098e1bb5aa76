"""The commands that look after the store, through the real command line."""

from pathlib import Path

import pytest

from analytics import cli
from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.store import database
from tests.analytics.traffic import record


@pytest.fixture
def data(tmp_path: Path) -> str:
    engine = database.connect(f"sqlite:///{tmp_path / 'analytics.db'}")
    database.migrate(engine)
    Books(engine).store([decode(record(number)) for number in range(20)])
    engine.dispose()
    return str(tmp_path)


def test_rebuild_says_what_it_counted(
    data: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOUANE_ANALYTICS_RETENTION_DAYS", "3650")
    assert cli.main(["rollups", "rebuild", "--since", "2026-11-01", "--data", data]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2026-11-18  20 exchanges"
    assert lines[1].startswith("20 exchanges of 1 days counted again in ")


def test_rebuild_wants_a_date(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["rollups", "rebuild", "--since", "yesterday", "--data", data])
    assert "'yesterday' is no date such as 2026-11-18" in capsys.readouterr().err


def test_retention_says_what_went(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["retention", "--data", data]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("records before ")
    assert second.startswith("sums: ")
