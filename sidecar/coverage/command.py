"""`douane coverage`: what did not go through customs.

In: arguments, settings. Out: lines or JSON, and an exit status: 0 well, 2 nothing could be read, 3 with --fail-on-uninspected when
an LLM host was reached without inspection (by analytics' books or by this installation's own tally: either is enough).
Analytics is asked when this installation runs; otherwise the tally in the data folder answers, and it is said.
Never: writes anything; takes another installation's answer for this one's (a running one holds its folder's lock).
"""

import argparse
import fcntl
import json
import os
import sqlite3
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from sidecar.config import Settings
from sidecar.coverage.local import read_local, read_note
from sidecar.coverage.table import lines_of

UNINSPECTED = 3
_TIMEOUT_S = 10.0
_DAY_S = 86_400


def run(parsed: argparse.Namespace, settings: Settings) -> int:
    """Print the report and return the exit status.

    Raises: ValueError when there is neither an answer nor a tally.
    """
    local = _local(settings.folder, parsed.days)
    remote, why = _remote(settings, parsed.days)
    report = remote or local
    if report is None:
        raise ValueError(
            f"{settings.folder}: no tally here, and {why}; `douane up` makes one (--data names its folder)"
        )
    report["source"] = "analytics" if remote else "tally"
    if remote is None:
        print(f"douane: {why}; this is the tally of {settings.folder} alone", file=sys.stderr)
    if parsed.json:
        print(json.dumps(report, indent=1))
    else:
        print("\n".join(lines_of(report, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)))
    uninspected = any(one["summary"]["llm_hosts"] for one in (remote, local) if one)
    return UNINSPECTED if parsed.fail_on_uninspected and uninspected else 0


def _local(folder: Path, days: int) -> dict[str, Any] | None:
    try:
        return read_local(folder, int(time.time()) - days * _DAY_S)
    except sqlite3.Error as error:
        print(f"douane: the tally in {folder} cannot be read: {error}", file=sys.stderr)
        return None


def _remote(settings: Settings, days: int) -> tuple[dict[str, Any] | None, str]:
    """Return analytics' answer, or None and why there is none."""
    if not _runs(settings.folder):
        return None, "this installation does not run"
    base = _api(settings)
    if not base:
        return None, f"analytics is elsewhere ({settings.analytics_grpc}): ask its /api/coverage"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, whatever HTTP_PROXY says
    try:
        with opener.open(f"{base}/api/coverage?days={days}", timeout=_TIMEOUT_S) as answer:
            return _report(answer.read()), ""
    except (OSError, ValueError) as error:
        return None, f"analytics at {base} was not reachable ({error})"


def _api(settings: Settings) -> str:
    """Return where the API answers: as the running installation noted (its ports may come from its command line), or as set."""
    if settings.analytics_grpc:
        return ""
    try:
        noted = read_note(settings.folder, "api")
    except sqlite3.Error:
        noted = ""  # the settings know the usual port
    return noted or f"http://127.0.0.1:{settings.analytics_http_port}"


def _report(body: bytes) -> dict[str, Any]:
    """Raises: ValueError for an answer that is no report, such as an older analytics' error."""
    found = json.loads(body)
    if not isinstance(found, dict) or not {"summary", "workloads", "blind_spots"} <= set(found):
        raise ValueError("it did not answer with a coverage report")
    return found


def _runs(folder: Path) -> bool:
    """True when an installation holds the folder's lock."""
    try:
        with (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
