"""requests."""

import requests
from rows import HEADERS, print_rows, try_http

with requests.Session() as session:

    def post(url: str, body: bytes) -> tuple[int, bytes]:
        with session.post(url, data=body, headers=HEADERS, stream=True, timeout=30) as answer:
            return answer.status_code, b"".join(answer.iter_content(None))

    print_rows(try_http(post))
