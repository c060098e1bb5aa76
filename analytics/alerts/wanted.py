"""Whether a notice is still to be sent, now that its turn has come; and which alerts and channels belong together.

In: an Outgoing, its alert as it stands, its channel, the silences, a moment. Out: Send, Wait or Drop.
Quiet hours and silences are looked at here, when a notice leaves, because they and the alert change while it waits.
Never: I/O.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from analytics.alerts import quiet
from analytics.types.alerts import Alert, Channel, Outgoing, Silence, rank


@dataclass(frozen=True, slots=True)
class Send:
    """It goes out now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before then."""

    until_unix_us: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody needs it any more. silenced: the alert counts as untold, so that its next occurrence is told."""

    why: str
    silenced: bool = False


def decide(
    outgoing: Outgoing, alert: Alert, channel: Channel | None, silences: Iterable[Silence], now_unix_us: int
) -> Send | Wait | Drop:
    """Return what becomes of a notice."""
    if channel is None or not channel.enabled:
        return Drop("the channel is gone or switched off")
    if outgoing.kind == "escalated" and alert.state != "open":
        return Drop(f"the alert is {alert.state}")
    if silenced(alert, silences, now_unix_us) is not None and outgoing.kind != "resolved":
        return Drop("the alert is silenced", silenced=True)
    end = quiet.until(quiet.parse(channel.quiet), now_unix_us) if alert.level != "critical" else None
    return Send() if end is None else Wait(end)


def silenced(alert: Alert, silences: Iterable[Silence], now_unix_us: int) -> Silence | None:
    """Return the silence that covers an alert at a moment, the one that ends last."""
    found = [one for one in silences if _covers(one, alert, now_unix_us)]
    return max(found, key=lambda one: one.ends_unix_us, default=None)


def _covers(silence: Silence, alert: Alert, now_unix_us: int) -> bool:
    if not silence.starts_unix_us <= now_unix_us < silence.ends_unix_us:
        return False
    if silence.level and rank(alert.level) > rank(silence.level):
        return False
    return all(
        not wanted or wanted == held
        for wanted, held in (
            (silence.tenant, alert.tenant),
            (silence.rule, alert.rule),
            (silence.user, alert.user),
            (silence.model, alert.model),
        )
    )


def wants(channel: Channel, alert: Alert) -> bool:
    """Return True when a channel is one of those that an alert of this level, tenant and rule goes to."""
    least = "critical" if channel.after_s else channel.least
    return (
        channel.enabled
        and channel.tenant in ("", alert.tenant)
        and rank(alert.level) >= rank(least)
        and (not channel.rules or alert.rule in channel.rules)
    )
