"""Questions to children: are you there?

In: ports, URLs, sockets. Out: functions that answer True or False, and never raise.
"""

import asyncio
import contextlib
import socket
import urllib.error
import urllib.request
from pathlib import Path

from sidecar.supervisor.child import Ready

_TIMEOUT_S = 2.0


def http_ok(url: str) -> Ready:
    """Return a check that a GET of the URL answers 200."""

    async def check() -> bool:
        return await asyncio.to_thread(_get_ok, url)

    return check


def _get_ok(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, whatever HTTP_PROXY says
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def ask(url: str, method: str) -> bytes | None:
    """Return the body of Envoy's admin page, None when it does not answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=_TIMEOUT_S) as answer:  # noqa: S310 - loopback http
            body: bytes = answer.read()
            return body
    except OSError:
        return None


def socket_open(path: Path) -> Ready:
    """Return a check that somebody listens on a Unix socket."""

    async def check() -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            return True
        return False

    return check


def port_open(port: int) -> Ready:
    """Return a check that somebody listens on a loopback port."""

    async def check() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), _TIMEOUT_S):
            return True
        return False

    return check


def taken_port(host: str, port: int) -> str:
    """Return why a port cannot be had, empty when it can.

    Asked before the start: Envoy would share a taken port silently (SO_REUSEPORT).
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""
