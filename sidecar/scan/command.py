"""`douane scan`: arguments in, lines and an exit status out.

Exit status: that of the worst text, LOW 0, MEDIUM 10, HIGH 20, CRITICAL 30; with --fail-on LEVEL 1 when a text reaches it and
0 otherwise; 2 when something could not be read or inspected, or for wrong usage; 141 when the reader of our output left.
Never: loads Envoy's, gRPC's or the settings' modules: a scan begins in the time that the rules need.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from sidecar.scan import report
from sidecar.scan.lines import read_lines
from sidecar.scan.scanner import Result, Scanner, as_json
from sidecar.scan.sources import Document, documents
from sidecar.scan.workers import answers
from sidecar.types import RiskLevel, Surface

STATUS = {RiskLevel.LOW: 0, RiskLevel.MEDIUM: 10, RiskLevel.HIGH: 20, RiskLevel.CRITICAL: 30}
_LEVELS = tuple(RiskLevel)


def run(parsed: argparse.Namespace) -> int:
    """Run `douane scan` and return its exit status.

    Raises: ValueError for arguments that do not go together, PackError for packs, OSError for a JSON lines file.
    """
    if bool(parsed.what) == bool(parsed.jsonl):
        raise ValueError("give texts, files or folders, or --jsonl FILE (- is standard input)")
    scanner, tally = Scanner(parsed.packs), report.Tally()
    try:
        if parsed.jsonl:
            _scan_lines(parsed, scanner, tally)
        else:
            _scan_documents(parsed, scanner, tally)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return 141
    return status(tally, parsed.fail_on)


def status(tally: report.Tally, fail_on: str | None) -> int:
    """Return the exit status of what was counted."""
    if tally.errors:
        return 2
    if fail_on:
        return int(_LEVELS.index(tally.worst) >= _LEVELS.index(RiskLevel(fail_on)))
    return STATUS[tally.worst]


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
    else:
        with Path(name).open("rb") as file:
            yield file


def _scan_lines(parsed: argparse.Namespace, scanner: Scanner, tally: report.Tally) -> None:
    begin = time.monotonic()
    progress = report.Progress(tally, time.monotonic)
    out = sys.stdout.buffer
    with _opened(parsed.jsonl) as stream:
        for answer in answers(read_lines(stream), scanner, Surface(parsed.surface), parsed.jobs):
            tally.add(answer.level, answer.micros)
            if not parsed.quiet:
                out.write(answer.data + b"\n")
                out.flush()
            progress.step()
    progress.clear()
    if sys.stderr.isatty() and not parsed.quiet:
        print(tally.summary(time.monotonic() - begin), file=sys.stderr)


def _scan_documents(parsed: argparse.Namespace, scanner: Scanner, tally: report.Tally) -> None:
    begin = time.monotonic()
    progress = report.Progress(tally, time.monotonic)
    style = report.Style(report.wants_colour(sys.stdout, os.environ), parsed.explain)
    many = len(parsed.what) > 1 or (not parsed.text and Path(parsed.what[0][:255]).is_dir())
    for document in documents(parsed.what, sys.stdin.buffer, as_text=parsed.text):
        result = _scanned(document, scanner, Surface(parsed.surface))
        bad = result.failure or (result.unscanned and result.unscanned not in ("binary", "limit"))
        tally.add(None if bad else result.level, result.micros, str(result.name) if many else "")
        tally.unscanned_bytes += result.unscanned_bytes
        progress.clear()
        if not parsed.quiet:
            _show(result, parsed, style, many=many)
        elif bad:
            print(f"douane: {report.printable(str(result.name))}: {result.failure}", file=sys.stderr)
        progress.step()
    progress.clear()
    if many and not (parsed.quiet or parsed.json):
        print(tally.summary(time.monotonic() - begin))


def _scanned(document: Document, scanner: Scanner, surface: Surface) -> Result:
    if document.why == "binary":
        return Result(document.name, surface=surface, unscanned_bytes=document.left_bytes, unscanned="binary")
    if document.why:
        return Result(document.name, surface=surface, failure=document.why)
    return scanner.scan(document.name, document.text, surface, document.left_bytes)


def _show(result: Result, parsed: argparse.Namespace, style: report.Style, *, many: bool) -> None:
    """Print a result; of many texts those without findings are only counted."""
    if parsed.json:
        print(msgspec.json.encode(as_json(result)).decode())
    elif not many or result.assessment.threats or result.unscanned_bytes or result.failure:
        print("\n".join(report.lines_of(result, style)))
