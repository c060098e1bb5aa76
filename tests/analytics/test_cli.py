import socket
import sqlite3
from pathlib import Path

import pytest

from analytics.cli import main
from analytics.store.tables import METADATA
from tests.analytics.conftest import free_port


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["migrate", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "douane-analytics" in capsys.readouterr().out


def test_a_bad_option_is_told_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--data", str(tmp_path), "--http-port", "abc"]) == 2
    assert capsys.readouterr().err == (
        "douane-analytics: DOUANE_ANALYTICS_HTTP_PORT: a text of 3 characters is not allowed: "
        "Input should be a valid integer, unable to parse string as an integer\n"
    )


@pytest.mark.parametrize("name", ["http", "grpc"])
def test_a_port_in_use_is_named_with_its_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"http": str(free_port()), "grpc": str(free_port()), name: str(taken.getsockname()[1])}
        options = ["--data", str(tmp_path), "--http-port", ports["http"], "--grpc-port", ports["grpc"]]
        assert main(["serve", *options]) == 2
    assert capsys.readouterr().err == (
        f"douane-analytics: DOUANE_ANALYTICS_{name.upper()}_PORT: port {ports[name]} on 127.0.0.1 cannot be had: "
        "Address already in use\n"
    )


def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert main(["migrate", "--data", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith(
        "douane-analytics: DOUANE_ANALYTICS_DATABASE_URL: the database cannot be opened"
    )


def test_migrate_makes_folder_and_tables(tmp_path: Path) -> None:
    assert main(["migrate", "--data", str(tmp_path / "new")]) == 0
    connection = sqlite3.connect(tmp_path / "new" / "analytics.db")
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert tables == {"alembic_version", *METADATA.tables}
