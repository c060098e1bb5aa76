import fcntl
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sidecar import cli
from sidecar.coverage.llm_hosts import llm_host
from sidecar.coverage.tally import Tally, hour_of, tally_path
from tests.sidecar.coverage.test_lines import PASSAGE
from tests.sidecar.coverage.test_table import report

NOW_US = 4_000_000_000_000_000  # far ahead, so that it is within any number of days


def tally(folder: Path, *, llm: bool, api: str = "") -> None:
    tally_path(folder).parent.mkdir()
    found = Tally(tally_path(folder), llm_host, lambda: "a" * 32)
    name = "api.openai.com" if llm else "pypi.org"
    found.take([replace(PASSAGE, host=name, started_us=NOW_US, written_us=NOW_US)], [], hour_of(NOW_US), None)
    found.keep(api=api)
    found.close()


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, as `douane up` does."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def analytics(answer: bytes, status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/api/coverage?days=3"
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def coverage(folder: Path, *options: str) -> int:
    return cli.main(["coverage", "--data", str(folder), "--days", "3", *options])


@pytest.mark.parametrize(("llm", "status"), [(False, 0), (True, 3)])
def test_the_tally_answers_when_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], llm: bool, status: int
) -> None:
    tally(tmp_path, llm=llm)
    assert coverage(tmp_path) == 0
    shown = capsys.readouterr()
    assert f"douane: this installation does not run; this is the tally of {tmp_path} alone" in shown.err
    assert ("api.openai.com" in shown.out) == llm
    assert coverage(tmp_path, "--fail-on-uninspected") == status


@pytest.mark.server
def test_a_running_installation_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with analytics(json.dumps(report()).encode()) as url, running(tmp_path):
        tally(tmp_path, llm=False, api=url)
        assert coverage(tmp_path, "--json", "--fail-on-uninspected") == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {**report(), "source": "analytics"}
    assert shown.err == ""


@pytest.mark.server
def test_what_the_tally_knows_counts_although_analytics_does_not(tmp_path: Path) -> None:
    clean = report()
    clean["summary"] = {**clean["summary"], "llm_hosts": 0}
    with analytics(json.dumps(clean).encode()) as url, running(tmp_path):
        tally(tmp_path, llm=True, api=url)
        assert coverage(tmp_path, "--fail-on-uninspected") == 3


@pytest.mark.server
@pytest.mark.parametrize(("answer", "status"), [(b"{}", 200), (b"<html>", 200), (b'{"error": {}}', 404)])
def test_another_answer_is_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes, status: int
) -> None:
    with analytics(answer, status) as url, running(tmp_path):
        tally(tmp_path, llm=False, api=url)
        assert coverage(tmp_path) == 0
    assert f"analytics at {url} was not reachable" in capsys.readouterr().err


def test_analytics_elsewhere_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUANE_ANALYTICS_GRPC", "books.example:8081")
    tally(tmp_path, llm=False)
    with running(tmp_path):
        assert coverage(tmp_path) == 0
    assert "analytics is elsewhere (books.example:8081): ask its /api/coverage" in capsys.readouterr().err


def test_a_folder_without_a_tally_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage(tmp_path) == 2
    assert f"douane: {tmp_path}: no tally here" in capsys.readouterr().err


def test_a_broken_tally_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally_path(tmp_path).parent.mkdir()
    tally_path(tmp_path).write_bytes(b"x" * 5000)
    assert coverage(tmp_path) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["0", "367", "x"])
def test_days_out_of_bounds_are_refused(tmp_path: Path, days: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["coverage", "--data", str(tmp_path), "--days", days])
