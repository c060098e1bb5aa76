"""Posting a notice over HTTP, and what the answer means.

In: a URL that an administrator gave, a body, headers. Out: a Delivery: 2xx ok; 408, 425, 429, 5xx, a timeout and a broken
connection retry, after Retry-After where it is given; all else failed, redirects too.
Bounds: CONNECT_S and TOTAL_S; of an answer at most ANSWER_BYTES are read, and none of it is ever shown.
Never: follows a redirect (it would carry the notice, and our place in the network, to whoever the receiver names); puts the
URL, whose path is often the secret, into a detail, an error or a log.
Source: RFC 9110 10.2.3 (Retry-After), RFC 6585 4 (429), Slack's and Microsoft's webhook pages, 2026-11.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated

import httpx
from pydantic import AfterValidator, SecretStr

from analytics.types.alerts import Delivery, Notice

CONNECT_S, READ_S, TOTAL_S = 5.0, 10.0, 20.0
ANSWER_BYTES = 64 << 10
LONGEST_AFTER_S = 3_600.0  # a receiver that asks for more is asked again after an hour
_AGAIN = frozenset({408, 425, 429})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Post = Callable[[str, bytes, Mapping[str, str]], Delivery]
Send = Callable[[Notice], Delivery]


@dataclass(frozen=True, slots=True)
class Rim:
    """What a channel needs of the world. clock returns seconds since 1970 UTC."""

    post: Post
    clock: Callable[[], float]


def _web(value: SecretStr) -> SecretStr:
    """Return a URL that can be posted to. Raises: ValueError without its content."""
    try:
        url = httpx.URL(value.get_secret_value())
    except (httpx.InvalidURL, TypeError):
        raise ValueError("this is no URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("a URL that begins with https:// or http:// is needed")
    return value


def _private(value: SecretStr) -> SecretStr:
    """Return a URL whose path is a secret. Raises: ValueError where it would cross a network in the clear."""
    url = httpx.URL(_web(value).get_secret_value())
    if url.scheme != "https" and url.host not in _LOOPBACK:
        raise ValueError("https:// is needed: the URL itself is the secret")
    return value


WebUrl = Annotated[SecretStr, AfterValidator(_web)]
SecretUrl = Annotated[SecretStr, AfterValidator(_private)]


def client() -> httpx.Client:
    """Return the client that all posts share. It takes the machine's proxy settings, as every program does."""
    return httpx.Client(timeout=httpx.Timeout(READ_S, connect=CONNECT_S), follow_redirects=False)


def poster(shared: httpx.Client, clock: Callable[[], float]) -> Post:
    """Return what posts. clock returns seconds since 1970 UTC, for Retry-After as a date."""

    def post(url: str, body: bytes, headers: Mapping[str, str]) -> Delivery:
        sent = {"user-agent": "douane-analytics", "content-type": "application/json", **headers}
        try:
            with shared.stream("POST", url, content=body, headers=sent) as answer:
                _drain(answer)
                return judged(answer.status_code, answer.headers.get("retry-after", ""), clock())
        except httpx.HTTPError as error:  # its text may hold the URL: only its name is told
            return Delivery("retry", type(error).__name__)

    return post


def _drain(answer: httpx.Response) -> None:
    """Read a short answer, so that the connection can be used again; leave a long or a slow one."""
    until, read = time.monotonic() + TOTAL_S, 0
    for piece in answer.iter_raw():
        read += len(piece)
        if read > ANSWER_BYTES or time.monotonic() > until:
            return


def judged(status: int, retry_after: str, now_unix_s: float) -> Delivery:
    """Return what a status means."""
    if 200 <= status < 300:
        return Delivery("ok", str(status))
    if status in _AGAIN or status >= 500:
        return Delivery("retry", str(status), _after_s(retry_after, now_unix_s))
    return Delivery("failed", f"{status}, a redirect, which is not followed" if 300 <= status < 400 else str(status))


def _after_s(value: str, now_unix_s: float) -> float | None:
    """Return the seconds that Retry-After names, None when it names none."""
    if value.strip().isdecimal():
        return min(float(value), LONGEST_AFTER_S)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - now_unix_s
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_AFTER_S)
