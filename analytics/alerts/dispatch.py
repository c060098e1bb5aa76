"""The dispatcher: takes notices from the outbox, tells the channels, and writes what became of it.

In: outbox rows, the roster. Out: notices told; each row ends as delivered, failed (the dead letters, shown by the API) or
dropped. A row is claimed with a lease before its channel is told and settled after: several replicas never tell at once, and what
a killed process had in hand is told by the next one under the same delivery_id, at least once.
A commit wakes it at once; a look every alert_poll_s finds what other replicas wrote, and what is due by time.
Bounds: MAX_TELLING channels at a time, one notice a channel at a time; after `retry` the channel rests until that notice is due,
which grows from FIRST_WAIT_S to LONGEST_WAIT_S, half to one and a half times by chance.
Never: a transaction open while a channel is told; a secret or the text of an error in a row or a log line.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from analytics.alerts.roster import Roster
from analytics.alerts.wanted import Drop, Wait, decide
from analytics.config import Settings
from analytics.store import alert_settings, alerts, outbox
from analytics.types.alerts import Alert, Delivery, Notice, Outgoing

MAX_TELLING = 8
# Longer than any channel takes: HTTP 5 + 20 s, SMTP ten steps of 10 s at the very worst.
LEASE_S = 120
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 900.0
LEAST_ATTEMPTS = 5  # whatever its age, a notice gets so many before it is given up

_LOG = logging.getLogger("analytics.alerts")
Counted = Callable[[str, str], None]  # kind of channel, what became of the attempt


@dataclass(frozen=True, slots=True)
class World:
    """What dispatching needs of the world. clock returns seconds since 1970 UTC; token a text nobody else has."""

    clock: Callable[[], float]
    random: Random
    token: Callable[[], str]
    counted: Counted = lambda _kind, _result: None


class Dispatcher:
    """Tells channels, in threads of its own. It may be stopped at any moment and loses nothing."""

    def __init__(self, engine: Engine, roster: Roster, settings: Settings, world: World) -> None:
        self._engine = engine
        self._roster = roster
        self._settings = settings
        self._world = world
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._telling: set[str] = set()  # channels that are being told
        self._resting: dict[str, int] = {}  # channel -> not before
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at the outbox now. May be called from any thread."""
        self._wake.set()

    def stop(self, within_s: float) -> None:
        """Claim nothing more; wait for what is being told, but not for ever: a lease ends by itself."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(within_s)
        with self._changed:
            self._changed.wait_for(lambda: not self._telling, within_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait_s = self._round()
            except SQLAlchemyError as error:
                _LOG.error("alerts.store_failed", extra={"error": type(error).__name__})
                wait_s = self._settings.alert_poll_s
            self._wake.wait(wait_s)

    def _now(self) -> int:
        return round(self._world.clock() * 1e6)

    def _round(self) -> float:
        """Claim what is due and begin to tell it; return after how many seconds to look again."""
        now = self._now()
        with self._changed:
            self._resting = {channel: until for channel, until in self._resting.items() if until > now}
            busy = self._telling | set(self._resting)
            free = MAX_TELLING - len(self._telling)
        with self._engine.connect() as connection:
            due = outbox.due(connection, now, busy, free) if free > 0 else []
        for one in due:
            self._begin(one, now)
        with self._engine.connect() as connection:
            later = outbox.next_unix_us(connection, busy | {one.channel_id for one in due})
        soonest = min([one for one in (later, *self._resting.values()) if one is not None], default=now + 10**12)
        return max(0.0, min(self._settings.alert_poll_s, (soonest - self._now()) / 1e6))

    def _begin(self, one: Outgoing, now: int) -> None:
        lease = self._world.token()
        with outbox.changing(self._engine) as connection:
            claimed = outbox.claim(connection, one, lease, now, now + LEASE_S * 1_000_000)
        if not claimed:
            return
        with self._changed:
            self._telling.add(one.channel_id)
        threading.Thread(target=self._tell, args=(one, lease), name="alerts-tell", daemon=True).start()

    def _tell(self, one: Outgoing, lease: str) -> None:
        """Tell one channel of one alert. Whatever goes wrong here leaves the row to its lease."""
        try:
            self.tell(one, lease)
        except Exception as error:  # noqa: BLE001 - the rim of this thread
            _LOG.error("alerts.failed", extra={"delivery_id": one.delivery_id, "error": type(error).__name__})
            with self._changed:
                self._resting[one.channel_id] = self._now() + round(FIRST_WAIT_S * 1e6)
        finally:
            with self._changed:
                self._telling.discard(one.channel_id)
                self._changed.notify_all()
            self._wake.set()

    def tell(self, one: Outgoing, lease: str) -> Outgoing:
        """Tell a claimed notice, settle it, and return it as it is now."""
        with self._engine.connect() as connection:
            alert = alerts.read(connection, one.alert_id, None)
            channel = self._roster.find(connection, one.channel_id)
            silences = alert_settings.active(connection, self._now())
        if alert is None:
            return self._settled(replace(one, state="dropped", detail="the alert is gone"), lease)
        verdict = decide(one, alert, channel, silences, self._now())
        if isinstance(verdict, Wait):
            return self._settled(
                replace(one, due_unix_us=verdict.until_unix_us, detail="waits for quiet hours to end"), lease
            )
        if isinstance(verdict, Drop) or channel is None:
            why = verdict.why if isinstance(verdict, Drop) else ""
            untold = isinstance(verdict, Drop) and verdict.silenced
            return self._settled(replace(one, state="dropped", detail=why), lease, untold=untold)
        delivery = _attempt(self._roster.sender(channel), self._notice(one, alert))
        after = self._after(one, delivery)
        self._world.counted(channel.kind, delivery.result)
        told = {
            "delivery_id": one.delivery_id,
            "alert_id": one.alert_id,
            "channel": channel.kind,
            "detail": delivery.detail,
        }
        _LOG.info(f"alert.{delivery.result}", extra=told | {"attempts": after.attempts})
        return self._settled(after, lease)

    def _notice(self, one: Outgoing, alert: Alert) -> Notice:
        base = self._settings.alert_base_url.rstrip("/")
        decision = f"{base}/dashboard/decisions/{alert.decisions[0]}" if alert.decisions else ""
        return Notice(one.delivery_id, one.kind, alert, f"{base}/api/alerts/{alert.alert_id}", decision)

    def _after(self, one: Outgoing, delivery: Delivery) -> Outgoing:
        """Return a notice after an attempt."""
        attempted = replace(one, attempts=one.attempts + 1, detail=delivery.detail)
        if delivery.result == "ok":
            return replace(attempted, state="delivered")
        if delivery.result == "failed":
            return replace(attempted, state="failed")
        now = self._now()
        old = now - one.created_unix_us >= self._settings.alert_give_up_s * 1_000_000
        if old and attempted.attempts >= LEAST_ATTEMPTS:
            return replace(attempted, state="failed", detail=f"given up: {delivery.detail}")
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(one.attempts, 10), LONGEST_WAIT_S) * (0.5 + self._world.random.random())
        due = now + round(max(wait_s, delivery.after_s or 0.0) * 1e6)
        with self._changed:
            self._resting[one.channel_id] = due
        return replace(attempted, due_unix_us=due)

    def _settled(self, one: Outgoing, lease: str, *, untold: bool = False) -> Outgoing:
        done = one if one.state == "pending" else replace(one, finished_unix_us=self._now())
        with outbox.changing(self._engine) as connection:
            outbox.settle(connection, done, lease)
            if untold:
                alerts.untold(connection, one.alert_id)
        return done


def _attempt(send: Callable[[Notice], Delivery], notice: Notice) -> Delivery:
    """Return what became of one attempt; an error in a channel's own code is tried again, and given up in time."""
    try:
        return send(notice)
    except Exception as error:  # noqa: BLE001 - one channel's error must not stop the others; its text may hold a secret
        return Delivery("retry", f"error: {type(error).__name__}")
