"""The desk: where occurrences become alerts and notices, in the transaction of what they tell of.

In: changes of a batch (as a ledger of ingest/commit.Books), facts (as a job), occurrences that others report. Out: alerts and
outbox rows in the store; the dispatcher is woken after the commit.
A ledger runs in the records' own transaction: a crash leaves the record, its alert and its notices, or none of the three.
Never: a channel told from here; a commit of its own in `ledger` and `note`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, Engine

from analytics.alerts import group
from analytics.alerts.roster import Roster
from analytics.alerts.rules import LIVE, LIVE_RULES, TREND_RULES, TRENDS, campaign
from analytics.alerts.steered import Steered
from analytics.config import Settings
from analytics.control.rules import RulesInForce
from analytics.identifiers import time_id
from analytics.store import alert_settings, alerts, database, trends
from analytics.types import DAY_S, Change, Stored
from analytics.types.alerts import Alert, AlertKey, Occurrence, Plan
from analytics.types.trends import Facts


class Desk:
    """Makes alerts. clock returns seconds since 1970 UTC; wake tells the dispatcher that the outbox has grown."""

    def __init__(
        self, settings: Settings, roster: Roster, clock: Callable[[], float], wake: Callable[[], None] = lambda: None
    ) -> None:
        self.settings = settings
        self.roster = roster
        self.wake = wake
        self._steered = Steered(RulesInForce(settings.risk_rule))
        self._clock = clock
        self._grown = False

    @property
    def now_unix_us(self) -> int:
        """The moment."""
        return round(self._clock() * 1e6)

    def ledger(self, connection: Connection, stored: Stored) -> None:
        """Make the alerts of a batch, in its transaction."""
        occurrences = [found for change in stored.changes for found in self._seen(change)]
        self.note(connection, [*occurrences, *self._campaigns(connection, stored.changes)])

    def listener(self, _stored: Stored) -> None:
        """Wake the dispatcher after the commit, where the batch told of anything."""
        if self._grown:
            self._grown = False
            self.wake()

    def _seen(self, change: Change) -> list[Occurrence]:
        return [found for rule in LIVE if (found := rule(change, self.settings)) is not None]

    def _campaigns(self, connection: Connection, changes: Sequence[Change]) -> list[Occurrence]:
        seen = campaign.met(changes, self.settings)
        if not seen:
            return []
        now = self.now_unix_us
        alerts.sight(connection, {(*attack, user): now for attack, user in seen})
        attacks = list(dict.fromkeys(attack for attack, _ in seen))
        since = now - self.settings.alert_campaign_window_s * 1_000_000
        return list(campaign.campaigns(seen, alerts.met_by(connection, attacks, since), self.settings))

    def note(self, connection: Connection, occurrences: Sequence[Occurrence]) -> None:
        """Make or go on alerts, in the caller's transaction (database.writing); call `wake` after its commit."""
        if not occurrences:
            return
        around = self._around(connection)
        since = around.now_unix_us - self.settings.alert_burst_window_s * 1_000_000
        held = alerts.held(connection, group.keys(occurrences), since, around.now_unix_us)
        self._write(connection, group.plan(occurrences, held, around))

    def _write(self, connection: Connection, plan: Plan) -> None:
        alerts.write(connection, plan)
        self._grown = self._grown or bool(plan.notices)

    def _around(self, connection: Connection) -> group.Around:
        now = self.now_unix_us
        return group.Around(
            settings=self.settings,
            channels=self.roster.all(connection),
            silences=tuple(alert_settings.active(connection, now)),
            now_unix_us=now,
            new_id=lambda: time_id(now),
        )

    def acknowledge(self, connection: Connection, alert: Alert, by: str, note: str) -> Alert:
        """Write that somebody looks after an alert: it is not told again, and nobody further is."""
        after = replace(alert, acknowledged_unix_us=self.now_unix_us, acknowledged_by=by, note=note or alert.note)
        self._write(connection, Plan((after,)))
        return after

    def resolve(self, connection: Connection, alert: Alert, by: str, note: str = "") -> Alert:
        """Write that an alert is over; who was told of it is told so."""
        around = self._around(connection)
        held = alerts.held(connection, [(alert.tenant, alert.key)], around.now_unix_us, around.now_unix_us)
        plan = group.over(replace(alert, note=note or alert.note), by, held, around)
        self._write(connection, plan)
        return plan.alerts[0]

    def look(self, engine: Engine) -> None:
        """Look at the rollups once: what is so becomes an alert, what is no longer so is resolved. A job of the scheduler."""
        now = self.now_unix_us
        with engine.connect() as connection:
            moment = connection, now // 1_000_000
            read = trends.read(connection, self.settings, now // 1_000_000)
            facts = replace(
                read, budgets=tuple(self._steered.budgets(*moment)), risks=tuple(self._steered.risks(*moment))
            )
            waiting = alerts.unresolved(connection, TREND_RULES) or alerts.stale(
                connection, self._stale(now), LIVE_RULES
            )
        occurrences = _so(facts, self.settings)
        if not occurrences and not waiting:
            return
        with database.writing(engine) as connection:
            self.note(connection, occurrences)
            self._end(connection, {(one.tenant, one.key) for one in occurrences})
        self.listener(Stored(0, 0))

    def _end(self, connection: Connection, so: set[AlertKey]) -> None:
        """Resolve what has been gone for long enough, and close what nothing more came of."""
        now = self.now_unix_us
        gone = now - self.settings.alert_recover_s * 1_000_000
        for alert in alerts.unresolved(connection, TREND_RULES):
            if (alert.tenant, alert.key) not in so and alert.touched_unix_us < gone:
                self.resolve(connection, alert, "recovery")
        for alert in alerts.stale(connection, self._stale(now), LIVE_RULES):
            closed = replace(alert, resolved_unix_us=now, resolved_by="silence")
            self._write(connection, Plan((closed,)))

    def _stale(self, now_unix_us: int) -> int:
        return now_unix_us - self.settings.alert_close_s * 1_000_000

    def prune(self, engine: Engine) -> None:
        """Forget what is older than it is kept. A job of the scheduler."""
        now = self.now_unix_us
        sighted = now - self.settings.alert_campaign_window_s * 1_000_000
        with database.writing(engine) as connection:
            alerts.prune(connection, sighted, now - self.settings.alert_keep_days * DAY_S * 1_000_000)


def _so(facts: Facts, settings: Settings) -> list[Occurrence]:
    return [occurrence for rule in TRENDS for occurrence in rule(facts, settings)]
