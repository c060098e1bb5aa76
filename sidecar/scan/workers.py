"""JSON lines over several processes, answers in the order of the lines.

In: lines. Out: Answers.
Never: more than a few chunks under way: what a slow reader does not take is not read either.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

from sidecar.scan.lines import Answer, answer_line
from sidecar.scan.scanner import Scanner
from sidecar.types import Surface

CHUNK_LINES = 64
_scanner: Scanner | None = None


def answers(lines: Iterable[bytes], scanner: Scanner, surface: Surface, jobs: int) -> Iterator[Answer]:
    """Yield the answers to lines in their order; with jobs > 1 from that many processes, CHUNK_LINES at a time."""
    if jobs == 1:
        yield from (answer_line(line, scanner, surface) for line in lines)
        return
    context = multiprocessing.get_context("fork")  # children share the compiled rules with us
    with ProcessPoolExecutor(jobs, context, _begin, (scanner,)) as pool:
        rest = iter(lines)
        waiting: deque[Future[list[Answer]]] = deque()
        try:
            while chunk := list(islice(rest, CHUNK_LINES)):
                waiting.append(pool.submit(_answer, chunk, surface))
                if len(waiting) > 2 * jobs:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _begin(scanner: Scanner) -> None:
    """Keep the scanner that the fork gave us; Ctrl-C is the parent's to answer."""
    global _scanner
    _scanner = scanner
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answer(lines: list[bytes], surface: Surface) -> list[Answer]:
    if _scanner is None:
        raise RuntimeError("no scanner in this process")
    return [answer_line(line, _scanner, surface) for line in lines]
