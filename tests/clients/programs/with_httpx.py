"""httpx."""

from collections.abc import Iterator

import httpx
from rows import HEADERS, Row, calls, http_row, print_rows


def rows() -> Iterator[Row]:
    with httpx.Client(timeout=30) as client:
        for format_name, step, url, body in calls():
            with client.stream("POST", url, content=body, headers=HEADERS) as answer:
                yield http_row(format_name, step, answer.status_code, b"".join(answer.iter_bytes()))


print_rows(rows())
