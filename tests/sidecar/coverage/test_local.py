import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.coverage.counters import Count
from sidecar.coverage.llm_hosts import llm_host
from sidecar.coverage.local import read_local, read_note
from sidecar.coverage.tally import Tally, tally_path
from tests.sidecar.coverage.test_lines import PASSAGE
from tests.sidecar.coverage.test_tally import HOUR


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tally_path(tmp_path).parent.mkdir()
    tally = Tally(tally_path(tmp_path), llm_host, lambda: "a" * 32)
    later = replace(PASSAGE, key="2", client="10.0.0.2", written_us=PASSAGE.written_us + 3_600_000_000)
    failed = replace(PASSAGE, key="3", host="api.mistral.ai", reached=False, bytes_in=0, bytes_out=0)
    passages = [PASSAGE, later, failed, *(replace(PASSAGE, key=f"p{n}", host="pypi.org") for n in range(9))]
    counts = [Count("gateway", "failure_mode_allowed", 2), Count("", "watched_s", 60), Count("", "envoy_restarts", 1)]
    tally.take(passages, counts, HOUR, None)
    tally.keep(api="http://127.0.0.1:9")
    tally.close()
    return tmp_path


def test_the_tally_answers_in_the_shape_of_analytics(folder: Path) -> None:
    found = read_local(folder, HOUR)
    assert found is not None
    assert found["summary"] == {
        "pass_through_connections": 12,
        "pass_through_bytes": 11 * (1517 + 3034),
        "llm_hosts": 1,
        "llm_connections": 2,
        "envoy_fail_open": 2,
        "losses": 3,
    }
    (workload,) = found["workloads"]
    assert [(one["host"], one["llm"], one["reached"]) for one in workload["pass_through"]] == [
        ("api.openai.com", "openai", True),
        ("api.mistral.ai", "mistral", False),
        ("pypi.org", "", True),
    ]
    assert [one["host"] for one in workload["llm_hosts"]] == ["api.openai.com"]
    assert workload["llm_hosts"][0]["last_client"] == "10.0.0.2"
    assert {one["kind"]: one["loss"] for one in workload["losses"]} == {
        "failure_mode_allowed": True,
        "watched_s": False,
        "envoy_restarts": True,
    }
    assert found["blind_spots"]


def test_hours_before_the_window_are_left_out(folder: Path) -> None:
    found = read_local(folder, HOUR + 2 * 3600)
    assert found is not None
    assert found["summary"]["pass_through_connections"] == 0


def test_no_tally_is_none(tmp_path: Path) -> None:
    assert read_local(tmp_path, 0) is None
    assert read_note(tmp_path, "api") == ""


def test_notes_are_read(folder: Path) -> None:
    assert (read_note(folder, "api"), read_note(folder, "none")) == ("http://127.0.0.1:9", "")


def test_a_broken_tally_raises(tmp_path: Path) -> None:
    tally_path(tmp_path).parent.mkdir()
    tally_path(tmp_path).write_bytes(b"x" * 5000)
    with pytest.raises(sqlite3.Error):
        read_local(tmp_path, 0)
