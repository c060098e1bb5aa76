"""curl; the first argument is the HTTP version it is told to speak. A last row says which one it spoke over TLS."""

import subprocess
import sys
from collections.abc import Iterator

from rows import HEADERS, Row, calls, http_row, print_rows

VERSION = sys.argv[1]


def rows() -> Iterator[Row]:
    spoken = set()
    headers = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
    for format_name, step, url, body in calls():
        command = [
            "curl",
            "-sS",
            "-N",
            "-m",
            "30",
            VERSION,
            *headers,
            "--data-binary",
            "@-",
            "-w",
            "\n%{http_code} %{http_version}",
        ]
        done = subprocess.run([*command, url], input=body, capture_output=True, check=False)
        text, _, last = done.stdout.rpartition(b"\n")
        status, _, version = last.decode().partition(" ")
        if url.startswith("https:"):
            spoken.add(version)
        yield http_row(format_name, step, status, text or done.stderr)
    yield "", "version", ",".join(sorted(spoken)), ""


print_rows(rows())
