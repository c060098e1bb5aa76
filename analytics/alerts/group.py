"""Grouping: from what rules saw to alerts, and to who is told.

In: Occurrences, what is held of their keys, channels, silences, a moment. Out: a Plan: alerts to write, notices for the outbox.
An occurrence joins the open alert of its tenant and key: the alert counts on and nobody is told again, unless it became worse,
or goes on and nobody acknowledged it for `alert_renotify_s`, or it was silenced and is no longer.
Beyond `alert_burst` alerts of one rule in `alert_burst_window_s` further ones join one alert of the rule, whatever they are about:
a flood of made-up users makes one message more, not thousands.
Never: I/O, a clock, chance; ids are handed in.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from analytics.alerts.wanted import silenced, wants
from analytics.config import Settings
from analytics.types.alerts import (
    KEPT_DECISIONS,
    Alert,
    AlertKey,
    Channel,
    Held,
    Occurrence,
    Outgoing,
    Plan,
    Silence,
    rank,
)


@dataclass(frozen=True, slots=True)
class Around:
    """What grouping works with. new_id returns a new id that sorts by time."""

    settings: Settings
    channels: tuple[Channel, ...]
    silences: tuple[Silence, ...]
    now_unix_us: int
    new_id: Callable[[], str]


def keys(occurrences: Iterable[Occurrence]) -> list[AlertKey]:
    """Return the keys that a batch may touch: its own, and those of floods."""
    found = [(one.tenant, key) for one in occurrences for key in (one.key, flood_key(one.rule))]
    return list(dict.fromkeys(found))


def flood_key(rule: str) -> str:
    """Return the key under which the alerts of a rule are gathered in a flood."""
    return f"{rule}/*"


def plan(occurrences: Iterable[Occurrence], held: Held, around: Around) -> Plan:
    """Return what a batch changes. Shape: alerts in the order their keys were first seen."""
    alerts: list[Alert] = []
    notices: list[Outgoing] = []
    for occurrence in _merged(_spread(occurrences, held, around.settings)):
        before = held.alerts.get((occurrence.tenant, occurrence.key))
        after = _opened(occurrence, around) if before is None else _joined(before, occurrence, around)
        kind = _kind(before, after, around)
        if kind is not None:
            notices += told(after, kind, held, around)
            after = replace(after, notified_unix_us=around.now_unix_us)
        alerts.append(after)
    return Plan(tuple(alerts), tuple(notices))


def _spread(occurrences: Iterable[Occurrence], held: Held, settings: Settings) -> list[Occurrence]:
    """Return the occurrences, those that would open one alert too many of their rule under the rule's own key."""
    opened = Counter(dict(held.opened))
    known = set(held.alerts)
    found = []
    for one in occurrences:
        rule = (one.tenant, one.rule)
        if (one.tenant, one.key) not in known:
            if opened[rule] >= settings.alert_burst:
                found.append(_flooded(one))
                continue
            opened[rule] += 1
            known.add((one.tenant, one.key))
        found.append(one)
    return found


def _flooded(one: Occurrence) -> Occurrence:
    title = f"many alerts of the rule {one.rule} at once"
    text = "More than can be told one by one; this one stands for all further ones. The list of decisions shows each."
    return replace(one, key=flood_key(one.rule), title=title, text=text, user="", model="", endpoint="", facts=())


def _merged(occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """Return one occurrence a key: the worst of each, the newest among equals, counts added up."""
    found: dict[AlertKey, Occurrence] = {}
    for one in occurrences:
        key = (one.tenant, one.key)
        held = found.get(key)
        if held is None:
            found[key] = one
        else:
            worst = one if _worse(one.level, one.score, held.level, held.score) else held
            latest = max(one.moment_unix_us, held.moment_unix_us)
            decisions = _newest(one.decisions, held.decisions)
            count = held.count + one.count
            found[key] = replace(worst, count=count, moment_unix_us=latest, decisions=decisions)
    return list(found.values())


def _newest(later: tuple[str, ...], held: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*later, *held)))[:KEPT_DECISIONS]


def _worse(level: str, score: float | None, held_level: str, held_score: float | None) -> bool:
    """Return True when the first is as bad as the second, or worse."""
    return (rank(level), score or 0.0) >= (rank(held_level), held_score or 0.0)


def _opened(one: Occurrence, around: Around) -> Alert:
    now = around.now_unix_us
    return Alert(
        alert_id=around.new_id(),
        tenant=one.tenant,
        rule=one.rule,
        level=_risen(one.level, one.rule, one.count, around.settings),
        key=one.key,
        title=one.title,
        text=one.text,
        count=one.count,
        first_unix_us=one.moment_unix_us,
        last_unix_us=one.moment_unix_us,
        opened_unix_us=now,
        touched_unix_us=now,
        user=one.user,
        model=one.model,
        endpoint=one.endpoint,
        score=one.score,
        facts=one.facts,
        decisions=one.decisions[:KEPT_DECISIONS],
    )


def _joined(alert: Alert, one: Occurrence, around: Around) -> Alert:
    worst = _showing(alert, one) if _worse(one.level, one.score, alert.level, alert.score) else alert
    count = alert.count + one.count
    least = one.level if rank(one.level) > rank(alert.level) else alert.level
    level = _risen(least, one.rule, count, around.settings)
    if rank(level) > rank(alert.level):  # somebody acknowledged something lesser
        worst = replace(worst, acknowledged_unix_us=None, acknowledged_by="")
    return replace(
        worst,
        level=level,
        count=count,
        first_unix_us=min(alert.first_unix_us, one.moment_unix_us),
        last_unix_us=max(alert.last_unix_us, one.moment_unix_us),
        touched_unix_us=around.now_unix_us,
        decisions=_newest(one.decisions, alert.decisions),
    )


def _showing(alert: Alert, one: Occurrence) -> Alert:
    """Return an alert with the words of an occurrence."""
    return replace(
        alert,
        title=one.title,
        text=one.text,
        user=one.user,
        model=one.model,
        endpoint=one.endpoint,
        score=one.score,
        facts=one.facts,
    )


def _risen(level: str, rule: str, count: int, settings: Settings) -> str:
    """Return the level of an alert that was seen so many times: slow calls are INFO until there are many."""
    many = rule == "slow_call" and count >= settings.alert_slow_calls
    return "warning" if many and level == "info" else level


def _kind(before: Alert | None, after: Alert, around: Around) -> str | None:
    """Return why somebody is to be told of an alert now, None when nobody is."""
    if silenced(after, around.silences, around.now_unix_us) is not None:
        return None
    if before is None or before.notified_unix_us is None:
        return "opened"
    if rank(after.level) > rank(before.level):
        return "raised"
    due = before.notified_unix_us + around.settings.alert_renotify_s * 1_000_000
    return "repeated" if after.state == "open" and around.now_unix_us >= due else None


def told(alert: Alert, kind: str, held: Held, around: Around) -> list[Outgoing]:
    """Return the notices of an alert: at once to those who want it, later to those who are told when nobody answers.

    A channel whose last notice has not left yet gets none: that one will say how things are when it leaves.
    """
    found = []
    for channel in around.channels:
        if not wants(channel, alert) or (alert.alert_id, channel.channel_id) in held.waiting:
            continue
        if not channel.after_s:
            found.append(_outgoing(alert, channel.channel_id, kind, around, around.now_unix_us))
        elif kind in ("opened", "raised"):
            due = around.now_unix_us + channel.after_s * 1_000_000
            found.append(_outgoing(alert, channel.channel_id, "escalated", around, due))
    return found


def over(alert: Alert, by: str, held: Held, around: Around) -> Plan:
    """Return what resolving an alert changes: whoever was told of it is told that it is over."""
    after = replace(alert, resolved_unix_us=around.now_unix_us, resolved_by=by)
    knows = held.told.get(alert.alert_id, frozenset())
    found = [
        _outgoing(after, channel.channel_id, "resolved", around, around.now_unix_us)
        for channel in around.channels
        if channel.channel_id in knows and (alert.alert_id, channel.channel_id) not in held.waiting
    ]
    return Plan((after,), tuple(found))


def _outgoing(alert: Alert, channel_id: str, kind: str, around: Around, due_unix_us: int) -> Outgoing:
    return Outgoing(
        delivery_id=around.new_id(),
        alert_id=alert.alert_id,
        tenant=alert.tenant,
        channel_id=channel_id,
        kind=kind,
        state="pending",
        attempts=0,
        created_unix_us=around.now_unix_us,
        due_unix_us=due_unix_us,
    )
