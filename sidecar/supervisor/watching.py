"""The coverage watch as `douane up` runs it: constructed from the settings, ended in the right order.

In: Settings, Envoy's process id. Out: a running task; at the end the last look and the last delivery.
Never: stops the installation; a watch that fails is counted and goes on (sidecar/coverage/watch.py).
"""

import asyncio
import contextlib
import functools
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable

import grpc

from sidecar.config import ConfigError, Settings
from sidecar.coverage.deliver import Source, sender
from sidecar.coverage.llm_hosts import llm_host
from sidecar.coverage.tally import Tally, tally_path
from sidecar.coverage.watch import Rim, Watch, open_tally
from sidecar.supervisor.health import ask
from sidecar.telemetry import CoverageCounts, lost_records
from sidecar.uplink import open_channel

API = "api"  # the tally's note of where this run's API answers, for `douane coverage`


class Watching:
    """The watch of one run.

    Raises: ConfigError when the tally cannot be opened.
    """

    def __init__(self, settings: Settings, process: Callable[[], int]) -> None:
        self._settings = settings
        self._process = process
        self._tally = _opened(settings)
        self._running: tuple[Watch, asyncio.Task[None], grpc.aio.Channel] | None = None

    def start(self) -> None:
        """Begin; called inside the event loop."""
        settings = self._settings
        channel = open_channel(settings)
        admin = f"http://127.0.0.1:{settings.admin_port}"
        rim = Rim(
            ask=lambda path, method: ask(admin + path, method),
            process=self._process,
            send=sender(channel),
            now_us=lambda: time.time_ns() // 1000,
            say=lambda text: print(f"douane: {text}", file=sys.stderr, flush=True),
            workers=lambda: lost_records(str(settings.folder / "run" / "metrics")),
        )
        source = Source(settings.pod_name, settings.pod_namespace, settings.service_account, socket.gethostname())
        watch = Watch(settings.folder, self._tally, source, rim, CoverageCounts())
        self._running = watch, asyncio.create_task(watch.run()), channel

    async def last_look(self) -> None:
        """Read Envoy's counters while it still answers."""
        if self._running is not None:
            await self._running[0].last_look()

    async def finish(self) -> None:
        """Take what Envoy wrote at its end, and deliver."""
        if self._running is None:
            return
        watch, task, channel = self._running
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await watch.finish()
        await channel.close()


def _opened(settings: Settings) -> Tally:
    providers = settings.host_providers()
    try:
        tally = open_tally(
            settings.folder, functools.partial(llm_host, providers=providers), lambda: os.urandom(16).hex()
        )
        tally.keep(**{API: "" if settings.analytics_grpc else f"http://127.0.0.1:{settings.analytics_http_port}"})
    except (sqlite3.Error, OSError) as error:
        raise ConfigError(f"{tally_path(settings.folder)}: the coverage tally cannot be opened: {error}") from None
    return tally
