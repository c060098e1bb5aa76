"""The coverage report as text for a terminal.

In: the answer of GET /api/coverage, or what read_local returns in its shape. Out: lines.
The first thing said is what did not go through customs to an LLM host; what cannot be known is said last, always.
Never: control characters of strangers' host names on a terminal.
"""

from collections.abc import Iterable, Iterator
from typing import Any

_SHOWN = 15  # hosts per workload; --json has all
_RED, _BOLD, _QUIET, _PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"


def lines_of(report: dict[str, Any], *, colour: bool = False) -> Iterator[str]:
    """Yield the lines of a report."""
    yield from _summary(report, colour)
    for workload in report["workloads"]:
        yield from _workload(workload, colour)
    yield ""
    yield "What this cannot say:"
    for text in report["blind_spots"]:
        yield f"  - {_safe(text)}"


def _summary(report: dict[str, Any], colour: bool) -> Iterator[str]:
    one = report["summary"]
    if one["llm_hosts"]:
        text = f"{one['llm_hosts']} LLM host(s) reached WITHOUT inspection, {one['llm_connections']} connection(s)"
        yield _paint(text, _RED + _BOLD, colour)
    else:
        yield "No LLM host was reached without inspection, as far as was seen."
    if "calls" in one:
        yield (
            f"inspected     {one['calls']} calls, {size(one['body_bytes'])}; not looked at: "
            f"{one['calls_unscanned']} calls in part or whole, {size(one['body_bytes'] - one['scanned_bytes'])}"
        )
        yield f"fail-open     {one['fail_open']} by policy, {one['envoy_fail_open']} by Envoy"
    else:
        yield f"fail-open     {one['envoy_fail_open']} by Envoy"
    yield f"passed by     {one['pass_through_connections']} connections, {size(one['pass_through_bytes'])}"
    yield f"sight lost    {one['losses']}"


def _workload(workload: dict[str, Any], colour: bool) -> Iterator[str]:
    names = [workload.get(name, "") for name in ("namespace", "pod", "service_account", "machine")]
    yield ""
    yield _paint(_safe(" / ".join(dict.fromkeys(name for name in names if name)) or "(unnamed)"), _BOLD, colour)
    if workload["doors"]:
        yield from _indented(_doors(workload["doors"]))
    if workload["pass_through"]:
        rows = list(columns(_hosts(workload["pass_through"][:_SHOWN])))
        yield "  " + rows[0]
        for host, row in zip(workload["pass_through"], rows[1:], strict=False):
            yield "  " + _paint(row, _RED if host["llm"] and host["reached"] else "", colour)
        left = len(workload["pass_through"]) - _SHOWN + workload.get("hosts_left_out", 0)
        if left > 0:
            yield _paint(f"  … {left} more hosts (--json lists more)", _QUIET, colour)
    losses = [one for one in workload["losses"] if one["loss"]]
    for one in losses:
        door = f" at {one['door']}" if one["door"] else ""
        yield f"  {one['count']} {_safe(one['kind'])}{_safe(door)}: {_safe(one['meaning'])}"


def _doors(doors: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield "DOOR", "CALLS", "ANSWERED", "DENIED", "FAILED", "UNSCANNED", "FAIL-OPEN", "BYTES", "SCANNED"
    for one in doors:
        counts = (one[name] for name in ("requests", "answered", "denied", "failed", "passed_unscanned", "fail_open"))
        yield one["door"] or "-", *map(str, counts), size(one["body_bytes"]), size(one["scanned_bytes"])


def _hosts(hosts: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield "NOT INSPECTED", "DOOR", "CONNECTIONS", "FAILED", "OUT", "IN", "LAST CLIENT", "LLM"
    for one in hosts:
        llm = f"{one['llm']} ({'listed' if one['listed'] else 'looks like it'})" if one["llm"] else ""
        counts = str(one["connections"]), str(one["failed"]), size(one["bytes_out"]), size(one["bytes_in"])
        yield one["host"], one["door"], *counts, one["last_client"], llm


def columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows with their cells below each other."""
    table = [tuple(_safe(cell) for cell in row) for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _indented(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    return (f"  {line}" for line in columns(rows))


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} B"


def _paint(text: str, code: str, colour: bool) -> str:
    return f"{code}{text}{_PLAIN}" if colour and code else text


def _safe(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
