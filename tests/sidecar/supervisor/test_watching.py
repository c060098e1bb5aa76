"""Construction and order; tests/envoy/test_coverage.py runs it inside a whole installation."""

from pathlib import Path

import pytest

from sidecar.config import ConfigError, load_settings
from sidecar.coverage.local import read_note
from sidecar.coverage.tally import tally_path
from sidecar.supervisor.watching import Watching
from tests.support.ports import free_ports


async def test_it_begins_ends_and_notes_where_the_api_answers(tmp_path: Path) -> None:
    admin, http, grpc = free_ports(3)
    settings = load_settings(data=tmp_path, admin_port=admin, analytics_http_port=http, analytics_grpc_port=grpc)
    watching = Watching(settings, lambda: 0)
    watching.start()
    assert read_note(tmp_path, "api") == f"http://127.0.0.1:{http}"
    assert read_note(tmp_path, "running") == "yes"
    await watching.last_look()
    await watching.finish()
    assert read_note(tmp_path, "running") == ""


async def test_an_end_before_the_begin_is_nothing(tmp_path: Path) -> None:
    watching = Watching(load_settings(data=tmp_path), lambda: 0)
    await watching.last_look()
    await watching.finish()
    watching._tally.close()


def test_analytics_elsewhere_leaves_no_note(tmp_path: Path) -> None:
    watching = Watching(load_settings(data=tmp_path, analytics_grpc="books.example:8081"), lambda: 0)
    assert read_note(tmp_path, "api") == ""
    watching._tally.close()


def test_a_tally_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    tally_path(tmp_path).mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"tally\.db: the coverage tally cannot be opened"):
        Watching(load_settings(data=tmp_path), lambda: 0)
