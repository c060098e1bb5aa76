"""Alerting put together: vault, roster, desk, dispatcher, as app.py starts and stops them.

In: settings, an engine, a clock. Out: an Alerting: its desk's ledger and listener go into ingest/commit.Books, its `look` and
`prune` to the scheduler. Raises ConfigError for a channel of the settings that cannot work.
Never: a thread before `start`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import httpx
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Engine

from analytics.alerts import http
from analytics.alerts.desk import Desk
from analytics.alerts.dispatch import Dispatcher, World
from analytics.alerts.roster import Roster
from analytics.alerts.vault import Vault
from analytics.config import Settings


@dataclass(frozen=True, slots=True)
class Alerting:
    """The parts. The dispatcher runs between `start` and `stop`."""

    desk: Desk
    dispatcher: Dispatcher
    engine: Engine
    client: httpx.Client

    def start(self) -> None:
        """Begin to tell channels: first of what waits from before."""
        self.dispatcher.start()

    def stop(self, within_s: float) -> None:
        """Stop telling channels; what is not told waits in the outbox."""
        self.dispatcher.stop(within_s)
        self.client.close()

    def look(self) -> None:
        """Look at the rollups once."""
        self.desk.look(self.engine)

    def prune(self) -> None:
        """Forget what is older than it is kept."""
        self.desk.prune(self.engine)


def build(
    settings: Settings, engine: Engine, clock: Callable[[], float], registry: CollectorRegistry | None = None
) -> Alerting:
    """Return alerting. clock returns seconds since 1970 UTC; without a registry nothing is counted."""
    client = http.client()
    roster = Roster(settings, Vault(settings), http.Rim(http.poster(client, clock), clock))
    counted = _counting(registry) if registry is not None else _uncounted
    world = World(clock, Random(), lambda: os.urandom(16).hex(), counted)
    dispatcher = Dispatcher(engine, roster, settings, world)
    return Alerting(Desk(settings, roster, clock, dispatcher.wake), dispatcher, engine, client)


def _uncounted(_kind: str, _result: str) -> None: ...


def _counting(registry: CollectorRegistry) -> Callable[[str, str], None]:
    """Return what counts attempts. Labels: the kinds of CHANNELS; ok, retry, failed."""
    attempts = Counter(
        "douane_alert_deliveries",
        "Attempts to tell a channel, by what became of them.",
        ("kind", "result"),
        registry=registry,
    )
    return lambda kind, result: attempts.labels(kind, result).inc()
