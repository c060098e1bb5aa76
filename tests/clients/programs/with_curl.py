"""curl; the first argument is the HTTP version it is told to speak. A last row says which one it spoke over TLS."""

import subprocess
import sys
from collections.abc import Iterator

from rows import HEADERS, Row, print_rows, try_http

OPTIONS = ("-sS", "-N", "-m", "30", sys.argv[1], "--data-binary", "@-", "-w", "\n%{http_code} %{http_version}")
NAMED = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
spoken = set()


def post(url: str, body: bytes) -> tuple[int, bytes]:
    done = subprocess.run(["curl", *OPTIONS, *NAMED, url], input=body, capture_output=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.decode())
    text, _, last = done.stdout.rpartition(b"\n")
    status, _, version = last.decode().partition(" ")
    if url.startswith("https:"):
        spoken.add(version)
    return int(status), text


def rows() -> Iterator[Row]:
    yield from try_http(post)
    yield "", "version", ",".join(sorted(spoken)), ""


print_rows(rows())
