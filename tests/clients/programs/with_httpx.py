"""httpx."""

import httpx
from rows import HEADERS, print_rows, try_http

with httpx.Client(timeout=30) as client:

    def post(url: str, body: bytes) -> tuple[int, bytes]:
        with client.stream("POST", url, content=body, headers=HEADERS) as answer:
            return answer.status_code, b"".join(answer.iter_bytes())

    print_rows(try_http(post))
