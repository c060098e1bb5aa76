"""Several processes, one order."""

import json
from itertools import count

import pytest

from sidecar.scan.scanner import Scanner
from sidecar.scan.workers import CHUNK_LINES, answers
from sidecar.types import Surface

SCANNER = Scanner()


@pytest.mark.parametrize("jobs", [1, 2])
def test_order_is_kept(jobs: int) -> None:
    lines = [json.dumps({"id": number, "text": "x"}).encode() for number in range(5 * CHUNK_LINES + 3)]
    found = [json.loads(answer.data)["id"] for answer in answers(lines, SCANNER, Surface.USER, jobs)]
    assert found == list(range(len(lines)))


def test_an_endless_input_is_not_read_ahead() -> None:
    numbers = count()
    lines = (b'{"text": "%d"}' % number for number in numbers)
    found = answers(lines, SCANNER, Surface.USER, 2)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert next(numbers) <= 6 * CHUNK_LINES
