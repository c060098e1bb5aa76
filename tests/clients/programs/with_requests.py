"""requests."""

from collections.abc import Iterator

import requests
from rows import HEADERS, Row, calls, http_row, print_rows


def rows() -> Iterator[Row]:
    with requests.Session() as session:
        for format_name, step, url, body in calls():
            with session.post(url, data=body, headers=HEADERS, stream=True, timeout=30) as answer:
                yield http_row(format_name, step, answer.status_code, b"".join(answer.iter_content(None)))


print_rows(rows())
