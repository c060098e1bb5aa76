"""What a client program prints: one line of JSON, a list of rows [format, step, outcome, seen].

A step is plain, stream, cut (a streamed answer that must not be given) or attack.
SDKs: outcome is "ok" or the exception's class, seen is the text or the exception's words.
Plain HTTP clients: the status, and the body in base64; without an answer as SDKs.
What they call stands in the file that CALLS names, one call a line: format, step, URL and JSON body, separated by tabs.
These programs know nothing of Douane: proxy, trust and base URLs come from the variables that the libraries themselves read.
"""

import base64
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

Row = tuple[str, str, str, str]
HELLO = "Hello"
ATTACK = os.environ["ATTACK"]
CUT = os.environ["CUT"]
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-client", "x-api-key": "sk-client"}


def print_rows(rows: Iterator[Row]) -> None:
    json.dump(list(rows), sys.stdout)
    print()


def try_sdk(format_name: str, plain: Callable[[str], str], stream: Callable[[str], str] | None = None) -> Iterator[Row]:
    """Yield the rows of one format: an ordinary call, a streamed one, one whose answer is cut, an attack."""
    yield _row(format_name, "plain", plain, HELLO)
    if stream is not None:
        yield _row(format_name, "stream", stream, HELLO)
        yield _row(format_name, "cut", stream, CUT)
    yield _row(format_name, "attack", plain, ATTACK)


def _row(format_name: str, step: str, call: Callable[[str], str], text: str) -> Row:
    try:
        return format_name, step, "ok", call(text)
    except Exception as error:  # noqa: BLE001 - which one it is, is what this program is there to tell
        body = getattr(error, "body", None) or getattr(error, "response", None)
        return format_name, step, type(error).__name__, f"{error} {body}"


def calls() -> Iterator[tuple[str, str, str, bytes]]:
    """Yield what a plain HTTP client calls: format, step, URL, body."""
    for line in Path(os.environ["CALLS"]).read_text().splitlines():
        format_name, step, url, body = line.split("\t")
        yield format_name, step, url, body.encode()


def try_http(post: Callable[[str, bytes], tuple[int, bytes]]) -> Iterator[Row]:
    """Yield the rows of a plain HTTP client; post returns status and body."""
    for format_name, step, url, body in calls():
        try:
            status, answered = post(url, body)
        except Exception as error:  # noqa: BLE001 - as in _row
            yield format_name, step, type(error).__name__, _encoded(repr(error).encode())
        else:
            yield format_name, step, str(status), _encoded(answered)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
