"""What this installation's own tally says, in the shape of analytics' answer to GET /api/coverage.

In: the tally's file. Out: the same keys, without what only analytics knows (calls of decision records).
Read-only, beside a running supervisor or after it.
Never: writes; invents a call.
"""

import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sidecar.coverage.counters import MEANINGS, SEEN
from sidecar.coverage.tally import tally_path

_HOSTS = """
SELECT door, host, llm, listed, sum(connections), sum(failed), sum(bytes_out), sum(bytes_in),
  max(printf('%016d %s', last_us, client))
FROM hosts WHERE hour >= ? GROUP BY door, host, llm, listed
"""
_COUNTS = "SELECT door, kind, sum(count) FROM counts WHERE hour >= ? GROUP BY door, kind ORDER BY door, kind"
_NAMES = ("door", "host", "llm", "listed", "connections", "failed", "bytes_out", "bytes_in")
BLIND_SPOTS = (
    "Calls that were inspected are counted by analytics, which was not asked; here is only what was not inspected.",
    "Traffic that never came to a door is not here; hosts are what clients named (SNI, CONNECT, Host).",
)


def read_local(folder: Path, from_unix_s: int) -> dict[str, Any] | None:
    """Return what the tally holds from a moment on, None when there is no tally.

    Raises: sqlite3.Error when it cannot be read.
    """
    path = tally_path(folder)
    if not path.exists():
        return None
    with _opened(path) as db:
        hour = from_unix_s // 3600 * 3600
        hosts = [_host(row) for row in db.execute(_HOSTS, (hour,))]
        losses = [_loss(*row) for row in db.execute(_COUNTS, (hour,))]
    hosts.sort(key=lambda one: (not one["llm"], not one["reached"], -one["connections"], one["host"]))
    return {
        "summary": _summary(hosts, losses),
        "workloads": [_workload(hosts, losses)],
        "blind_spots": list(BLIND_SPOTS),
    }


def read_note(folder: Path, name: str) -> str:
    """Return a value the tally keeps under a name, empty when there is none, or no tally."""
    path = tally_path(folder)
    if not path.exists():
        return ""
    with _opened(path) as db:
        row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


class _opened:  # noqa: N801 - reads as the function it stands for
    """A connection that is closed at the end (sqlite3's own context manager only commits)."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)

    def __enter__(self) -> sqlite3.Connection:
        return self._db

    def __exit__(self, *_error: object) -> None:
        self._db.close()


def _host(row: tuple[Any, ...]) -> dict[str, Any]:
    *values, latest = row
    found: dict[str, Any] = dict(zip(_NAMES, values, strict=True))
    found["listed"] = bool(found["listed"])
    found["reached"] = found["connections"] > found["failed"] or found["bytes_in"] > 0
    found["last_client"] = str(latest).partition(" ")[2]
    return found


def _loss(door: str, kind: str, count: int) -> dict[str, Any]:
    return {"door": door, "kind": kind, "count": count, "loss": kind not in SEEN, "meaning": MEANINGS.get(kind, kind)}


def _summary(hosts: list[dict[str, Any]], losses: list[dict[str, Any]]) -> dict[str, Any]:
    sums: dict[str, int] = defaultdict(int)
    for one in losses:
        sums[one["kind"]] += one["count"]
    llm = [host for host in hosts if host["llm"] and host["reached"]]
    return {
        "pass_through_connections": sum(host["connections"] for host in hosts),
        "pass_through_bytes": sum(host["bytes_out"] + host["bytes_in"] for host in hosts),
        "llm_hosts": len({host["host"] for host in llm}),
        "llm_connections": sum(host["connections"] - host["failed"] for host in llm),
        "envoy_fail_open": sums["failure_mode_allowed"],
        "losses": sum(one["count"] for one in losses if one["loss"]),
    }


def _workload(hosts: list[dict[str, Any]], losses: list[dict[str, Any]]) -> dict[str, Any]:
    reached = [host for host in hosts if host["llm"] and host["reached"]]
    return {"machine": "this installation", "doors": [], "llm_hosts": reached, "pass_through": hosts, "losses": losses}
